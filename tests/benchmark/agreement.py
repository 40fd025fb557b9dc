"""How far the packed engine's logits are from plain PEFT's, on the model of the last experiment and its test rows.

    python -m tests.benchmark.agreement

PEFT loads the saved adapter by itself, and Transformers computes in float32: what a user of `data/model` would see.
"""

import sys
import warnings
from argparse import ArgumentParser
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging

from stages.engine.classifier import load_adapted_classifier
from stages.engine.models.encoder import reload_base
from stages.engine.models.record import read_record
from stages.engine.predict import BATCH_TOKENS
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.log import say
from stages.foundation.split import read_split

ROWS = 128  # per forward pass


def peft_logits(sentences: list[str]) -> NDArray[np.float32]:
    """(N, C) float32 logits of the saved adapter on its base model, without any code of ours but the folder's name."""
    record = read_record(paths.MODEL)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    base = AutoModelForSequenceClassification.from_pretrained(
        reload_base(record, paths.MODEL).folder, num_labels=len(record.label_names), dtype=torch.float32
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        model = PeftModel.from_pretrained(base, str(paths.MODEL)).eval()
    tokenizer = AutoTokenizer.from_pretrained(paths.MODEL)
    parts = []
    for start in range(0, len(sentences), ROWS):
        batch = tokenizer(
            sentences[start : start + ROWS],
            padding=True,
            truncation=True,
            max_length=record.max_tokens,
            return_tensors="pt",
        )
        with torch.inference_mode():
            parts.append(model(**batch).logits.numpy())
    return np.concatenate(parts)


def main() -> None:
    """Print the largest difference for each number format."""
    test = read_split(paths.TEST)
    expected = peft_logits(test.sentences)
    say(f"{len(test):,} test rows, against plain PEFT in fp32:")
    for precision in ("fp32", "bf16"):
        loaded = load_adapted_classifier(paths.MODEL, torch.device("cpu"))
        record = replace(loaded.record, engine="packed", precision=precision)
        logits = replace(loaded, record=record).predict(test, BATCH_TOKENS)
        largest = np.abs(logits - expected).max()
        changed = int((logits.argmax(axis=1) != expected.argmax(axis=1)).sum())
        say(f"  packed, {precision}: logits differ by {largest:.2g} at most, predicted classes in {changed} rows")


if __name__ == "__main__":
    ArgumentParser("python -m tests.benchmark.agreement", description=__doc__.splitlines()[0]).parse_args()
    try:
        main()
    except StudyError as error:
        sys.exit(str(error))
