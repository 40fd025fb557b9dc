import shutil
import time

import numpy as np
import pytest

from stages import prepare
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_text
from stages.foundation.params import declared_keys
from stages.foundation.split import read_split
from tests.corpus.real_sst2 import FOLDER, needs_sst2
from tests.pages.workspace import complaint, run_as_program, write_own_data, write_params

OUTPUTS = (paths.POOL, paths.HELD_OUT, paths.TEST, paths.DATA_CARD, paths.POOL_METRICS)
OWN_DATA = {"dataset": "mine", "prepare.validation_rows": 20}


@pytest.fixture
def study():
    """Write params.yaml with changes, then run the page."""

    def run(**changes):
        write_params(OWN_DATA | changes)
        prepare.main()

    write_own_data()
    return run


def test_own_data_become_pool_validation_and_test(study):
    study()
    pool, validation, test = (read_split(path) for path in (paths.POOL, paths.HELD_OUT, paths.TEST))
    metrics = read_json(paths.POOL_METRICS)

    assert np.bincount(validation.labels).tolist() == [10, 10]
    assert len(test) == 60
    assert set(pool.sentences).isdisjoint(validation.sentences)
    assert metrics["pool_rows"] == len(pool)
    assert metrics["pool_balanced_max"] == 2 * np.bincount(pool.labels).min()
    dropped = sum(metrics[f"rows_{why}"] for why in ("empty", "duplicate", "contradictory", "dropped"))
    assert metrics["rows_read"] == dropped + len(pool) + len(validation)
    assert metrics["pool_val_any"] == 0


def test_the_card_says_what_the_data_are(study):
    study()

    assert read_json(paths.DATA_CARD) == {
        "dataset": "mine",
        "kind": "files",
        "revision": "",
        "synthetic": False,
        "label_names": ["0", "1"],
        "positive": "1",
        "partition": "grouped",
        "validation": f"drawn from {read_json(paths.POOL_METRICS)['sources_held_out']} source sentences held out of "
        "the training rows",
        "validation_ratio": "balanced",
        "test": "dev.tsv (there is no test file)",
        "read": [
            {"term": "train split", "told": "train.tsv, tab-separated, 300 rows"},
            {"term": "test split", "told": "dev.tsv, tab-separated, 60 rows"},
            {"term": "texts", "told": "column sentence"},
            {"term": "labels", "told": "column label, names as written"},
            {"term": "classes, training rows", "told": "0 (150), 1 (150)"},
        ],
    }


def test_dataset_yaml_chooses_the_positive_class_and_moves_no_row(study):
    study()
    before = [path.read_bytes() for path in (paths.POOL, paths.HELD_OUT, paths.TEST)]
    write_text(paths.SOURCES / "mine" / "dataset.yaml", "positive: 0\n")
    study()

    assert read_json(paths.DATA_CARD)["positive"] == "0"
    assert [path.read_bytes() for path in (paths.POOL, paths.HELD_OUT, paths.TEST)] == before


def test_a_positive_class_that_is_none_is_refused(study):
    write_text(paths.SOURCES / "mine" / "dataset.yaml", "positive: spam\n")

    with pytest.raises(StudyError, match=r"dataset\.yaml: positive must be 0 or 1, got spam"):
        study()


def test_metrics_are_flat_and_no_name_is_a_param(study):
    study()
    metrics = read_json(paths.POOL_METRICS)
    keys = {key.rpartition(".")[2] for keys in declared_keys().values() for key in keys}

    assert all(type(value) is int for value in metrics.values())
    assert keys.isdisjoint(metrics)


def test_the_same_params_give_the_same_bytes_whatever_samples_and_seed_are(study):
    study()
    first = [path.read_bytes() for path in OUTPUTS]
    study(samples=56000, seed=7)

    assert [path.read_bytes() for path in OUTPUTS] == first


def test_the_split_seed_draws_other_validation_rows(study):
    study()
    first = read_split(paths.HELD_OUT).row_ids.tolist()
    study(**{"prepare.split_seed": 1})

    assert read_split(paths.HELD_OUT).row_ids.tolist() != first


@pytest.mark.parametrize(("ratio", "validating"), [("balanced", [10, 10]), ("natural", [4, 16])])
def test_validation_rows_may_have_the_classes_as_the_pool_has_them(study, capsys, ratio, validating):
    lines = [f"this row stands alone as number {at}\t{'rare' if at % 5 == 0 else 'usual'}" for at in range(200)]
    write_text(paths.SOURCES / "mine/train.tsv", "\n".join(["sentence\tlabel", *lines]) + "\n")
    write_text(paths.SOURCES / "mine/dev.tsv", "sentence\tlabel\nnew one\trare\n")
    study(**{"prepare.validation_ratio": ratio})

    assert np.bincount(read_split(paths.HELD_OUT).labels).tolist() == validating
    assert read_json(paths.DATA_CARD)["validation_ratio"] == ratio
    assert "fewer rows of" not in capsys.readouterr().out


def test_where_no_row_is_held_out_the_pool_has_them_all(study):
    study(**{"prepare.validation_rows": 0})
    metrics = read_json(paths.POOL_METRICS)

    assert len(read_split(paths.HELD_OUT)) == metrics["rows_held_out"] == metrics["pool_val_any"] == 0
    assert metrics["pool_rows"] == len(read_split(paths.POOL)) == metrics["rows_read"] - metrics["rows_duplicate"]


def test_a_random_partition_shows_in_the_overlap(study):
    study(**{"prepare.partition": "random"})

    assert read_json(paths.POOL_METRICS)["pool_val_any"] > 10


def test_it_says_what_it_did(study, capsys):
    study()
    said = capsys.readouterr().out

    assert "train split: train.tsv, tab-separated, 300 rows\n" in said
    assert "classes, training rows: 0 (150), 1 (150)\n" in said
    assert "mine: " in said
    assert "test: 60 rows, dev.tsv (there is no test file); 0 overlap with the pool" in said


def test_it_says_which_rows_were_dropped_and_why_and_which_class_validates_with_fewer(study, capsys):
    lines = [f"this row stands alone as number {at}\t{'rare' if at % 20 == 0 else 'usual'}" for at in range(200)]
    lines += [lines[3], "\tusual", "the same text\trare", "the same text\tusual"]
    write_text(paths.SOURCES / "mine/train.tsv", "\n".join(["sentence\tlabel", *lines]) + "\n")
    write_text(paths.SOURCES / "mine/dev.tsv", "sentence\tlabel\nnew one\trare\n")
    study()
    said = capsys.readouterr().out
    metrics = read_json(paths.POOL_METRICS)

    assert "dropped: 1 without a text\ndropped: 1 that repeat text and label of another\n" in said
    assert "dropped: 2 whose text carries two labels\n" in said
    assert "val: fewer rows of rare (5 of its 10): a class keeps at least half of its rows" in said
    assert metrics["rows_dropped"] == metrics["rows_of_held_sources"] == metrics["rows_overlapping_val"] == 0
    assert metrics["pool_rows"] == 180


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dataset": "absent"}, "dataset 'absent' is no folder in data/sources, which has mine"),
        ({"dataset": 5}, "params.yaml: dataset must be text, got 5"),
        ({"prepare.partition": "magic"}, "params.yaml: prepare.partition must be grouped or random, got 'magic'"),
        ({"prepare.split_seed": -1}, "params.yaml: prepare.split_seed must be 0 or more, got -1"),
        ({"prepare.validation_rows": -1}, "params.yaml: prepare.validation_rows must be 0 or more, got -1"),
        ({"prepare.validation_rows": 1}, "params.yaml: prepare.validation_rows must be at least 2, one for each class"),
        ({"prepare.validation_ratio": "odd"}, "params.yaml: prepare.validation_ratio must be balanced or natural, got"),
        ({"prepare.validation_rows": 10_000}, "params.yaml: prepare.validation_rows asks for 10000 rows, but at most"),
    ],
)
def test_a_bad_param_gets_one_line_and_writes_nothing(changes, expected):
    write_own_data()
    write_params(OWN_DATA | changes)

    assert complaint("prepare", prepare.main).startswith(f"prepare: {expected}")
    assert not paths.POOL.parent.exists()


def test_a_malformed_row_gets_one_line_with_its_number():
    write_text(paths.SOURCES / "mine/train.tsv", "sentence\tlabel\nfine\t1\nbroken\n")
    write_text(paths.SOURCES / "mine/test.tsv", "sentence\tlabel\nfine\t1\n")
    write_params(OWN_DATA)

    expected = "prepare: data/sources/mine/train.tsv, line 3 has 1 value, the header has 2 columns"
    assert complaint("prepare", prepare.main) == expected


def test_the_program_imports_nothing_heavy_and_fails_in_one_line():
    write_own_data()
    write_params(OWN_DATA)
    worked = run_as_program("prepare")
    write_params({"dataset": "absent"})
    failed = run_as_program("prepare")

    assert (worked.returncode, worked.stderr) == (0, "")
    assert worked.stdout.endswith("\n[]\n")
    assert failed.returncode == 1
    assert failed.stderr.startswith("prepare: dataset 'absent'")
    assert failed.stderr.count("\n") == 1


@needs_sst2
def test_sst2_is_prepared_in_seconds(study):
    shutil.copytree(FOLDER, paths.SOURCES / "sst2-files")
    start = time.process_time()
    study(**{"dataset": "sst2-files", "prepare.validation_rows": 1000})

    assert time.process_time() - start < 8
    assert read_json(paths.POOL_METRICS)["pool_balanced_max"] >= 56_000
    assert read_json(paths.DATA_CARD)["test"] == "dev.tsv (there is no test file)"


def test_what_contradicts_itself_in_train_is_told_before_any_data_are_read(monkeypatch):
    monkeypatch.setattr(prepare, "read_source", lambda _: pytest.fail("the data were read"))
    write_params(OWN_DATA | {"train.engine": "packed", "train.lora.use_dora": True})

    expected = "train.lora.use_dora: true is computed by train.engine: plain (or auto), not by packed"
    assert expected in complaint("prepare", prepare.main)
