"""Which file of a folder is which split."""

import gzip

import pytest

from stages.corpus.sources.file_tables import find_tables
from stages.corpus.sources.settings import FilesSettings
from stages.foundation.errors import StudyError

CSV = "text,label\ngood {0},1\nbad {0},0\n"
BODIES = {
    "csv": CSV,
    "tsv": CSV.replace(",", "\t"),
    "jsonl": '{{"text": "good {0}", "label": 1}}\n{{"text": "bad {0}", "label": 0}}\n',
    "json": '[{{"text": "good {0}", "label": 1}}, {{"text": "bad {0}", "label": 0}}]',
}
PLAIN = FilesSettings()
HIDDEN = "text,label\nsecret,{}\nsecret too,{}\n"


def found(folder, *names, keys=PLAIN, **contents):
    """The first text of each split, where the test split comes from, and what was left unused."""
    for name in names:
        stem, _, ending = name.partition(".")
        body = BODIES[ending.lower().removesuffix(".gz")].format(stem.lower()).encode()
        (folder / name).write_bytes(gzip.compress(body) if ending.endswith("gz") else body)
    for name, content in contents.items():
        (folder / f"{name}.csv").write_text(content)
    files = find_tables(folder, keys)
    return {split: table.values("text")[0] for split, table in files.tables.items()}, files.test_origin, files.unused


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "Val", "DEV"])
@pytest.mark.parametrize("ending", ["csv", "tsv", "json", "jsonl", "csv.gz", "json.gz", "CSV"])
def test_a_file_for_validation_has_one_of_four_names(tmp_path, name, ending):
    texts = {"train": "good train", "test": "good test", "validation": f"good {name.lower()}"}

    assert found(tmp_path, "train.csv", "test.jsonl", f"{name}.{ending}") == (texts, "test.jsonl", [])


@pytest.mark.parametrize("name", ["dev.tsv", "val.csv", "validation.json.gz"])
def test_it_is_the_test_split_where_there_is_no_test_file(tmp_path, name):
    texts = {"train": "good train", "test": f"good {name.partition('.')[0]}"}

    assert found(tmp_path, "train.csv", name) == (texts, f"{name} (there is no test file)", [])


def test_of_dev_and_validation_dev_is_the_test_split(tmp_path):
    texts, origin, _ = found(tmp_path, "train.csv", "dev.csv", "valid.csv")

    assert texts == {"train": "good train", "test": "good dev", "validation": "good valid"}
    assert origin == "dev.csv (there is no test file)"


@pytest.mark.parametrize("name", ["validation.csv", "valid.json", "val.tsv", "dev.csv.gz"])
@pytest.mark.parametrize("hidden", ["-1", "-1.0", "", "?", "None", "unknown"])
def test_a_test_file_that_hides_its_labels_gives_way_to_one_that_has_some(tmp_path, name, hidden):
    texts, origin, unused = found(tmp_path, "train.tsv", name, test=HIDDEN.format(hidden, hidden))

    assert texts == {"train": "good train", "test": f"good {name.partition('.')[0]}"}
    assert origin == f"{name} (test.csv hides its labels)"
    assert unused == ["test.csv"]


def test_a_label_of_minus_one_that_training_knows_hides_nothing(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,1\nb,-1\n")
    texts, origin, _ = found(tmp_path, "dev.csv", test=HIDDEN.format(-1, -1))

    assert origin == "test.csv"
    assert texts["validation"] == "good dev"


@pytest.mark.parametrize("name", ["dev.csv", "README.md"])
def test_a_test_file_without_the_header_of_the_training_file_is_not_taken_for_one_without_labels(tmp_path, name):
    (tmp_path / name).write_text(CSV)
    with pytest.raises(StudyError) as caught:
        found(tmp_path, "train.csv", test="a lamp that works,1\na cable that does not,0\n")

    assert "test.csv has none of the columns of " in str(caught.value)
    assert str(caught.value).endswith("put a line with their names, text, label, above its rows")


def test_a_first_line_that_may_name_the_columns_is_no_row_in_silence(tmp_path):
    review = CSV.replace("text,label", "review,stars") + "fine,1\ndull,0\n"
    keys = FilesSettings(columns=["text", "label"])
    with pytest.raises(StudyError) as caught:
        found(tmp_path, keys=keys, train=review, test=review)

    assert str(caught.value).endswith(
        "train.csv, line 1: no other row has the label stars. If the line names the columns, leave `columns` out of "
        "dataset.yaml and say `label: stars`; if it is a row, say what the classes are called, `label_names`"
    )
    named = FilesSettings(columns=["text", "label"], label_names=["0", "1", "stars"])
    assert found(tmp_path, keys=named)[0]["train"] == "review"
    rows = review.partition("\n")[2]
    assert found(tmp_path, keys=keys, train=rows, test=rows)[1] == "test.csv"


def test_files_that_are_left_are_named_and_what_holds_no_data_is_not(tmp_path):
    (tmp_path / "old").mkdir()
    for name in ("README.md", ".gitignore", "train.csv.dvc", "dataset.yaml", "LICENSE", "train-2.csv", "notes.txt"):
        (tmp_path / name).touch()

    assert found(tmp_path, "train.csv", "test.csv")[2] == ["notes.txt", "old", "train-2.csv"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train.csv", "test.csv", "val.csv", "dev.csv"), "val.csv and dev.csv may each be the one to take"),
        (
            ("train.csv", "test.csv", "valid.csv", "val.tsv"),
            "`splits: {train: train.csv, validation: valid.csv, test: ",
        ),
        (("train.csv", "val.csv", "valid.csv"), "there is no test file, and valid.csv and val.csv may each be"),
        (("train.csv", "train.csv.gz", "test.csv"), "has train.csv and train.csv.gz: keep one, or say in dataset.yaml"),
        (("train.csv", "test.csv", "val.csv", "VAL.csv"), "has VAL.csv and val.csv: keep one"),
    ],
)
def test_two_files_that_may_be_the_same_split_are_refused_with_the_lines_that_settle_it(tmp_path, names, expected):
    with pytest.raises(StudyError) as caught:
        found(tmp_path, *names)

    assert expected in str(caught.value)
