import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.scoring.mistakes import surest_mistakes

NAMES = tuple("abcd")


def listed(logits, labels, *, limit=99, sentences=None):
    logits = np.asarray(logits, dtype=np.float64)
    return surest_mistakes(
        logits if logits.ndim == 3 else logits[None],
        np.asarray(labels),
        row_ids=np.arange(len(labels)) + 100,
        label_names=NAMES,
        sentences=sentences or {},
        limit=limit,
    )


def test_the_surest_mistake_comes_first_with_its_text_and_names():
    first, second = listed([[0, 1], [3, 0], [0, 2]], [0, 0, 0], sentences={102: "a text"})
    assert (first.row_id, first.sentence, first.actual, first.predicted) == (102, "a text", "a", "b")
    assert np.isclose(first.confidence, 1 / (1 + np.exp(-2)))
    assert (second.row_id, second.sentence) == (100, "")


def test_without_a_mistake_there_is_none_to_show():
    assert listed([[2, 0], [0, 1]], [0, 1]) == []


def test_a_row_that_more_seeds_get_wrong_comes_before_a_surer_one():
    logits = [[[0, 1], [0, 9]], [[0, 1], [1, 0]], [[0, 1], [1, 0]]]
    first, second = listed(logits, [0, 0])
    assert (first.row_id, first.num_wrong, first.num_seeds) == (100, 3, 3)
    assert (second.row_id, second.num_wrong) == (101, 1)


def test_of_several_seeds_the_most_frequent_wrong_class_is_named():
    logits = [[[0, 5, 0]], [[0, 0, 1]], [[0, 0, 1]], [[9, 0, 0]]]
    (mistake,) = listed(logits, [0])
    assert (mistake.predicted, mistake.num_wrong) == ("c", 3)


def test_equals_stay_in_the_order_of_the_rows():
    assert [mistake.row_id for mistake in listed([[0, 1]] * 5, [0] * 5)] == [100, 101, 102, 103, 104]


@settings(deadline=None)
@given(st.data())
def test_only_mistakes_are_shown_in_falling_confidence_and_no_more_than_asked(data):
    num_rows, num_classes = data.draw(st.integers(1, 12)), data.draw(st.integers(2, 4))
    row = st.lists(st.floats(-50, 50), min_size=num_classes, max_size=num_classes)
    logits = np.array(data.draw(st.lists(row, min_size=num_rows, max_size=num_rows)))
    labels = np.array(data.draw(st.lists(st.integers(0, num_classes - 1), min_size=num_rows, max_size=num_rows)))
    limit = data.draw(st.integers(0, 15))

    shown = listed(logits, labels, limit=limit)

    wrong = np.flatnonzero(logits.argmax(axis=1) != labels)
    assert len(shown) == min(limit, len(wrong))
    assert {mistake.row_id - 100 for mistake in shown} <= set(wrong.tolist())
    assert all(mistake.actual != mistake.predicted for mistake in shown)
    confidences = [mistake.confidence for mistake in shown]
    assert confidences == sorted(confidences, reverse=True)
