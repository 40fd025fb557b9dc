import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.foundation.split import Split
from stages.reporting.worst_errors import worst_errors
from tests.reporting.finished_experiment import make_logits, make_test_split


def test_the_surest_mistake_comes_first_with_its_text_and_names():
    split = make_test_split()
    first, *_ = worst_errors(split, make_logits(split, num_wrong=7), limit=3)
    assert (first.row_id, first.sentence) == (6, "sentence number 6")
    assert (first.actual, first.predicted) == ("negative", "positive")
    assert np.isclose(first.confidence, 1 / (1 + np.exp(-1.6)))


def test_without_a_mistake_there_is_none_to_show():
    split = make_test_split()
    assert worst_errors(split, make_logits(split, num_wrong=0), limit=3) == []


@settings(deadline=None)
@given(st.data())
def test_only_mistakes_are_shown_in_falling_confidence_and_no_more_than_asked(data):
    num_rows, num_classes = data.draw(st.integers(1, 12)), data.draw(st.integers(2, 4))
    logits = np.array(
        data.draw(
            st.lists(
                st.lists(st.floats(-50, 50), min_size=num_classes, max_size=num_classes),
                min_size=num_rows,
                max_size=num_rows,
            )
        )
    )
    labels = np.array(data.draw(st.lists(st.integers(0, num_classes - 1), min_size=num_rows, max_size=num_rows)))
    limit = data.draw(st.integers(0, 15))
    split = Split(
        row_ids=np.arange(num_rows) + 100,
        sentences=[str(row) for row in range(num_rows)],
        labels=labels,
        label_names=tuple("abcd"[:num_classes]),
    )

    shown = worst_errors(split, logits, limit=limit)

    wrong = np.flatnonzero(logits.argmax(axis=1) != labels)
    assert len(shown) == min(limit, len(wrong))
    assert {mistake.row_id - 100 for mistake in shown} <= set(wrong.tolist())
    assert all(mistake.actual != mistake.predicted for mistake in shown)
    confidences = [mistake.confidence for mistake in shown]
    assert confidences == sorted(confidences, reverse=True)
