from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.corpus.cleaning import clean, keep_rows, normalise
from stages.foundation.errors import StudyError
from tests.corpus.making import make_source, make_split


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u3000", "\u0085", "\u2028"])
def test_all_white_space_of_unicode_becomes_single_blanks(space):
    split = normalise(make_split([(f"{space}so{space}{space}good{space}", 1)]))

    assert split.sentences == ["so good"]


@given(rows=st.lists(st.tuples(st.sampled_from(["", "a", "b", "a b", "A"]), st.integers(0, 2)), min_size=1))
def test_what_is_kept_are_first_rows_of_texts_with_one_label(rows):
    labels = defaultdict(set)
    for text, label in rows:
        labels[text].add(label)
    kept, counts = keep_rows(make_split(rows, label_names="abc"))

    first = {text: row for row, (text, _) in reversed(list(enumerate(rows))) if text and len(labels[text]) == 1}
    assert kept.tolist() == sorted(first.values())
    assert counts.rows_read == len(rows) == counts.empty + counts.duplicate + counts.contradictory + counts.kept
    assert counts.empty == sum(not text for text, _ in rows)
    assert counts.contradictory == sum(bool(text) and len(labels[text]) > 1 for text, _ in rows)


def test_texts_that_differ_in_white_space_only_are_duplicates():
    source, counts, _ = clean(make_source([("so  good", 1), (" so good", 1), ("bad", 0)]))

    assert source.train.sentences == ["so good", "bad"]
    assert source.train.row_ids.tolist() == [0, 2]
    assert counts.duplicate == 1


def test_the_test_split_keeps_all_its_rows():
    source, *_ = clean(make_source([("a", 0), ("b", 1)], test=[(" x", 0), ("x", 1), ("x", 1), ("", 0)]))

    assert source.test.sentences == ["x", "x", "x", ""]


def test_a_given_validation_split_is_cleaned_and_groups_follow_their_rows():
    train = [("a", 0), ("a", 0), ("b", 1)]
    validation = [("", 1), ("v", 1)]
    source, _, dropped = clean(make_source(train, validation=validation, groups=[5, 6, 7], validation_groups=[8, 9]))

    assert source.validation.sentences == ["v"]
    assert dropped == 1
    assert source.train_groups.tolist() == [5, 7]
    assert source.validation_groups.tolist() == [9]


def test_a_class_without_rows_is_refused_by_name():
    with pytest.raises(StudyError, match="class yes after cleaning"):
        clean(make_source([("a", 0), ("b", 1), ("b", 0)]))


def test_a_validation_split_without_rows_is_refused():
    with pytest.raises(StudyError, match="validation split is empty"):
        clean(make_source([("a", 0), ("b", 1)], validation=[("", 0)]))


def test_of_a_pair_both_texts_are_read():
    firsts = ["who  ?", "who ?", "who ?", "", "", "when ?", "when ?", "a b"]
    seconds = ["he did", " he did", "she did", " ", "she", "now", "now", ""]
    labels = [0, 0, 0, 1, 1, 0, 1, 1]
    pairs = replace(make_split(list(zip(firsts, labels, strict=True))), second=seconds)
    rows, counts = keep_rows(normalise(pairs))

    assert rows.tolist() == [0, 2, 4, 7]
    assert (counts.duplicate, counts.empty, counts.contradictory) == (1, 1, 2)
