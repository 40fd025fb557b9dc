"""The answer in plain sentences: the claim, the interval, the verdict, the price in labels, and what limits them."""

from collections.abc import Iterator, Sequence

from stages.reporting.findings import Comparison, Curve, Difference, LabelsToTarget, Leak, Point
from stages.statistics.interval import Interval

ALPHA = 0.05  # a gain is said to be shown below this, after Holm
VERDICTS = {
    "non-inferior": "LoRA is as good as full fine-tuning within that margin",
    "inferior": "LoRA is worse than full fine-tuning by more than that margin",
    "inconclusive": "the question stays open",
}


def answers(
    curves: Sequence[Curve],
    comparisons: Sequence[Comparison],
    targets: Sequence[LabelsToTarget],
    differences: Sequence[Difference],
    leaks: Sequence[Leak],
    *,
    num_test_rows: int,
) -> Iterator[str]:
    """The headline first; a question that the cells cannot answer is said to be open."""
    own = [curve for curve in curves if not curve.contrast]
    if own:
        yield _rise(own[0], num_test_rows)
        yield from _last_step(differences)
    yield from _claim(comparisons)
    yield from _prices(own, targets)
    yield from _rivals(own, differences)
    yield from _steps(differences)
    yield from _leak(leaks)


def caveats(curves: Sequence[Curve], *, model: str, num_test_rows: int) -> Iterator[str]:
    """What the numbers do not say."""
    own = [curve for curve in curves if not curve.contrast]
    seeds = sorted({len(point.seeds) for curve in own for point in curve.points})
    yield (
        f"All of this holds for {model} on this data set. Intervals cover the choice of the {num_test_rows:,} test rows"
        + (" and the luck of a training run." if seeds and seeds[-1] > 1 else ", not the luck of a training run.")
    )
    if seeds and seeds[-1] > 1:
        few = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
        yield f"Each point is the mean of {few} seeds; with so few, the spread between seeds is known only roughly."
    yield (
        "Near the size of the whole pool the seeds draw almost the same rows, so that their spread there is that of "
        "training alone and says too little about another sample of labels."
    )
    yield (
        "Every size trains for as many epochs, so that small sizes take fewer steps: part of what looks like too "
        "little data is too little training."
    )
    yield "Learning rates were set once for each method, not tuned for each size; test chose nothing."


def _rise(curve: Curve, num_test_rows: int) -> str:
    first, last = curve.points[0], curve.points[-1]
    if len(curve.points) == 1:
        return f"{_reaches(curve, last)} on {num_test_rows:,} test rows."
    return (
        f"{curve.name} goes from {_percent(first.accuracy)} of {num_test_rows:,} test rows right after "
        f"{first.samples:,} labels to {_percent(last.accuracy)} after {last.samples:,}."
    )


def _reaches(curve: Curve, point: Point) -> str:
    return f"{curve.name} names the right class for {_percent(point.accuracy)} after {point.samples:,} labels"


def _last_step(differences: Sequence[Difference]) -> Iterator[str]:
    """Whether the largest size still gained on the one before."""
    steps = [difference for difference in differences if difference.family == "sizes"]
    if steps:
        last = steps[-1]
        shown = last.difference.value > 0 and last.p_holm < ALPHA
        yield (
            f"The last step, from {last.second} to {last.first} labels, gives {_points(last.difference)}, "
            f"p {_p(last.p_holm)} (Holm): " + ("more labels still pay." if shown else "no gain is shown there.")
        )


def _claim(comparisons: Sequence[Comparison]) -> Iterator[str]:
    if not comparisons:
        yield "Whether LoRA is as good as full fine-tuning was not asked: no size has cells of both with one seed."
        return
    for comparison in (one for one in comparisons if one.primary):
        result = comparison.result
        rows, seeds = result.num_rows_needed, result.num_seeds_needed
        more = f"; about {rows:,} test rows would settle it" if rows else ""
        more = (
            f"; the seeds differ too much, it takes about {seeds} of them before more test rows help" if seeds else more
        )
        yield (
            f"LoRA less full fine-tuning at {comparison.samples:,} labels: {_points(result.difference)}. With a margin "
            f"of {_margin(result.margin)} fixed beforehand, {VERDICTS[result.verdict]} ({result.verdict}){more}."
        )


def _prices(curves: Sequence[Curve], targets: Sequence[LabelsToTarget]) -> Iterator[str]:
    for target in targets:
        if curves and target.curve == curves[0].name:
            yield f"Labels to reach {100 * target.target:g} % with {target.curve}: {price(target)}."
    for curve in curves[:1]:
        if curve.fit is None:
            yield f"How many labels a target takes is not told: {curve.refusal}."


def price(target: LabelsToTarget) -> str:
    """An interval of labels, or that there is none."""
    if target.low is None:
        return f"not reachable within the 95 % band up to {target.reach:,.0f} labels"
    high = f"{_rounded(target.high)}" if target.high is not None else f"more than {target.reach:,.0f}"
    best = f", best guess {_rounded(target.value)}" if target.value is not None else ", beyond reach by the best guess"
    return f"between {_rounded(target.low)} and {high}{best}"


def _rivals(curves: Sequence[Curve], differences: Sequence[Difference]) -> Iterator[str]:
    """The first method against each cheap one at the largest size that both have."""
    for curve in curves[1:]:
        if curve.method == "full":
            continue
        against = [one for one in differences if one.family == "methods" and one.second.startswith(f"{curve.name}, ")]
        if against:
            last = against[-1]
            yield f"{last.first} labels less {last.second}: {_points(last.difference)}, p {_p(last.p_holm)} (Holm)."


def _steps(differences: Sequence[Difference]) -> Iterator[str]:
    """What more steps make of the smallest size: there, too little training looks most like too little data."""
    steps = [one for one in differences if one.family == "protocols" and " steps, " in one.first]
    if steps:
        first = steps[0]
        verdict = "so much of the curve there is training, not data" if first.p_holm < ALPHA else "no effect is shown"
        yield f"Steps held fixed, {first.first} labels less {first.second}: {_points(first.difference)}: {verdict}."


def _leak(leaks: Sequence[Leak]) -> Iterator[str]:
    if leaks:
        last = leaks[-1]
        yield (
            f"Carved at random, {100 * last.overlap_random:.0f} % of the validation rows overlap with {last.samples:,} "
            f"training rows, and {last.method} reads {100 * last.val_random:.1f} % on them against "
            f"{100 * last.val_grouped:.1f} % on clean ones; on the test rows the two are "
            f"{100 * abs(last.test_random - last.test_grouped):.1f} points apart."
        )


def _percent(interval: Interval) -> str:
    return f"{100 * interval.value:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def _points(interval: Interval) -> str:
    """A difference in points, signed, with its interval and that interval's level."""
    level = f"{100 * interval.confidence_level:g} %"
    ends = f"{_signed(interval.low)} to {_signed(interval.high)}"
    return f"{_signed(interval.value)} points ({level} interval {ends})"


def _signed(fraction: float) -> str:
    return f"{100 * fraction:+.1f}".replace("-", "\N{MINUS SIGN}")


def _margin(margin: float) -> str:
    return f"{100 * margin:g} point{'' if margin == 0.01 else 's'}"


def _rounded(number: float) -> str:
    """To two digits: more would promise what the band does not hold."""
    return f"{float(f'{number:.2g}'):,.0f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
