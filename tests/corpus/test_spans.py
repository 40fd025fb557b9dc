import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.corpus import spans
from stages.corpus.spans import occurrences, read_words
from tests.corpus.making import occurs_in

LENGTHS = st.one_of(st.integers(0, 5), st.sampled_from([7, 8, 9, 15, 16, 17, 33]))
TEXTS = LENGTHS.flatmap(lambda length: st.lists(st.sampled_from("abA"), min_size=length, max_size=length)).map(" ".join)


def pairs(needles, haystack):
    found = occurrences(read_words(needles), read_words(haystack))
    return {pair for needle, text in found for pair in zip(needle.tolist(), text.tolist(), strict=True)}


def pairs_by_definition(needles, haystack):
    """Of equal needles the first only."""
    first = {}
    for row, needle in enumerate(needles):
        first.setdefault(tuple(needle.casefold().split()), row)
    return {(row, at) for row in first.values() for at, text in enumerate(haystack) if occurs_in(needles[row], text)}


MANY_TEXTS = st.lists(TEXTS, max_size=12)


@given(needles=MANY_TEXTS, haystack=MANY_TEXTS, block=st.sampled_from([1, 7, 10**6]))
@settings(deadline=None, max_examples=300)
def test_exactly_the_pairs_of_the_definition_are_found(needles, haystack, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "WORDS_AT_ONCE", block)
        assert pairs(needles, haystack) == pairs_by_definition(needles, haystack)


@given(texts=MANY_TEXTS)
@settings(deadline=None)
def test_texts_are_found_in_each_other(texts):
    assert pairs(texts, texts) == pairs_by_definition(texts, texts)


def test_a_run_of_words_does_not_go_on_in_the_next_text():
    assert pairs(["b c"], ["a b", "c d"]) == set()


def test_parts_of_words_are_no_words():
    assert pairs(["art"], ["a part of it"]) == set()


def test_the_order_of_words_matters():
    assert pairs(["not good but bad"], ["not bad but good", "well , not good but bad ."]) == {(0, 1)}


def test_each_place_is_reported():
    needles, texts = next(occurrences(read_words(["a"]), read_words(["a b a", "a"])))

    assert needles.tolist() == [0, 0, 0]
    assert texts.tolist() == [0, 0, 1]


@given(texts=st.lists(TEXTS, min_size=1, max_size=12), data=st.data())
@settings(deadline=None)
def test_taken_texts_are_like_texts_read_anew(texts, data):
    rows = np.array(data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=8)), dtype=np.int64)
    taken, anew = read_words(texts).take(rows), read_words([texts[row] for row in rows])

    assert taken.words.tolist() == anew.words.tolist()
    assert taken.starts.tolist() == anew.starts.tolist()
    assert taken.prefix.tolist() == anew.prefix.tolist()


def test_equal_texts_know_the_first_of_them():
    assert read_words(["a b", "c", "A  B", "", "b a", " "]).first_equal().tolist() == [0, 1, 0, 3, 4, 3]


def test_many_texts_are_read_in_blocks(monkeypatch):
    texts = [f"word{row} of {row}" for row in range(50)]
    whole = read_words(texts)
    monkeypatch.setattr(spans, "TEXTS_AT_ONCE", 7)

    assert read_words(texts).words.tolist() == whole.words.tolist()
