from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.foundation.errors import StudyError
from stages.foundation.split import BOUNDARY, Split, read_split, write_split

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(sentences=st.lists(texts, min_size=1, max_size=20), names=st.lists(texts, min_size=1, max_size=4, unique=True))
@settings(deadline=None)
def test_a_split_survives_its_file(tmp_path_factory, sentences, names):
    path = tmp_path_factory.mktemp("split") / "rows.parquet"
    split = Split(
        row_ids=np.arange(len(sentences))[::-1].copy(),
        sentences=sentences,
        labels=np.arange(len(sentences)) % len(names),
        label_names=tuple(names),
    )
    write_split(path, split)
    back = read_split(path)

    assert back.sentences == split.sentences
    assert back.label_names == split.label_names
    np.testing.assert_array_equal(back.row_ids, split.row_ids)
    np.testing.assert_array_equal(back.labels, split.labels)


def test_equal_splits_make_equal_bytes(tmp_path):
    split = Split(row_ids=np.arange(2), sentences=["a", "b"], labels=np.array([0, 1]), label_names=("n", "p"))
    for name in ("one", "two"):
        write_split(tmp_path / name, split)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_rows_are_taken_in_the_order_asked_for():
    split = Split(row_ids=np.arange(3), sentences=["a", "b", "c"], labels=np.array([0, 1, 0]), label_names=("n", "p"))

    taken = split.take(np.array([2, 0]))

    assert taken.sentences == ["c", "a"]
    assert taken.row_ids.tolist() == [2, 0]
    assert len(taken) == 2
    assert taken.num_classes == 2


def test_pairs_of_texts_stay_together(tmp_path):
    split = Split(
        row_ids=np.arange(2),
        sentences=["a", "b"],
        labels=np.array([0, 1]),
        label_names=("n", "p"),
        second=["x", "y"],
    )
    write_split(tmp_path / "rows.parquet", split.take(np.array([1, 0])))

    back = read_split(tmp_path / "rows.parquet")

    assert list(zip(back.sentences, back.second, strict=True)) == [("b", "y"), ("a", "x")]
    assert back.quoted == ["b\ny", "a\nx"]


def test_a_missing_file_says_what_to_run(tmp_path):
    with pytest.raises(StudyError, match="dvc repro"):
        read_split(tmp_path / "none.parquet")


def test_a_row_is_one_text_of_a_pair_both():
    split = Split(row_ids=np.arange(2), sentences=["a b", "c"], labels=np.array([0, 1]), label_names=("n", "p"))
    pairs = replace(split, second=["c", "a b"])

    assert split.texts == ["a b", "c"]
    assert [text.split() for text in pairs.texts] == [["a", "b", BOUNDARY, "c"], ["c", BOUNDARY, "a", "b"]]
