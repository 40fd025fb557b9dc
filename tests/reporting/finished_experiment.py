"""What the stages before report leave behind, in miniature."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.engine.lengths import TextLengths, write_lengths
from stages.foundation import paths
from stages.foundation.files import write_json, write_text
from stages.foundation.split import Split, write_split
from stages.scoring.classification import score
from stages.scoring.tables import class_table

PIPELINE = """\
stages:
  report:
    cmd: python -m stages.report
    params: [samples, seed, dataset, model, method, subsample, train, evaluate, report]
"""
PARAMS = """\
samples: 1000
seed: 42
dataset: reviews
model: minilm
method: lora
subsample: {class_ratio: balanced, validation_share: 0}
train:
  protocol: seed
  trained: {min_steps: 1000, validations: 20, warmup: 0.06, patience: 6}
  epochs: 5
  max_steps: null
  batch_size: 32
  weight_decay: 0.0
  max_grad_norm: 1.0
  patience: 2
  max_tokens: 128
  bucket_batches: 16
  pooling: first
  pooler: own
  processes: 1
  checkpoint_seconds: 60
  engine: auto
  device: auto
  precision: auto
  lora:
    learning_rate: 5.0e-4
    rank: 8
    alpha: 16
    dropout: 0.1
    bias: none
    use_rslora: false
    use_dora: false
    target_modules: [query, value]
  full: {learning_rate: 5.0e-5}
  head: {learning_rate: 1.0e-2}
  tfidf: {max_ngram: 2, inverse_regularization: 1.0}
  base_models: {minilm: {source: folder, location: ./minilm, pin: ""}}
evaluate: {batch_tokens: 16384, device: auto, confidence_level: 0.95}
report: {worst_errors: 3}
"""

PROVENANCE = {
    "precision_used": "fp32",
    "engine_used": "packed",
    "device_used": "cpu",
    "training_version": 1,
    "method_version": 1,
    "processor": "a processor",
    "cores": 2,
    "processes_used": 1,
    "threads": 2,
    "python": "3.11.7",
    "torch": "2.13.0",
    "transformers": "5.23.0",
    "peft": "0.21.2",
    "scikit_learn": "1.9.1",
    "commit": "c0ffee" * 6,
}


def history(num_epochs: int = 5) -> pd.DataFrame:
    epoch = np.arange(1, num_epochs + 1)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "train_loss": 0.7 - 0.09 * epoch,
            "val_loss": 0.45 - 0.05 * epoch + 0.012 * epoch**2,
            "train_accuracy": 0.6 + 0.05 * epoch,
            "val_accuracy": 0.8 + 0.01 * epoch,
            "learning_rate": 5e-4 * (1 - epoch / num_epochs),
        }
    )


def make_test_split(label_names: tuple[str, ...] = ("negative", "positive"), *, num_rows: int = 60) -> Split:
    return Split(
        row_ids=np.arange(num_rows),
        sentences=[f"sentence number {row}" for row in range(num_rows)],
        labels=np.arange(num_rows) % len(label_names),
        label_names=label_names,
    )


def make_logits(split: Split, *, num_wrong: int) -> np.ndarray:
    """The first rows are wrong, each with more confidence than the one before it."""
    logits = np.zeros((len(split), split.num_classes))
    predicted = split.labels.copy()
    predicted[:num_wrong] = (predicted[:num_wrong] + 1) % split.num_classes
    logits[np.arange(len(split)), predicted] = 1 + np.arange(len(split)) / 10
    return logits


def write_experiment(
    *,
    split: Split | None = None,
    num_wrong: int = 7,
    num_epochs: int = 5,
    synthetic: bool = True,
    overlapping: int = 0,
    lengths: Mapping[str, TextLengths] | None = None,
) -> None:
    """Write every input of report under the current directory."""
    split = split or make_test_split()
    write_text(paths.PIPELINE, PIPELINE)
    write_text(paths.PARAMS, PARAMS)
    card: dict[str, Any] = {"dataset": "reviews", "kind": "phrase_banks", "revision": "", "synthetic": synthetic}
    card |= {"validation": "drawn from 200 source sentences", "validation_ratio": "balanced"}
    card |= {"test": "made from other phrase banks"}
    card |= {"label_names": list(split.label_names), "partition": "grouped"}
    write_json(paths.DATA_CARD, card | {"positive": split.label_names[1] if split.num_classes == 2 else None})
    write_split(paths.TEST, split)
    _write_predictions(split, make_logits(split, num_wrong=num_wrong))
    write_json(paths.POOL_METRICS, _pool() | _overlap("pool", 2 * overlapping))
    write_json(paths.SUBSET_METRICS, _overlap("subset", overlapping))
    write_lengths(paths.LENGTHS, lengths or dict.fromkeys(("train", "val", "test"), make_lengths([9, 30, 128])))
    write_json(paths.SCORES, _scores(len(split), num_wrong, num_epochs))
    write_json(paths.CLASS_SCORES, _classes(split, num_wrong))
    cost = {"train_seconds": 12.3, "samples_per_second": 412.7, "peak_memory_mib": 1180}
    write_json(paths.COST_METRICS, cost)
    write_json(paths.PROVENANCE_METRICS, PROVENANCE)
    write_text(paths.HISTORY_PLOT, history(num_epochs).to_csv(index=False))


def make_lengths(lengths: Sequence[int], *, most_readable: int | None = 512) -> TextLengths:
    """Texts of so many tokens, of which 128 are read."""
    return TextLengths.of(np.array(lengths), most_read=128, most_readable=most_readable)


def write_dvc_plots() -> None:
    """Write what DVC itself draws, under the current directory."""
    write_text(paths.HISTORY_PLOT, history().to_csv(index=False))
    write_text(paths.CONFUSION_PLOT, "actual,predicted\nnegative,negative\nnegative,positive\npositive,positive\n")
    point = {"train_rows": 1000, "test_accuracy": 0.82, "test_accuracy_low": 0.8, "test_accuracy_high": 0.84}
    write_json(paths.LEARNING_CURVE_PLOT, [point])


def _write_predictions(split: Split, logits: np.ndarray) -> None:
    frame = pd.DataFrame({"row_id": split.row_ids, "label": split.labels, "predicted": logits.argmax(axis=1)})
    for index in range(split.num_classes):
        frame[f"logit_{index}"] = logits[:, index].astype(np.float32)
    Path(paths.TEST_PREDICTIONS).parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(paths.TEST_PREDICTIONS, index=False)


def _pool() -> dict[str, Any]:
    return {
        "rows_read": 67349,
        "rows_empty": 0,
        "rows_duplicate": 371,
        "rows_contradictory": 5,
        "sources_held_out": 200,
        "rows_dropped": 3611,
        "rows_of_held_sources": 3611,
        "rows_overlapping_val": 0,
        "rows_held_out": 1000,
        "pool_rows": 60210,
        "pool_balanced_max": 57368,
        "val_rows_dropped": 0,
    }


def _overlap(against: str, rows: int) -> dict[str, int]:
    kinds = {"equal": 0, "part_of": 0, "contains": rows, "any": rows}
    return {f"{against}_{split}_{kind}": kinds[kind] for split in ("val", "test") for kind in kinds}


def _scores(rows: int, num_wrong: int, num_epochs: int) -> dict[str, Any]:
    accuracy = (rows - num_wrong) / rows
    scores: dict[str, Any] = {"train_rows": 1000}
    for split, split_rows in (("test", rows), ("val", 1000)):
        scores |= {
            f"{split}_accuracy": accuracy,
            f"{split}_accuracy_low": max(0.0, accuracy - 0.03),
            f"{split}_accuracy_high": min(1.0, accuracy + 0.03),
            f"{split}_f1": accuracy,
            f"{split}_loss": 0.415,
            f"{split}_precision": accuracy,
            f"{split}_recall": accuracy,
            f"{split}_rows": split_rows,
        }
    return scores | {
        "best_epoch": min(2, num_epochs),
        "epochs_run": num_epochs,
        "trainable_parameters": 148226,
        "total_parameters": 22861442,
        "trainable_percent": 0.648,
    }


def _classes(split: Split, num_wrong: int) -> dict[str, Any]:
    """As evaluate writes it; 500 training rows of each class."""
    scores = score(make_logits(split, num_wrong=num_wrong), split.labels, confidence_level=0.95)
    training = {name: {"support": 500} for name in split.label_names}
    return {"train": training} | {name: class_table(scores, split.label_names) for name in ("test", "val")}
