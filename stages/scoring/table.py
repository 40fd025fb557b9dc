"""Scores under the short, flat names that `dvc metrics` shows."""

from collections.abc import Mapping

from stages.scoring.classification import Scores


def score_table(scores: Mapping[str, Scores], train_rows: int) -> dict[str, int | float]:
    """Every score of every split, fractions and nats; the first columns are the study's table."""
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


def learning_curve_point(test: Scores, train_rows: int) -> dict[str, int | float]:
    """This experiment's point on the learning curve: accuracy with its interval, fractions."""
    return {
        "train_rows": train_rows,
        "test_accuracy": test.accuracy.value,
        "test_accuracy_low": test.accuracy.low,
        "test_accuracy_high": test.accuracy.high,
    }
