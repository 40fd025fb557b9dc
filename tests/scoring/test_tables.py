import numpy as np
import pandas as pd

from stages.foundation.split import Split
from stages.scoring.classification import score
from stages.scoring.tables import (
    class_table,
    learning_curve_point,
    score_table,
    support_table,
    write_confusion,
    write_predictions,
)

SPLIT = Split(
    row_ids=np.array([7, 9]), sentences=["a", "b"], labels=np.array([0, 1]), label_names=("negative", "positive")
)
LOGITS = np.array([[2.0, -1.0], [0.5, 0.25]], dtype=np.float32)


def test_predictions_are_kept_row_by_row(tmp_path):
    write_predictions(tmp_path / "p.parquet", SPLIT, LOGITS)
    frame = pd.read_parquet(tmp_path / "p.parquet")

    assert frame.columns.tolist() == ["row_id", "label", "predicted", "logit_0", "logit_1"]
    assert frame.row_id.tolist() == [7, 9]
    assert frame.label.tolist() == [0, 1]
    assert frame.predicted.tolist() == [0, 0]
    np.testing.assert_array_equal(frame[["logit_0", "logit_1"]].to_numpy(), LOGITS)


def test_the_confusion_plot_names_the_classes(tmp_path):
    write_confusion(tmp_path / "c.csv", SPLIT, LOGITS)

    assert (tmp_path / "c.csv").read_text() == "actual,predicted\nnegative,negative\npositive,negative\n"


def test_the_tables_carry_value_and_interval():
    scores = score(LOGITS, SPLIT.labels, confidence_level=0.95)
    table = score_table({"test": scores}, train_rows=1000)
    point = learning_curve_point(scores, train_rows=1000)

    assert next(iter(table)) == "train_rows"
    assert table["test_accuracy"] == point["test_accuracy"] == 0.5
    assert table["test_accuracy_low"] == point["test_accuracy_low"] == scores.accuracy.low
    assert table["test_rows"] == 2


def test_the_table_of_classes_leaves_out_what_nothing_can_be_measured_of():
    logits = np.eye(4, dtype=np.float32)[[0, 0, 1]]
    table = class_table(score(logits, np.array([0, 2, 2]), confidence_level=0.95), ["a", "b.c", "d e", "f"])

    assert list(table) == ["a", "b.c", "d e", "f"]
    assert set(table["a"]) == {"support", "predicted", "f1", "precision", "recall", "recall_low", "recall_high"}
    assert (table["a"]["support"], table["a"]["predicted"], table["a"]["precision"]) == (1, 2, 0.5)
    assert table["a"]["recall_low"] < table["a"]["recall"] == table["a"]["recall_high"] == 1
    assert table["b.c"] == {"support": 0, "predicted": 1, "f1": 0, "precision": 0}
    assert set(table["d e"]) == {"support", "predicted", "f1", "recall", "recall_low", "recall_high"}
    assert table["f"] == {"support": 0, "predicted": 0}


def test_the_rows_of_every_class_are_counted_also_where_there_is_none():
    assert support_table(np.array([1, 1, 0]), ["a", "b", "c"]) == {
        "a": {"support": 1},
        "b": {"support": 2},
        "c": {"support": 0},
    }
