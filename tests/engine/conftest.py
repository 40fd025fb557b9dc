from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.engine.classifier import EncoderClassifier, build_classifier
from stages.engine.models.base_model import BaseModel, find_base_model
from stages.engine.models.encoder import Setup
from stages.engine.models.record import Record
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.params import Reading, TrainedParams
from stages.engine.tokens import TokenRows
from stages.foundation.split import Split
from stages.methods import TrainSection
from stages.methods.full import FullParams
from stages.methods.head import HeadParams
from stages.methods.lora import adapter_config
from stages.methods.tfidf import TfidfParams
from tests.tiny_models import LORA, NO_DROPOUT, VOCABULARY, save_tiny_bert

CPU = torch.device("cpu")
PARAMS = TrainSection(
    protocol="seed",
    trained=TrainedParams(min_steps=40, validations=5, warmup=0.1, patience=3),
    epochs=4,
    max_steps=None,
    batch_size=8,
    weight_decay=0.0,
    max_grad_norm=1.0,
    patience=4,
    processes=1,
    checkpoint_seconds=60,
    max_tokens=16,
    bucket_batches=2,
    pooling="first",
    pooler="own",
    engine="auto",
    device="cpu",
    precision="fp32",
    lora=LORA,
    full=FullParams(learning_rate=2e-3),
    head=HeadParams(learning_rate=3e-2),
    tfidf=TfidfParams(max_ngram=2, inverse_regularization=10.0),
    base_models={},
)
TRANSFORMERS, MEAN = Reading(pooling="first", pooler="own"), Reading(pooling="mean", pooler="none")
STILL_LORA = replace(LORA, dropout=0.0)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> BaseModel:
    return find_base_model(str(save_tiny_bert(tmp_path_factory.mktemp("tiny_bert"))), {})


@pytest.fixture(scope="session")
def still_base(tmp_path_factory) -> BaseModel:
    """The same weights without dropout, so that engines can be held against each other."""
    return find_base_model(str(save_tiny_bert(tmp_path_factory.mktemp("still_bert"), **NO_DROPOUT)), {})


@pytest.fixture
def tiny_classifier(tiny_base) -> EncoderClassifier:
    return build(tiny_base, seed=0)


def build(base: BaseModel, *, seed: int, lora=LORA, precision="fp32", **changes) -> EncoderClassifier:
    """A classifier on a base model; `lora=None` trains all of it, `changes` go into the params."""
    return build_classifier(
        Setup(base=base, device=CPU, precision=precision),
        replace(PARAMS, **changes),
        method_version=1,
        method="full" if lora is None else "lora",
        adapter=lora and adapter_config(lora),
        label_names=("negative", "positive"),
        seed=seed,
    )


def train(classifier, rows=None, validation=None, *, seed=0, **changes):
    """Fit a classifier to opinions."""
    return classifier.fit(
        opinions(64) if rows is None else rows,
        opinions(20, seed=1) if validation is None else validation,
        replace(PARAMS, **changes),
        seed=seed,
    )


def stir(classifier, *, seed=0):
    """Give B, which starts at 0, random weights, so that the adapters do something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in classifier.model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(0, 0.2, generator=generator)
    return classifier


def texts_of(lengths, *, seed=0) -> TokenRows:
    """Random words between [CLS] and [SEP], as many tokens in all as asked."""
    lengths = np.array(lengths, dtype=np.int64)
    ids = np.random.default_rng(seed).integers(5, len(VOCABULARY), size=lengths.sum(), dtype=np.int32)
    starts = np.cumsum(lengths) - lengths
    ids[starts + lengths - 1] = VOCABULARY["[SEP]"]
    ids[starts] = VOCABULARY["[CLS]"]
    return TokenRows(ids, starts, lengths)


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


def pairs(num_rows: int, *, seed: int = 0) -> Split:
    """Pairs of texts, of which the second alone tells the class, and every fourth first one is empty."""
    first, second = opinions(num_rows, seed=seed + 100), opinions(num_rows, seed=seed)
    others = [text.rpartition(" ")[0] if row % 4 else "" for row, text in enumerate(first.sentences)]
    return replace(second, sentences=others, second=second.sentences)


def long_pairs() -> Split:
    """Pairs of which some are longer than PARAMS reads: by the first text, by the second, by both."""
    split, long = pairs(9, seed=3), " ".join(["good film"] * 20)
    firsts, seconds = [*split.sentences], [*(split.second or [])]
    firsts[1], seconds[2], firsts[3], seconds[3] = long, long, f"bad {long}", f"{long} bad"
    return replace(split, sentences=firsts, second=seconds)


def turned(split: Split) -> Split:
    """The same texts, each with the other class."""
    return replace(split, labels=1 - split.labels)


def made_record(**changes) -> Record:
    """What a classifier says of itself; without changes one that needs no base model."""
    plain = Record(
        method="tfidf",
        method_version=1,
        label_names=["bad", "good"],
        trainable_parameters=1,
        total_parameters=1,
        engine="scikit-learn",
        precision="fp64",
        max_tokens=0,
        base=None,
        reading=None,
    )
    return replace(plain, **changes)


class Recorder(DropoutMasks):
    """Remembers the masks that it drew."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, CPU)
        self.drawn: list[torch.Tensor] = []

    def draw(self, shape, probability, dtype):
        mask = super().draw(shape, probability, dtype)
        if mask is not None:
            self.drawn.append(mask)
        return mask


def assert_near(actual, expected, *, rounding, scale=None):
    """Equal to within `rounding` of the largest value, or of `scale`: float32 knows 6e-8, each sum costs some of it."""
    scale = expected.abs().max().item() if scale is None else scale
    torch.testing.assert_close(actual.to(expected.dtype), expected, rtol=0, atol=rounding * scale)
