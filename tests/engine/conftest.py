import numpy as np
import pytest

from stages.engine.base_model import BaseModel, find_base_model
from stages.engine.classifier import Classifier, build_classifier
from stages.foundation.split import Split
from tests.tiny_bert import LORA, save_tiny_bert


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> BaseModel:
    return find_base_model(str(save_tiny_bert(tmp_path_factory.mktemp("tiny_bert"))), {})


@pytest.fixture
def tiny_classifier(tiny_base) -> Classifier:
    return build(tiny_base, seed=0)


def build(base: BaseModel, *, seed: int, lora=LORA, precision="fp32", max_tokens=16) -> Classifier:
    return build_classifier(
        base,
        lora=lora,
        label_names=("negative", "positive"),
        seed=seed,
        precision=precision,
        max_tokens=max_tokens,
    )


def opinions(num_rows: int, *, seed: int = 0) -> Split:
    """Texts whose class is one word, in random company."""
    generator = np.random.default_rng(seed)
    labels = np.arange(num_rows) % 2
    fillers = np.array(["a", "film", "the", "plot", "is", "very"])
    sentences = [
        " ".join([*generator.choice(fillers, size=generator.integers(1, 6)), "good" if label else "bad"])
        for label in labels
    ]
    return Split(row_ids=np.arange(num_rows), sentences=sentences, labels=labels, label_names=("negative", "positive"))
