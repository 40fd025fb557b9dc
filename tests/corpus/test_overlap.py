from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.corpus import overlap
from stages.corpus.overlap import Overlap, measure_overlap, occurrences, overlap_table, read_words
from tests.corpus.making import make_split, occurs_in

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
        patch.setattr(overlap, "WORDS_AT_ONCE", block)
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
    monkeypatch.setattr(overlap, "TEXTS_AT_ONCE", 7)

    assert read_words(texts).words.tolist() == whole.words.tolist()


WORDS = st.lists(st.sampled_from("abC"), max_size=6).map(" ".join)


def overlaps(texts, training):
    return measure_overlap([make_split([(text, 0) for text in texts])], make_split([(text, 0) for text in training]))[0]


def overlaps_by_definition(texts, training):
    def words(text):
        return text.casefold().split()

    equal = [any(words(text) and words(text) == words(other) for other in training) for text in texts]
    part_of = [any(occurs_in(text, o) and len(words(o)) > len(words(text)) for o in training) for text in texts]
    contains = [any(occurs_in(o, text) and 3 <= len(words(o)) < len(words(text)) for o in training) for text in texts]
    rows = list(zip(equal, part_of, contains, strict=True))
    return Overlap(equal=sum(equal), part_of=sum(part_of), contains=sum(contains), any=sum(map(any, rows)))


@given(texts=st.lists(WORDS, max_size=10), training=st.lists(WORDS, min_size=1, max_size=10))
@settings(deadline=None, max_examples=300)
def test_overlaps_are_those_of_the_definition(texts, training):
    assert overlaps(texts, training) == overlaps_by_definition(texts, training)


def test_a_training_text_of_two_words_is_no_overlap():
    assert overlaps(["what a film this is"], ["a film"]).any == 0
    assert overlaps(["what a film this is"], ["a film this"]).contains == 1


def test_a_row_may_count_as_several_overlaps_but_once_as_any():
    found = overlaps(["one two three four"], ["one two three four", "one two three", "zero one two three four"])

    assert found == Overlap(equal=1, part_of=1, contains=1, any=1)


def test_every_split_is_counted_by_itself():
    splits = {"val": make_split([("new", 0), ("seen", 1)]), "test": make_split([("seen", 0)] * 3)}
    table = overlap_table(splits, make_split([("seen before", 0), ("seen", 1)]), "pool")

    assert table == {
        "pool_val_equal": 1,
        "pool_val_part_of": 1,
        "pool_val_contains": 0,
        "pool_val_any": 1,
        "pool_test_equal": 3,
        "pool_test_part_of": 3,
        "pool_test_contains": 0,
        "pool_test_any": 3,
    }


def test_of_a_pair_both_texts_count():
    training = replace(make_split([("who is he", 0), ("when is it", 1)]), second=["he is the king", "it is at noon"])
    split = replace(
        make_split([("Who is he", 0), ("who is he", 0), ("so who is he", 0), ("who is", 0), ("is he he is", 0)]),
        second=["he is the king", "it is at noon", "he is the king of all", "the king", ""],
    )

    assert measure_overlap([split], training) == [Overlap(equal=1, part_of=0, contains=1, any=2)]
