"""Tables to labelled texts: which column, which class, which row is at fault."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.corpus.sources.labelling import label_splits, number_groups
from stages.corpus.sources.settings import ColumnSettings
from stages.corpus.sources.table import Table
from stages.foundation.errors import StudyError

TEXTS = st.text(max_size=12)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=4)
NUMBERS = st.integers(-9, 9).map(str)


def table(rows, name="train.tsv", columns=("text", "label"), unit="line"):
    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    frame.index = pd.RangeIndex(2, len(frame) + 2, name=unit)  # a header stands above
    return Table(name, frame)


def labelled(train, test=None, **columns):
    tables = {"train": table(train), "test": table(train if test is None else test, "test.tsv")}
    return label_splits(tables, ColumnSettings(**columns)).splits


def named(split):
    """The rows as texts and names of classes."""
    return [(text, split.label_names[label]) for text, label in zip(split.sentences, split.labels, strict=True)]


@given(
    rows=st.lists(st.tuples(TEXTS, st.one_of(NAMES, NUMBERS)), min_size=2, max_size=20).filter(
        lambda r: len(dict(map(reversed, r))) > 1
    )
)
def test_every_text_keeps_its_label_and_classes_are_numbered_in_order(rows):
    train = labelled(rows)["train"]

    assert named(train) == rows
    found = {label for _, label in rows}
    if all(re.fullmatch(r"0|-?[1-9][0-9]*", label) for label in found):
        assert list(train.label_names) == [str(number) for number in sorted(map(int, found))]
    else:
        assert list(train.label_names) == sorted(found)
    assert train.row_ids.tolist() == list(range(len(rows)))


@given(names=st.lists(NAMES.filter(lambda name: not name.lstrip("-").isdigit()), min_size=2, max_size=5, unique=True))
def test_given_names_are_found_in_the_data_by_name_and_by_index(names):
    by_name = labelled([(name, name) for name in names], label_names=names)["train"]
    by_index = labelled([(name, str(at)) for at, name in enumerate(names)], label_names=names)["train"]

    for train in (by_name, by_index):
        assert train.label_names == tuple(names)
        assert train.labels.tolist() == list(range(len(names)))


@pytest.mark.parametrize(
    ("written", "class_name"),
    [(True, "true"), (1, "1"), (1.0, "1"), (" a ", "a"), (-1.0, "-1"), ("01", "01"), ("1.0", "1.0")],
)
def test_a_label_is_spelled_as_people_write_it(written, class_name):
    train = labelled([("x", written), ("y", "other")])["train"]

    assert named(train)[0] == ("x", class_name)


@pytest.mark.parametrize("none", [None, float("nan"), "", "  ", [1]])
def test_what_is_no_label_is_refused_where_it_stands(none):
    with pytest.raises(StudyError, match=r"^train\.tsv, line 4 has no label: column label must hold whole numbers or"):
        labelled([("a", "0"), ("b", "1"), ("c", none)])


def test_a_class_that_training_never_saw_is_refused_where_it_stands():
    with pytest.raises(
        StudyError, match=r"^test\.tsv, line 3: unknown label 'c'; the classes are a, b, as the training rows"
    ):
        labelled([("x", "a"), ("y", "b")], [("z", "a"), ("z", "c")])


def test_a_class_that_training_alone_knows_keeps_its_number_in_the_test_split():
    splits = labelled([("x", "a"), ("y", "b"), ("z", "c")], [("z", "c")])

    assert splits["test"].labels.tolist() == [2]
    assert splits["test"].label_names == splits["train"].label_names == ("a", "b", "c")


@pytest.mark.parametrize("given_names", [["a"], ["a", "a"], ["a", "b", "a"], ["a", ""], []])
def test_names_that_name_nothing_are_refused(given_names):
    with pytest.raises(StudyError, match="label_names must hold at least two names, each of them once, got"):
        labelled([("x", "a"), ("y", "b")], label_names=given_names)


def test_training_rows_of_one_class_teach_nothing():
    with pytest.raises(StudyError, match=r"^the training rows have one class only \(a\); there must be at least two$"):
        labelled([("x", "a"), ("y", "a")], [("z", "a"), ("z", "b")])


def test_hidden_labels_are_told_from_unknown_ones():
    with pytest.raises(StudyError, match=r"test\.tsv, line 2: the labels are hidden \(-1\)"):
        labelled([("x", "0"), ("y", "1")], [("z", -1)])


def test_a_named_column_goes_before_the_usual_ones():
    tables = {
        name: table([("s", "t", "u", "0"), ("s", "t", "u", "1")], columns=("sentence", "text", "mine", "label"))
        for name in ("train", "test")
    }

    assert label_splits(tables, ColumnSettings(text="mine")).splits["test"].sentences == ["u", "u"]


def test_two_texts_of_a_row_are_a_pair():
    rows = [("who ?", "he did", "0"), ("when ?", None, "1")]
    tables = {name: table(rows, columns=("question", "sentence", "label")) for name in ("train", "test")}
    train = label_splits(tables, ColumnSettings(text=["question", "sentence"])).splits["train"]

    assert (train.sentences, train.second) == (["who ?", "when ?"], ["he did", ""])


def test_a_missing_text_is_empty_and_a_number_is_none():
    assert labelled([(None, "0"), (float("nan"), "1")])["train"].sentences == ["", ""]
    with pytest.raises(StudyError, match=r"^train\.tsv, line 3: column text must hold texts, found 5$"):
        labelled([("a", "0"), (5, "1")])


def test_a_complaint_counts_in_the_units_of_the_file():
    assert table([("a", 0)], "a.tsv").place(0) == "a.tsv, line 2"
    assert table([("a", 0)], "a.parquet", unit="row").place(0) == "a.parquet, row 2"
    assert Table("the Hub", pd.DataFrame({"text": ["a"]})).place(0) == "the Hub, row 0"


def test_a_column_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(StudyError, match=r"^train\.tsv has no column by; it has text, label: say in dataset\.yaml"):
        table([("a", 0)]).values("by")


@given(
    train=st.lists(st.one_of(NAMES, st.integers(0, 3)), min_size=1),
    validation=st.lists(st.one_of(NAMES, st.integers(0, 3)), min_size=1),
)
def test_rows_share_a_group_number_if_and_only_if_their_groups_are_written_alike(train, validation):
    tables = {
        name: table([(group,) for group in groups], name, columns=("by",))
        for name, groups in (("train", train), ("validation", validation))
    }

    numbers = number_groups(tables, "by")

    assert [len(numbers[name]) for name in ("train", "validation")] == [len(train), len(validation)]
    assert all(found.dtype == np.int64 for found in numbers.values())
    pairs = set(zip(map(str, train + validation), np.concatenate(list(numbers.values())).tolist(), strict=True))
    assert len(pairs) == len({group for group, _ in pairs}) == len({number for _, number in pairs})


@pytest.mark.parametrize("none", [None, "", " "])
def test_a_row_without_a_group_is_named(none):
    tables = {"train": table([("kim",), (none,)], columns=("by",))}

    with pytest.raises(StudyError, match=r"^train\.tsv, line 3 has no group in column by; give it one of its own$"):
        number_groups(tables, "by")
