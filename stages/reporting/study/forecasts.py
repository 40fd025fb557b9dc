"""What more labels would bring, and how well such forecasts did where they could be checked."""

from collections.abc import Sequence
from math import sqrt

from stages.reporting.document import Block, Prose, Table
from stages.reporting.numbers import NONE, count, level, percent, points, signed, signed_interval, with_interval
from stages.reporting.study.findings import Curve, Findings
from stages.statistics.curves import HORIZON, Backtest, CurveFit

LEFT_OUT = "\N{DAGGER}"  # beside what was not trained enough to count
MORE_NOTE = (
    "From the largest size of each method, as far as its curve reaches. Chance: share of the curves that may be the "
    "true one that have reached the nearest target. Training: one run on all of them, at the speed of the largest "
    "size. Whether the data hold so many more is known only where the cells have recorded how many there are."
)


def more_labels(findings: Findings) -> tuple[Block, ...]:
    """A row for each method and number of labels."""
    if not findings.more_labels:
        return ()
    head = ("method", "rows", "more", f"gain, points [{level(findings.confidence_level)}]", "chance", "training")
    rows = tuple(
        (
            each.curve,
            count(each.samples),
            count(each.more),
            signed_interval(each.gain),
            f"{percent(each.chance, 0)} of {level(each.target)}" if each.target else NONE,
            lasting(each.seconds),
        )
        for each in findings.more_labels
    )
    return Prose("What would more labels bring?", "lead"), Table(head, rows), Prose(MORE_NOTE, "note")


def foretold(curves: Sequence[Curve]) -> str:
    """How all backtests of the curves did, in a sentence; empty where there is none."""
    tests = [test for curve in curves if curve.fit is not None for test in curve.fit.backtests]
    if not tests:
        return ""
    covered = sum(test.covered for test in tests)
    return (
        f"from small sizes alone, {count(covered)} of {count(len(tests))} sizes that were at least {HORIZON} times as "
        f"large came within what had been foretold, which was off by {points(_off(tests, last_value=False))} points "
        f"(root mean square); the plain guess that nothing changes was off by {points(_off(tests, last_value=True))}."
    )


def backtests(fitted: Sequence[tuple[str, CurveFit]]) -> tuple[Block, ...]:
    """A row for each forecast that could be checked."""
    head = ("method", "fitted up to", "asked for", "predicted", "measured", "off by", "last value off by")
    rows = tuple(
        (
            name,
            count(test.largest_fitted),
            count(test.predicted_size),
            with_interval(test.predicted),
            percent(test.observed) + ("" if test.covered else ", outside"),
            signed(test.predicted.value - test.observed),
            signed(test.last_value - test.observed),
        )
        for name, fit in fitted
        for test in fit.backtests
    )
    lead = (
        f"Does the curve predict? Backtests: fitted on the smallest sizes that count, asked for every size at least "
        f"{HORIZON} times as large, beside the plain guess that accuracy stays at its last value:"
    )
    if not rows:
        return (
            Prose(f"Whether the curves predict is not known: no size is {HORIZON} times as large as three others."),
        )
    axes = "; ".join(f"{name} by {fit.axis}" for name, fit in fitted)
    note = (
        f"The size of a training set is counted in whatever of rows, source sentences (rows that are part of no longer "
        f"one) and what lies between misses least in these backtests, which is then a little flattered by them: {axes}."
    )
    return Prose(lead, "lead"), Table(head, rows), Prose(note, "note")


def lasting(value: float) -> str:
    """For people: `8 seconds`, `14 minutes`, `3.5 hours`."""
    if value < 90:
        return f"{max(1, round(value))} second{'' if value < 1.5 else 's'}"
    return f"{round(value / 60)} minutes" if value < 5400 else f"{value / 3600:.1f} hours"


def _off(tests: Sequence[Backtest], *, last_value: bool) -> float:
    """Root mean squared error, fraction."""
    said = [test.last_value if last_value else test.predicted.value for test in tests]
    return sqrt(sum((value - test.observed) ** 2 for value, test in zip(said, tests, strict=True)) / len(tests))
