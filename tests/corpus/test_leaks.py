from hypothesis import given, settings
from hypothesis import strategies as st

from stages.corpus.leaks import Leaks, leak_table, measure_leaks
from tests.corpus.making import make_split, occurs_in

WORDS = st.lists(st.sampled_from("abC"), max_size=6).map(" ".join)


def leaks(texts, training):
    return measure_leaks([make_split([(text, 0) for text in texts])], make_split([(text, 0) for text in training]))[0]


def leaks_by_definition(texts, training):
    def words(text):
        return text.casefold().split()

    equal = [any(words(text) and words(text) == words(other) for other in training) for text in texts]
    part_of = [any(occurs_in(text, o) and len(words(o)) > len(words(text)) for o in training) for text in texts]
    contains = [any(occurs_in(o, text) and 3 <= len(words(o)) < len(words(text)) for o in training) for text in texts]
    rows = list(zip(equal, part_of, contains, strict=True))
    return Leaks(equal=sum(equal), part_of=sum(part_of), contains=sum(contains), any=sum(map(any, rows)))


@given(texts=st.lists(WORDS, max_size=10), training=st.lists(WORDS, min_size=1, max_size=10))
@settings(deadline=None, max_examples=300)
def test_leaks_are_those_of_the_definition(texts, training):
    assert leaks(texts, training) == leaks_by_definition(texts, training)


def test_a_training_text_of_two_words_is_no_leak():
    assert leaks(["what a film this is"], ["a film"]).any == 0
    assert leaks(["what a film this is"], ["a film this"]).contains == 1


def test_a_row_may_count_as_several_leaks_but_once_as_any():
    found = leaks(["one two three four"], ["one two three four", "one two three", "zero one two three four"])

    assert found == Leaks(equal=1, part_of=1, contains=1, any=1)


def test_every_split_is_counted_by_itself():
    splits = {"val": make_split([("new", 0), ("seen", 1)]), "test": make_split([("seen", 0)] * 3)}
    table = leak_table(splits, make_split([("seen before", 0), ("seen", 1)]), "pool")

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
