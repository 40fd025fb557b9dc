import json

import numpy as np
import pandas as pd
import pytest

from stages import evaluate, train
from stages.engine.lengths import read_lengths
from stages.foundation import paths, versions
from stages.foundation.files import write_json
from stages.foundation.split import write_split
from stages.scoring.classification import score
from tests.engine.conftest import opinions
from tests.pages.workspace import complaint, write_params
from tests.tiny_models import save_tiny_bert

PARAMS = {
    "model": "./tiny",
    "train.epochs": 6,
    "train.precision": "fp32",
    "train.lora.learning_rate": 0.01,
    "train.device": "cpu",
    "evaluate.device": "cpu",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished training; evaluating does not change it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        save_tiny_bert(folder / "tiny")
        write_params(PARAMS)
        write_split(paths.SUBSET, opinions(200))
        write_split(paths.VALIDATION, opinions(40, seed=1))
        write_split(paths.TEST, opinions(61, seed=2))
        write_json(paths.DATA_CARD, {"positive": opinions(1).label_names[1]})
        train.main()
        evaluate.main()
    return folder


@pytest.fixture(autouse=True)
def workspace(trained, empty_folder, monkeypatch):
    monkeypatch.chdir(trained)
    write_params(PARAMS)


def scores():
    return json.loads(paths.SCORES.read_text())


def test_the_scores_are_those_of_the_kept_predictions():
    for name, path in (("test", paths.TEST_PREDICTIONS), ("val", paths.VALIDATION_PREDICTIONS)):
        rows = pd.read_parquet(path)
        logits = rows[["logit_0", "logit_1"]].to_numpy()
        assert scores()[f"{name}_accuracy"] == np.mean(rows.label == rows.predicted)
        assert scores()[f"{name}_rows"] == len(rows)
        np.testing.assert_array_equal(logits.argmax(axis=1), rows.predicted)
        low, high = (scores()[f"{name}_accuracy_{end}"] for end in ("low", "high"))
        assert low < scores()[f"{name}_accuracy"] <= high


def test_validation_scores_repeat_those_of_training():
    history = pd.read_csv(paths.HISTORY_PLOT)
    kept = history[history.epoch == scores()["best_epoch"]].iloc[0]

    assert scores()["val_loss"] == pytest.approx(kept.val_loss, abs=1e-6)  # saved and loaded in between
    assert scores()["val_accuracy"] == kept.val_accuracy
    assert scores()["epochs_run"] == len(history)


def test_every_row_keeps_its_id():
    assert pd.read_parquet(paths.TEST_PREDICTIONS).row_id.tolist() == list(range(61))


def test_the_learning_curve_gets_one_point():
    point = json.loads(paths.LEARNING_CURVE_PLOT.read_text())

    assert [row["train_rows"] for row in point] == [200]
    assert point[0]["test_accuracy"] == scores()["test_accuracy"]


def test_the_parameters_are_counted():
    counted = scores()

    assert counted["trainable_parameters"] == 2 * 2 * 2 * 8 * 32 + 2 * 32 + 2
    assert counted["trainable_percent"] == pytest.approx(
        100 * counted["trainable_parameters"] / counted["total_parameters"]
    )


def test_engine_and_precision_of_the_training_are_told():
    told = json.loads(paths.PROVENANCE_METRICS.read_text())

    assert (told["engine_used"], told["precision_used"], told["device_used"]) == ("packed", "fp32", "cpu")
    assert (told["training_version"], told["method_version"]) == (versions.TRAINING, 1)
    assert scores()["scoring_version"] == versions.SCORING


def test_texts_that_were_cut_are_counted_for_each_split_and_their_lengths_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_tiny_bert(tmp_path / "tiny")
    write_params(PARAMS | {"train.epochs": 1, "train.max_tokens": 6})
    write_json(paths.DATA_CARD, {"positive": None})
    for path, rows in ((paths.SUBSET, 40), (paths.VALIDATION, 10), (paths.TEST, 12)):
        write_split(path, opinions(rows, seed=rows))
    train.main()
    evaluate.main()

    told = capsys.readouterr().out
    for name, rows in (("train", 40), ("val", 10), ("test", 12)):
        tokens = np.array([2 + len(text.split()) for text in opinions(rows, seed=rows).sentences])
        assert 0 < scores()[f"{name}_rows_cut"] == np.sum(tokens > 6)
        assert scores()[f"{name}_tokens_cut"] == np.sum(np.maximum(tokens - 6, 0))
        assert f"{name} {np.sum(tokens > 6)} of {rows} rows" in told
        assert read_lengths(paths.LENGTHS)[name].num_rows == rows
    assert told.count("warning: texts cut at 6 tokens: ") == 2  # by train and by evaluate
    assert told.count("raise train.max_tokens: the model reads up to 128") == 2


def test_where_nothing_is_cut_the_counts_are_0():
    counts = {name: count for name, count in scores().items() if name.endswith("_cut")}
    assert counts == {f"{split}_{what}_cut": 0 for split in ("train", "val", "test") for what in ("rows", "tokens")}


def test_the_scores_of_each_class_are_those_of_the_kept_predictions():
    classes = json.loads(paths.CLASS_SCORES.read_text())

    assert classes["train"] == {"negative": {"support": 100}, "positive": {"support": 100}}
    for name, path in (("test", paths.TEST_PREDICTIONS), ("val", paths.VALIDATION_PREDICTIONS)):
        rows = pd.read_parquet(path)
        for label, numbers in enumerate(classes[name].values()):
            found = (rows.predicted == label)[rows.label == label]
            assert numbers["support"] == len(found)
            assert numbers["recall"] == found.mean()
            assert numbers["recall_low"] <= numbers["recall"] <= numbers["recall_high"]
        assert classes[name]["positive"]["f1"] == scores()[f"{name}_f1"]


def test_the_positive_class_of_the_card_is_scored_and_named(capsys):
    write_json(paths.DATA_CARD, {"positive": "negative"})
    evaluate.main()
    test = json.loads(paths.CLASS_SCORES.read_text())["test"]
    told = capsys.readouterr().out
    chosen = scores()
    write_json(paths.DATA_CARD, {"positive": "positive"})
    evaluate.main()

    assert (chosen["test_f1"], chosen["test_recall"]) == (test["negative"]["f1"], test["negative"]["recall"])
    assert "of the positive class, negative" in told
    assert scores()["test_f1"] == test["positive"]["f1"]


def test_a_class_without_test_rows_is_named_on_the_terminal():
    logits = np.eye(3, dtype=np.float32)[[0, 1]]
    lines = evaluate.told(score(logits, np.array([0, 1]), confidence_level=0.95), 100, ["bad", "good", "so so"], 1)

    assert lines[1] == "test precision 1.000, recall 1.000, F1 1.000: means over 3 classes"
    assert lines[2] == "no test row is of class so so: the scores say nothing of it"


def test_evaluating_again_gives_the_same_bytes():
    files = [
        paths.SCORES,
        paths.CLASS_SCORES,
        paths.LENGTHS,
        paths.CONFUSION_PLOT,
        paths.TEST_PREDICTIONS,
        paths.LEARNING_CURVE_PLOT,
    ]
    before = [file.read_bytes() for file in files]
    evaluate.main()

    assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"evaluate.confidence_level": 95}, "params.yaml: evaluate.confidence_level must be between 0 and 1, got 95.0"),
        ({"evaluate.batch_tokens": 0}, "params.yaml: evaluate.batch_tokens must be at least 1, got 0"),
        ({"evaluate.device": "cuda"}, "there is no cuda device here; `device: cpu` needs none"),
    ],
)
def test_what_cannot_be_is_one_clear_line(changes, expected, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    write_params(PARAMS | changes)

    assert complaint("evaluate", evaluate.main).startswith(f"evaluate: {expected}")
