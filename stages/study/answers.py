"""The answer in plain sentences: the claim, the interval, the verdict, the price in labels, and what limits them."""

from collections.abc import Iterator, Sequence

from stages.reporting.findings import Comparison, Curve, Difference, LabelsToTarget, Leak
from stages.statistics.interval import Interval
from stages.study.contrasts import Claim

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
    claimed: Claim,
) -> Iterator[str]:
    """The headline first; a question that the cells cannot answer is said to be open."""
    own = [curve for curve in curves if not curve.contrast]
    if own:
        yield _rise(own[0], num_test_rows)
        yield from _last_step(differences)
    yield from _claim(comparisons, claimed)
    yield from _prices(own, targets)
    yield from _rivals(own, differences)
    yield from _steps(differences)
    yield from _leak(leaks, own)


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
    if any(point.steps for curve in own for point in curve.points):
        yield (
            "Small sizes take fewer optimizer steps where epochs are held fixed: part of what looks like too little "
            "data is too little training."
        )
        yield "Learning rates were set once for each method, not tuned for each size; test chose nothing."
    yield "Intervals stand for one comparison each; p is corrected for all of its family, so that the two may disagree."


def _rise(curve: Curve, num_test_rows: int) -> str:
    first, last = curve.points[0], curve.points[-1]
    if len(curve.points) == 1:
        return (
            f"{curve.name} names the right class for {_percent(last.accuracy)} of {num_test_rows:,} test rows after "
            f"{last.samples:,} labels ({_seeds(len(last.seeds))})."
        )
    return (
        f"{curve.name} goes from {_percent(first.accuracy)} of {num_test_rows:,} test rows right after "
        f"{first.samples:,} labels ({_seeds(len(first.seeds))}) to {_percent(last.accuracy)} after {last.samples:,} "
        f"({_seeds(len(last.seeds))})."
    )


def _last_step(differences: Sequence[Difference]) -> Iterator[str]:
    """Whether the largest size still gained on the one before."""
    steps = [difference for difference in differences if difference.family == "sizes"]
    for last in steps[-1:]:
        shown = last.difference.value > 0 and last.p_holm < ALPHA
        yield (
            f"The last step, from {last.second} to {last.first} labels, {_seeds(last.num_seeds)}: "
            f"{_points(last.difference)}; corrected for {_counted(len(steps), 'step')} p is {_p(last.p_holm)}, "
            + ("a gain." if shown else "no gain is shown.")
        )


def _claim(comparisons: Sequence[Comparison], claimed: Claim) -> Iterator[str]:
    """The verdict at the size and on the seeds that the grid fixes; until they are there, the nearest one, named so."""
    if not comparisons:
        yield "Whether LoRA is as good as full fine-tuning cannot be told: no size has cells of both with one seed."
        return
    fixed = next((one for one in comparisons if one.primary), None)
    asked = fixed or [one for one in comparisons if one.result.margin == comparisons[0].result.margin][-1]
    if fixed is None and claimed:
        yield (
            f"The claim of this grid, LoRA against full fine-tuning at {claimed[0]:,} labels on "
            f"{_seeds(len(claimed[1]))}, cannot be judged yet: cells are missing. What follows was not planned so."
        )
    result = asked.result
    yield (
        f"LoRA less full fine-tuning at {asked.samples:,} labels, {_seeds(asked.num_seeds)}: "
        f"{_points(result.difference)}. With a margin of {_margin(result.margin)} "
        f"{VERDICTS[result.verdict]} ({result.verdict}){_remedy(asked)}."
    )
    yield from _elsewhere(comparisons, asked)


def _elsewhere(comparisons: Sequence[Comparison], asked: Comparison) -> Iterator[str]:
    """The same margin's verdicts at the other sizes: an answer that holds at one size alone misleads at the rest."""
    others = [one for one in comparisons if one.result.margin == asked.result.margin and one.samples != asked.samples]
    sizes = {verdict: [f"{one.samples:,}" for one in others if one.result.verdict == verdict] for verdict in VERDICTS}
    told = "; ".join(f"{verdict} at {_listed(there)} labels" for verdict, there in sizes.items() if there)
    if told:
        yield f"The same margin at other sizes, each judged by itself: {told}."


def _remedy(asked: Comparison) -> str:
    """What would settle an open verdict."""
    rows, seeds = asked.result.num_rows_needed, asked.result.num_seeds_needed
    if asked.result.verdict != "inconclusive":
        return ""
    if seeds:
        return f"; the seeds differ too much: it takes about {seeds} of them before more test rows help"
    if rows:
        return f"; {rows:,} test rows would settle it four times in five, if there is truly no difference"
    return "; more rows like these would not settle it"


def _prices(curves: Sequence[Curve], targets: Sequence[LabelsToTarget]) -> Iterator[str]:
    """The price of each target with the first method, and how far the curve was off when it could be checked."""
    for curve in curves[:1]:
        if curve.fit is None:
            yield f"How many labels a target takes is not told: {curve.refusal}."
            continue
        smallest = curve.points[0].samples
        for target in targets:
            if target.curve == curve.name:
                yield f"Labels to reach {100 * target.target:g} % with {curve.name}: {price(target, smallest)}."
        if test := curve.fit.backtest:
            yield (
                f"How far to trust that: fitted up to {test.largest_fitted:,} labels, the curve foretold "
                f"{100 * test.predicted.value:.1f} % at {test.predicted_size:,}, where {100 * test.observed:.1f} % was "
                f"measured; the plain guess that nothing changes said {100 * test.last_value:.1f} %."
            )


def price(target: LabelsToTarget, smallest: int) -> str:
    """An interval of labels, or that there is none; below the smallest size the curve says nothing."""
    if target.low is None:
        return f"not reached within the 95 % band up to {target.reach:,.0f} labels"
    low, value, high = (
        None if end is None else _rounded(end, smallest) for end in (target.low, target.value, target.high)
    )
    if low == high:
        return str(low)
    best = f"best guess {value}" if value else "not reached by the best guess"
    return f"between {low} and {high or f'more than {target.reach:,.0f}'}, {best}"


def _rivals(curves: Sequence[Curve], differences: Sequence[Difference]) -> Iterator[str]:
    """The first method against each cheap one at the largest size that both have."""
    num_compared = sum(one.family == "methods" for one in differences)
    for curve in curves[1:]:
        if curve.method == "full":
            continue
        against = [one for one in differences if one.family == "methods" and one.second.startswith(f"{curve.name}, ")]
        if against:
            last = against[-1]
            yield (
                f"{last.first} labels less {last.second}, {_seeds(last.num_seeds)}: {_points(last.difference)}; "
                f"corrected for {_counted(num_compared, 'such comparison')} p is "
                f"{_p(last.p_holm)}."
            )


def _steps(differences: Sequence[Difference]) -> Iterator[str]:
    """What more steps make of the smallest size: there, too little training looks most like too little data."""
    steps = [one for one in differences if one.family == "protocols" and " steps, " in one.first]
    for first in steps[:1]:
        gains = first.difference.low > 0
        verdict = (
            "so much of the curve there is too little training, not too little data" if gains else "no gain is shown"
        )
        yield (
            f"With up to as many steps at every size, {first.first} labels less {first.second}, "
            f"{_seeds(first.num_seeds)}: {_points(first.difference)}; {verdict}."
        )


def _leak(leaks: Sequence[Leak], curves: Sequence[Curve]) -> Iterator[str]:
    """What the random carve pretends, with the first method that was trained on it, at its largest size."""
    methods = [curve.method for curve in curves if any(leak.method == curve.method for leak in leaks)]
    for method in methods[:1]:
        last = max((leak for leak in leaks if leak.method == method), key=lambda leak: leak.samples)
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


def _rounded(number: float, smallest: int) -> str:
    """To two digits: more would promise what the band does not hold."""
    return f"{smallest:,} or fewer" if number <= smallest else f"{float(f'{number:.2g}'):,.0f}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _seeds(number: int) -> str:
    return _counted(number, "seed")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
