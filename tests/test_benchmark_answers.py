from dataclasses import replace

import pytest

from stages.foundation.errors import StudyError
from stages.reporting.study.advice import advice_in_words
from tests.benchmark.answers import HEAD, Ahead, Case, page, told
from tests.reporting.study.test_advice import ADVICE
from tests.test_benchmark import MACHINE, cells

CASE = Case(
    name="sst2-500",
    commit="c0ffee",
    minutes=30,
    method="head",
    samples=400,
    accuracy=(75.1, 72.0, 78.0),
    chance=81,
    ahead=(
        Ahead(samples=800, gain=1.2, low=-0.1, high=3.0, came=2.0),
        Ahead(samples=1600, gain=2.0, low=0.1, high=4.0, came=5.5),
        Ahead(samples=3200, gain=2.5, low=0.1, high=5.0, came=None),
    ),
)


def test_what_an_answer_tells_is_read_back():
    asked = ADVICE
    text = "\n".join(["so far: ...", *advice_in_words(asked)])

    method, samples, accuracy, chance, gains = told(text)

    best = asked.decision.options[asked.decision.best]
    assert (method, samples) == (asked.methods[asked.decision.best], asked.samples)
    assert accuracy[0] == pytest.approx(100 * best.accuracy.value, abs=0.06)
    assert chance == pytest.approx(100 * best.chance, abs=1)
    assert [(one.samples, one.came) for one in gains] == [
        (asked.more.samples + more, None) for more, _ in asked.more.gains
    ]
    assert [one.gain for one in gains] == pytest.approx([100 * gain.value for _, gain in asked.more.gains], abs=0.06)


def test_an_answer_without_a_choice_is_refused():
    with pytest.raises(StudyError, match="tells no choice"):
        told("so far: nothing")


def test_the_page_says_what_came_and_whether_it_was_foretold():
    rows = [cells(line) for line in page(MACHINE, [CASE]).splitlines()[-3:]]

    assert all(len(row) == len(HEAD) for row in rows)
    assert rows[0] == [
        "sst2-500",
        "30",
        "head",
        "400",
        "75.1 [72.0, 78.0]",
        "81 %",
        "800",
        "+1.2 [-0.1, +3.0]",
        "+2.0 (inside)",
    ]
    assert [row[-1] for row in rows[1:]] == ["+5.5 (outside)", "not so many rows"]


def test_a_case_without_a_curve_still_has_its_line():
    (row,) = [cells(line) for line in page(MACHINE, [replace(CASE, ahead=(), chance=None)]).splitlines()[-1:]]

    assert row[-4:] == ["-", "-", "no curve", "-"]
