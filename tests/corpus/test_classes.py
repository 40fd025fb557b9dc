"""What labels mean: names, indices, indices that count from 1, the file's own names, or no classes at all."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.corpus.sources.classes import find_classes, hides_labels
from stages.corpus.sources.settings import ColumnSettings
from stages.corpus.sources.table import Table
from stages.foundation.errors import StudyError


def table(labels, name="train.csv", own=None):
    frame = pd.DataFrame({"label": list(labels)}, dtype=object)
    frame.index = pd.RangeIndex(2, len(frame) + 2, name="line")
    return Table(name, frame, class_names={} if own is None else {"label": own})


def named(train, test=None, own=None, test_own=None, **columns):
    """The names of the classes of the training rows, then of the test rows."""
    tables = {"train": table(train, own=own), "test": table(train if test is None else test, "test.csv", test_own)}
    classes = find_classes(tables, ColumnSettings(**columns))
    told = [[classes.names[label] for label in classes.labels[split]] for split in tables]
    return told[0] if test is None else told


def complaint(*args, **kwargs):
    with pytest.raises(StudyError) as caught:
        named(*args, **kwargs)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


@pytest.mark.parametrize("form", ["{}.0", "{}.00", "{}.", "{}"])
def test_whole_numbers_with_a_point_are_whole_numbers(form):
    labels = [form.format(number) for number in (0, 1, 2, 1)]

    assert named(labels, ["2", 0, 1.0, "1.0"]) == [["0", "1", "2", "1"], ["2", "0", "1", "1"]]
    assert named(labels, label_names=["bad", "fair", "good"]) == ["bad", "fair", "good", "fair"]


def test_a_number_with_a_point_among_names_stays_as_it_is():
    assert named(["1.0", "beta"], ["1.0"]) == [["1.0", "beta"], ["1.0"]]


@pytest.mark.parametrize("labels", [["False", "True"], ["false", "TRUE"], [False, True]])
def test_truth_values_are_one_pair_of_classes_however_they_are_written(labels):
    assert named(labels, [True, "true"]) == [["false", "true"], ["true", "true"]]
    assert named(labels, label_names=["bad", "good"]) == ["bad", "good"]
    assert named(labels, label_names=["True", "False"]) == ["False", "True"]


@given(names=st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=6, unique=True))
def test_labels_that_count_from_one_are_read_where_nothing_else_fits(names):
    numbers = [str(at + 1) for at in range(len(names))]

    assert named(numbers, label_names=names) == names
    assert named([float(number) for number in numbers], label_names=names) == names


def test_a_test_row_may_tell_where_counting_starts():
    names = ["awful", "poor", "fair", "good", "great"]

    assert named(["1", "2", "3", "4"], ["5"], label_names=names)[1] == ["great"]
    assert named(["1", "2", "3", "4"], ["0"], label_names=names)[1] == ["awful"]


@pytest.mark.parametrize("form", [str, int, float])
def test_where_counting_may_start_at_either_the_two_lines_that_settle_it_are_told(form):
    names, labels = ["a", "b", "c", "d"], [form(1), form(2), form(3)]

    assert complaint(labels, label_names=names) == (
        "train.csv: label 1 can be an index that counts from 0, class b (`label_values: indices`) or one that counts "
        "from 1, class a (`label_values: indices_from_1`); say in dataset.yaml which"
    )
    assert named(labels, label_names=names, label_values="indices") == ["b", "c", "d"]
    assert named(labels, label_names=names, label_values="indices_from_1") == ["a", "b", "c"]


@given(order=st.permutations([str(number) for number in range(12)]), form=st.sampled_from([str, int, float]))
def test_numbers_that_may_be_names_or_indices_are_refused_with_both_unless_they_agree(order, form):
    labels = [form(number) for number in order]
    if order == sorted(order, key=int):
        assert named(labels, label_names=order) == order
        return
    told = complaint(labels, label_names=order)

    assert "can be the name of class" in told
    assert "`label_values: names`" in told
    assert "an index that counts from 0, class" in told
    assert "`label_values: indices`" in told
    assert named(labels, label_names=order, label_values="names") == order
    assert named(labels, label_names=order, label_values="indices") == [order[int(label)] for label in order]


def test_numbers_that_are_no_indices_are_names():
    assert named(["1", "2"], label_names=[2, 1]) == ["1", "2"]
    assert named([5, 3, 1], label_names=[1, 3, 5]) == ["5", "3", "1"]


@given(names=st.permutations(["0", "1", "2", "10"]))
def test_a_file_that_names_its_classes_is_never_in_doubt(names):
    assert named([0, 1, 2, 3], own=names) == names
    assert named([0, 1, 2, 3], own=names, test=[3, 0], test_own=names[::-1])[1] == [names[0], names[3]]
    assert named([0, 1, 2, 3], own=names, label_names=["a", "b", "c", "d"]) == ["a", "b", "c", "d"]
    assert named([0, 1, 2, 3], own=names, label_names=names[::-1]) == names


def test_a_file_without_names_follows_one_that_has_some():
    assert named([1, 0], own=["bad", "good"], test=["0", "1", "1"]) == [["good", "bad"], ["bad", "good", "good"]]
    assert named([1, 0], own=["bad", "good"], test=["good"])[1] == ["good"]
    assert named(["bad", "good"], [1, 0], test_own=["bad", "good"]) == [["bad", "good"], ["good", "bad"]]


def test_names_that_fit_neither_the_file_nor_take_its_place_are_refused():
    told = "train.csv names its classes bad, good, which does not fit good, great; `label_names` in dataset.yaml may"

    assert complaint([0, 1], own=["bad", "good"], label_names=["good", "great"]).startswith(told)
    assert complaint([0, 1], own=["bad", "good"], test=[0], test_own=["no", "yes"]).startswith("test.csv names")


@pytest.mark.parametrize(
    "labels",
    [
        [f"{number / 997:.4f}" for number in range(300)],
        [number / 997 for number in range(300)],
        ["1.5", "2.5", "1.5", "2"],
        ["0,5", "0,25", "1"],
        ["1e-3", "2e-3"],
        ["007", "0.5"],
    ],
)
def test_measured_numbers_are_no_classes(labels):
    told = complaint(labels)

    assert told.startswith("train.csv, line ")
    assert "column label holds numbers such as" in told
    assert "not classes; name the column of the classes with `label:` in dataset.yaml" in told
    assert len(set(named(labels, label_values="names"))) == len(set(labels))


def test_numbers_with_zeros_before_are_classes_as_written():
    assert named(["007", "7", "007"]) == ["007", "7", "007"]


def test_minus_one_among_others_may_be_a_class_or_hide_a_label():
    told = complaint([-1, 1, 0], label_names=["bad", "fair", "good"])

    assert "the labels are hidden" not in told
    assert told.endswith("dataset.yaml names the classes as they are written: `label_names: [-1, 0, 1]`")
    assert named([-1, 1, 0], label_names=[-1, 0, 1]) == ["-1", "1", "0"]


def test_a_label_that_training_never_saw_is_answered_with_what_to_do():
    told = complaint(["bad", "good"], ["fair"])

    assert told.endswith(
        "the classes are bad, good, as the training rows have them: add such rows there, or remove them here"
    )


def test_names_that_replace_those_of_a_file_are_told():
    tables = {"train": table([0, 1], own=["0", "1"]), "test": table([1], "test.csv", ["0", "1"])}
    given = find_classes(tables, ColumnSettings(label_names=["bad", "good"]))

    assert given.told == "indices: 0 is bad, 1 is good"
    assert find_classes(tables, ColumnSettings()).told == "indices whose names the file itself gives"


@pytest.mark.parametrize("labels", [list(range(100)), [f"order {at}" for at in range(60)]])
def test_values_that_hardly_repeat_are_no_classes(labels):
    assert f"column label holds {len(labels)} different values in {len(labels)} rows, such as" in complaint(labels)
    assert len(set(named(labels, label_values="names"))) == len(labels)


def test_few_rows_of_many_classes_are_classes():
    assert len(set(named([f"class{at % 24}" for at in range(24 * 3)]))) == 24


@pytest.mark.parametrize("many", [["a" * 500, "b" * 900], [f"name {at}" for at in range(90)] * 3])
def test_an_unknown_label_is_told_in_a_short_line(many):
    assert "test.csv, line 2: unknown label" in complaint(many, ["c" * 700])


def test_a_class_that_differs_by_case_alone_is_pointed_at():
    assert complaint(["bad", "good"], ["Bad"]).endswith("the classes are bad, good (bad differs by case alone)")


def test_indices_need_names():
    assert complaint(["0", "1"], label_values="indices") == (
        "`label_values: indices` needs `label_names` in dataset.yaml as well"
    )


@pytest.mark.parametrize(
    ("test", "train", "hidden"),
    [
        ([-1, -1], [0, 1], True),
        (["-1"], ["0", "1"], True),
        ([-1.0, "-1.0"], [0, 1], True),
        ([None, ""], [0, 1], True),
        (["?", "?"], [0, 1], True),
        (["unknown", None], ["bad", "good"], True),
        (["?"], ["?", "yes"], False),
        ([[0], [1]], [0, 1], False),
        ([-1, 1], [0, 1], False),
        ([-1], [-1, 1], False),
        (["0"], ["0", "1"], False),
    ],
)
def test_labels_are_hidden_where_none_is_told(test, train, hidden):
    assert hides_labels(table(test), table(train), "label") is hidden
