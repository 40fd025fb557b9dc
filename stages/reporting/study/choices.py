"""What to train with for so many labels: a decision, beside the tests."""

from collections.abc import Iterator

from stages.reporting.document import Prose, Section, Table
from stages.reporting.numbers import NONE, count, listed, percent, points, with_interval
from stages.reporting.study.findings import Choice, Findings

NOTE = (
    "Use: the method that is expected to lose least against the best of those compared; where the chance is near an "
    "even one, its rivals would do as well. Lost: points of accuracy, on average over what may be true, the cases in "
    "which another is better included. Chances come from a Bayesian bootstrap of the test rows and Student's t for the "
    "seeds; they are no tests, and what was not compared may be better."
)


def choices(findings: Findings) -> Section:
    """A row per size: the method to use, how sure that is, and what a wrong choice costs."""
    heading = "What to use for so many labels"
    if not findings.choices:
        return Section(heading, (Prose("No cell counts yet."),))
    head = ("training rows", "use", "test accuracy", "chance to be the best", "lost, points", "of")
    return Section(heading, (Table(head, tuple(_row(each) for each in findings.choices)), Prose(NOTE, "note")))


def _row(each: Choice) -> tuple[str, ...]:
    best = each.decision.options[each.decision.best]
    alone = len(each.methods) == 1
    return (
        count(each.samples),
        each.methods[each.decision.best],
        with_interval(best.accuracy),
        NONE if alone else chance(best.chance),
        NONE if alone else points(best.loss, 2),
        listed(each.methods),
    )


def headline(findings: Findings) -> Iterator[str]:
    """The choice at the largest size at which most methods were compared."""
    most = max((len(each.methods) for each in findings.choices), default=0)
    for each in [one for one in findings.choices if len(one.methods) == most][-1:]:
        name, best = each.methods[each.decision.best], each.decision.options[each.decision.best]
        told = f"With {count(each.samples)} labels, use {name}: {with_interval(best.accuracy)} of test rows right"
        if len(each.methods) == 1:
            yield f"{told}; nothing else was trained there."
            continue
        yield (
            f"{told}; the best of {listed(each.methods)} with a chance of {chance(best.chance)}, and "
            f"{points(best.loss, 2)} points lost on average if it is not."
        )


def chance(share: float) -> str:
    """A share of draws: never all of them and never none."""
    return percent(min(0.99, max(0.01, share)), 0)
