"""What is kept of an evaluation: predictions row by row for every later comparison, and scores for `dvc metrics`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.foundation.files import write_text
from stages.foundation.split import Split
from stages.scoring.classification import ClassScores, Scores


def write_predictions(path: Path, split: Split, logits: NDArray[np.float32]) -> None:
    """Write row_id, label, predicted (class indices) and logit_0 ... logit_{C-1} as Parquet.

    Args:
        path: Target file.
        split: N rows that were predicted.
        logits: (N, C) float32, in the rows' order.
    """
    frame = pd.DataFrame({"row_id": split.row_ids, "label": split.labels, "predicted": logits.argmax(axis=1)})
    for index in range(logits.shape[1]):
        frame[f"logit_{index}"] = logits[:, index]
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False)


def write_confusion(path: Path, split: Split, logits: NDArray[np.float32]) -> None:
    """Write the true and the predicted class name of each row as CSV, which DVC draws as a matrix."""
    names = np.array(split.label_names)
    frame = pd.DataFrame({"actual": names[split.labels], "predicted": names[logits.argmax(axis=1)]})
    write_text(path, frame.to_csv(index=False))


def score_table(scores: Mapping[str, Scores], train_rows: int) -> dict[str, int | float]:
    """Every score of every split, fractions and nats, under short, flat names; the first ones are the study's table."""
    table: dict[str, int | float] = {"train_rows": train_rows}
    for split, score in scores.items():
        table |= {
            f"{split}_accuracy": score.accuracy.value,
            f"{split}_accuracy_low": score.accuracy.low,
            f"{split}_accuracy_high": score.accuracy.high,
            f"{split}_f1": score.f1,
            f"{split}_loss": score.loss,
            f"{split}_precision": score.precision,
            f"{split}_recall": score.recall,
            f"{split}_rows": score.num_examples,
        }
    return table


def class_table(scores: Scores, label_names: Sequence[str]) -> dict[str, dict[str, int | float]]:
    """Support and scores of each class, fractions, by its name.

    What has nothing under the line is left out: recall without rows, precision without predictions, F1 without both.
    """
    return {name: _class_row(one) for name, one in zip(label_names, scores.by_class, strict=True)}


def support_table(labels: NDArray[np.int64], label_names: Sequence[str]) -> dict[str, dict[str, int | float]]:
    """How many of the rows are of each class, by its name."""
    counts = np.bincount(labels, minlength=len(label_names))
    return {name: {"support": int(number)} for name, number in zip(label_names, counts, strict=True)}


def learning_curve_point(test: Scores, train_rows: int) -> dict[str, int | float]:
    """This experiment's point on the learning curve: accuracy with its interval, fractions."""
    return {
        "train_rows": train_rows,
        "test_accuracy": test.accuracy.value,
        "test_accuracy_low": test.accuracy.low,
        "test_accuracy_high": test.accuracy.high,
    }


def _class_row(scores: ClassScores) -> dict[str, int | float]:
    row: dict[str, int | float] = {"support": scores.support, "predicted": scores.num_predicted}
    if scores.counts:
        row["f1"] = scores.f1
    if scores.num_predicted:
        row["precision"] = scores.precision
    if scores.recall:
        row |= {"recall": scores.recall.value, "recall_low": scores.recall.low, "recall_high": scores.recall.high}
    return row
