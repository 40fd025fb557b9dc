"""What to do now, in a few sentences that always answer: estimate and interval first, then what would make it surer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stages.foundation.interval import Interval
from stages.reporting.numbers import count, level, listed, percent, points, points_in_words, seeds, signed_interval
from stages.reporting.study.choices import chance
from stages.reporting.study.forecasts import lasting
from stages.statistics.decision import Decision

FEW_ROWS = 500  # test rows; below it an accuracy near 85 % is told to no better than three points either way
SMALL_LOSS = 0.005  # accuracy, fraction: what nobody would label for
NEVER_FAILS = 0.95  # a chance above which a choice is called settled


@dataclass(frozen=True, kw_only=True, slots=True)
class MoreOfCurve:
    """What more labels would bring, by the curve of one method."""

    method: str
    samples: int  # training rows of its largest size
    gains: tuple[tuple[int, Interval], ...]  # labels more, and accuracy gained, fraction


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """All that the short answer says."""

    samples: int  # training rows at which the methods are compared
    largest: int  # training rows that there are to train on
    num_test_rows: int
    methods: tuple[str, ...]  # compared, as in the decision
    num_seeds: tuple[int, ...]  # of each
    decision: Decision
    more: MoreOfCurve | None  # None: no curve could be fitted
    refusal: str  # why the curve of the choice could not be fitted; empty: it was
    not_compared: tuple[tuple[str, str], ...]  # method, and why


def advice_in_words(advice: Advice) -> Iterator[str]:
    """The choice, what more labels bring, and what would make the answer surer."""
    yield from _choice(advice)
    yield from _not_compared(advice)
    yield from _more_labels(advice)
    yield from _surer(advice)
    yield from _few_rows(advice)


def so_far(methods: Sequence[str], samples: int, decision: Decision) -> str:
    """The state of the answer in one line.

    Args:
        methods: As in the decision.
        samples: Training rows at which they are compared.
        decision: As far as it goes.
    """
    best = decision.options[decision.best]
    told = f"so far: {methods[decision.best]}, {_accuracy(best.accuracy)} at {count(samples)} labels"
    if len(methods) == 1:
        return f"{told}; nothing to compare it with yet"
    return f"{told}; the best of {listed(methods)} with a chance of {chance(best.chance)}"


def _choice(advice: Advice) -> Iterator[str]:
    decision = advice.decision
    name, best = advice.methods[decision.best], decision.options[decision.best]
    yield (
        f"Train with {name} now: {_accuracy(best.accuracy)} of {count(advice.num_test_rows)} test rows right with "
        f"{count(advice.samples)} labels ({seeds(advice.num_seeds[decision.best])})."
    )
    if decision.rivalry is None:
        yield f"How sure: nothing else was trained at {count(advice.samples)} labels, so the choice itself is untested."
        return
    settled = best.chance >= NEVER_FAILS
    fair = "" if settled or best.loss >= SMALL_LOSS else f", so that {name} is a fair choice all the same"
    yield (
        f"How sure: {chance(best.chance)} that it is the best of {listed(advice.methods)}; taking it costs "
        f"{points(best.loss, 2)} points on average, the cases in which another is better included{fair}."
    )
    rival = advice.methods[decision.rivalry.position]
    yield f"Against {rival}, the next best: {points_in_words(decision.rivalry.difference)}."
    if advice.samples < advice.largest:
        yield (
            f"This holds at {count(advice.samples)} labels, the largest size at which these were all trained; "
            f"there are {count(advice.largest)}."
        )


def _not_compared(advice: Advice) -> Iterator[str]:
    if advice.not_compared:
        methods: dict[str, list[str]] = {}
        for method, reason in advice.not_compared:
            methods.setdefault(reason, []).append(method)
        told = "; ".join(f"{listed(names)} ({reason})" for reason, names in methods.items())
        yield f"Not compared, so perhaps better: {told}."


def _more_labels(advice: Advice) -> Iterator[str]:
    choice = advice.methods[advice.decision.best]
    if advice.more is None:
        yield (
            f"What more labels bring cannot be told yet: {advice.refusal}. More minutes train more sizes; until then "
            "anything from no gain to a clear one is possible."
        )
        return
    gains = [
        f"{count(more)} more ({count(advice.more.samples + more)} in all) {signed_interval(gain)} points"
        for more, gain in advice.more.gains
    ]
    confidence = level(advice.more.gains[0][1].confidence_level)
    own = advice.more.method == choice
    instead = "" if own else f"; that of {choice} is not known: {advice.refusal}"
    yield (
        f"What more labels would bring, by the curve of {advice.more.method} ({confidence} intervals): "
        f"{'; '.join(gains)}{instead}."
    )


def _surer(advice: Advice) -> Iterator[str]:
    """By the shares of the variance of the difference that decides."""
    rivalry, best = advice.decision.rivalry, advice.decision.options[advice.decision.best]
    if rivalry is None:
        yield "What would make it surer: more minutes, so that other methods are trained, too."
        return
    total = rivalry.by_rows + rivalry.by_seeds
    if best.chance >= NEVER_FAILS:
        yield "The choice among these is as good as settled; open is what more labels, or another --model, bring."
    part = rivalry.by_rows / total if total else 0.0
    rows, runs = rivalry.half_width(rows=4), rivalry.half_width(seeds=4)
    yield (
        f"What would make the choice surer: {percent(part, 0)} of its variance comes from having "
        f"{count(advice.num_test_rows)} test rows, {percent(1 - part, 0)} from the luck of the runs; now the "
        f"difference is known to \N{PLUS-MINUS SIGN}{points(rivalry.half_width())} points; with four times the test "
        f"labels \N{PLUS-MINUS SIGN}{points(rows)}, with four times the seeds \N{PLUS-MINUS SIGN}{points(runs)}."
    )


def _few_rows(advice: Advice) -> Iterator[str]:
    if advice.num_test_rows < FEW_ROWS:
        best = advice.decision.options[advice.decision.best].accuracy
        yield (
            f"{count(advice.num_test_rows)} test rows are few: the accuracy itself is known to within "
            f"{points(best.high - best.low)} points only, however many runs are made. More labelled test rows "
            "help most; they need not be taken from training for good, once the choice is made."
        )


def _accuracy(accuracy: Interval) -> str:
    ends = f"{points(accuracy.low)} to {points(accuracy.high)}"
    return f"{percent(accuracy.value)} ({level(accuracy.confidence_level)} interval {ends})"


def why_not(sizes: Sequence[int], seconds: float | None, left_out: str) -> str:
    """Why a method was not compared at the size at which the others were."""
    if left_out:
        return f"not trained enough ({left_out})"
    trained = f"trained at {listed([count(size) for size in sizes])} labels alone; " if sizes else ""
    if seconds is None:
        return f"{trained}how long a run takes is not known yet; more minutes tell"
    return f"{trained}a run there takes about {lasting(seconds)}; more minutes train it"
