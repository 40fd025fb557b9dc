"""The answer in plain sentences: the claim, the interval, the verdict, the price in labels, and what limits them."""

from collections.abc import Iterator

from stages.reporting.numbers import (
    count,
    counted,
    level,
    listed,
    margin,
    p_value,
    percent,
    points,
    points_in_words,
    seeds,
    with_interval,
)
from stages.reporting.study.claims import labels_needed
from stages.reporting.study.findings import Comparison, Curve, Difference, Family, Findings

VERDICTS = {
    "non-inferior": "LoRA is as good as full fine-tuning within that margin",
    "inferior": "LoRA is worse than full fine-tuning by more than that margin",
    "inconclusive": "the question stays open",
}


def answer(findings: Findings) -> Iterator[str]:
    """The headline first; a question that the cells cannot answer is said to be open."""
    if not findings.curves:
        yield "No experiment of this study is finished yet."
        return
    if findings.own_curves:
        yield _rise(findings.own_curves[0], findings.num_test_rows)
        yield from _last_step(findings)
    yield from _claim(findings)
    yield from _price(findings)
    yield from _rivals(findings)
    yield from _steps(findings)
    yield from _leak(findings)


def caveats(findings: Findings) -> Iterator[str]:
    """What the numbers do not say."""
    curves = findings.own_curves
    numbers = sorted({len(point.seeds) for curve in curves for point in curve.points})
    several = bool(numbers) and numbers[-1] > 1
    yield (
        f"All of this holds for {findings.model} on this data set. Intervals cover the choice of the "
        f"{count(findings.num_test_rows)} test rows"
        + (" and the luck of a training run." if several else ", not the luck of a training run.")
    )
    if several:
        few = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
        yield f"Each point is the mean of {few} seeds; with so few, the spread between seeds is known only roughly."
    yield (
        "Near the size of the whole pool the seeds draw almost the same rows, so that their spread there is that of "
        "training alone and says too little about another sample of labels."
    )
    if any(point.steps for curve in curves for point in curve.points):
        yield (
            "Small sizes take fewer optimizer steps where epochs are held fixed: part of what looks like too little "
            "data is too little training."
        )
        yield "Learning rates were set once for each method, not tuned for each size; test chose nothing."
    if findings.pooled_precisions:
        yield (
            f"Cells in {listed(findings.pooled_precisions)} are pooled, which is a part of the spread between seeds; "
            "what the format alone does stands under “How it was made”."
        )
    yield "Intervals stand for one comparison each; p is corrected for all of its family, so that the two may disagree."


def _rise(curve: Curve, num_test_rows: int) -> str:
    first, last = curve.points[0], curve.points[-1]
    rows = f"{count(num_test_rows)} test rows"
    if first is last:
        return (
            f"{curve.name} names the right class for {with_interval(last.accuracy)} of {rows} after "
            f"{count(last.samples)} labels ({seeds(len(last.seeds))})."
        )
    return (
        f"{curve.name} goes from {with_interval(first.accuracy)} of {rows} right after {count(first.samples)} labels "
        f"({seeds(len(first.seeds))}) to {with_interval(last.accuracy)} after {count(last.samples)} "
        f"({seeds(len(last.seeds))})."
    )


def _last_step(findings: Findings) -> Iterator[str]:
    """Whether the largest size still gained on the one before."""
    steps = _family(findings, "sizes")
    for last in steps[-1:]:
        shown = last.significant and last.difference.value > 0
        yield (
            f"The last step, from {count(last.second.samples)} to {count(last.first.samples)} labels, "
            f"{seeds(last.num_seeds)}: {points_in_words(last.difference)}; "
            f"corrected for {counted(len(steps), 'step')} p is {p_value(last.p_holm)}, "
            + ("a gain." if shown else "no gain is shown.")
        )


def _claim(findings: Findings) -> Iterator[str]:
    """The verdict at the size and on the seeds that the grid fixes; until they are there, the nearest one, named so."""
    comparisons, claim = findings.comparisons, findings.claim
    if not comparisons:
        yield "Whether LoRA is as good as full fine-tuning cannot be told: no size has cells of both with one seed."
        return
    fixed = next((one for one in comparisons if one.primary), None)
    asked = fixed or [one for one in comparisons if one.result.margin == comparisons[0].result.margin][-1]
    if fixed is None and claim is not None:
        yield (
            f"The claim of this grid, LoRA against full fine-tuning at {count(claim.samples)} labels on "
            f"{seeds(len(claim.seeds))}, cannot be judged yet: cells are missing. What follows was not planned so."
        )
    result = asked.result
    yield (
        f"LoRA less full fine-tuning at {count(asked.samples)} labels, {seeds(asked.num_seeds)}: "
        f"{points_in_words(result.difference)}. With a margin of {margin(result.margin)} "
        f"{VERDICTS[result.verdict]} ({result.verdict}){_remedy(asked)}."
    )
    yield from _elsewhere(findings, asked)


def _elsewhere(findings: Findings, asked: Comparison) -> Iterator[str]:
    """The same margin's verdicts at the other sizes: an answer that holds at one size alone misleads at the rest."""
    others = [
        one for one in findings.comparisons if one.result.margin == asked.result.margin and one.samples != asked.samples
    ]
    sizes = {verdict: [count(one.samples) for one in others if one.result.verdict == verdict] for verdict in VERDICTS}
    told = "; ".join(f"{verdict} at {listed(there)} labels" for verdict, there in sizes.items() if there)
    if told:
        yield f"The same margin at other sizes, each judged by itself: {told}."


def _remedy(asked: Comparison) -> str:
    """What would settle an open verdict."""
    rows, num_seeds = asked.result.num_rows_needed, asked.result.num_seeds_needed
    if asked.result.verdict != "inconclusive":
        return ""
    if num_seeds:
        return f"; the seeds differ too much: it takes about {num_seeds} of them before more test rows help"
    if rows:
        return f"; {count(rows)} test rows would settle it four times in five, if there is truly no difference"
    return "; more rows like these would not settle it"


def _price(findings: Findings) -> Iterator[str]:
    """The price of each target with the first method, and how far the curve was off when it could be checked."""
    for curve in findings.own_curves[:1]:
        if curve.fit is None:
            yield f"How many labels a target takes is not told: {curve.refusal}."
            continue
        for target in findings.targets:
            if target.curve == curve.name:
                within, by_the_curve = labels_needed(target, curve.fit.confidence_level)
                guess = "" if within == by_the_curve else f"; by the curve {by_the_curve}"
                yield f"Labels to reach {level(target.target)} with {curve.name}: {within}{guess}."
        if test := curve.fit.backtest:
            yield (
                f"How far to trust that: fitted up to {count(test.largest_fitted)} labels, the curve foretold "
                f"{percent(test.predicted.value)} at {count(test.predicted_size)}, where {percent(test.observed)} was "
                f"measured; the plain guess that nothing changes said {percent(test.last_value)}."
            )


def _rivals(findings: Findings) -> Iterator[str]:
    """The first method against each cheap one at the largest size that both have."""
    compared = _family(findings, "methods")
    for curve in findings.own_curves[1:]:
        against = [one for one in compared if one.second.curve == curve.name and curve.method != "full"]
        for last in against[-1:]:
            yield (
                f"{last.first.curve} less {last.second.curve} at {count(last.first.samples)} labels, "
                f"{seeds(last.num_seeds)}: {points_in_words(last.difference)}; "
                f"corrected for {counted(len(compared), 'such comparison')} p is {p_value(last.p_holm)}."
            )


def _steps(findings: Findings) -> Iterator[str]:
    """What more steps make of the smallest size: there, too little training looks most like too little data."""
    steps = [one for one in _family(findings, "contrasts") if one.first.contrast == "fixed_steps"]
    for first in steps[:1]:
        gains = first.difference.low > 0
        verdict = (
            "so much of the curve there is too little training, not too little data" if gains else "no gain is shown"
        )
        yield (
            f"At {count(first.first.samples)} labels, {first.first.method} with up to as many steps at every size "
            f"({first.first.curve}) less {first.second.curve} with fixed epochs, {seeds(first.num_seeds)}: "
            f"{points_in_words(first.difference)}; {verdict}."
        )


def _leak(findings: Findings) -> Iterator[str]:
    """What the random carve pretends, with the first method that was trained on it, at its largest size."""
    carved = {leak.method for leak in findings.leaks}
    for method in [curve.method for curve in findings.own_curves if curve.method in carved][:1]:
        last = max((leak for leak in findings.leaks if leak.method == method), key=lambda leak: leak.samples)
        yield (
            f"Carved at random, {percent(last.overlap_random, 0)} of the validation rows overlap with "
            f"{count(last.samples)} training rows, and {method} reads {percent(last.val_random)} on them against "
            f"{percent(last.val_grouped)} on clean ones; on the test rows the two are "
            f"{points(abs(last.test_random - last.test_grouped))} points apart."
        )


def _family(findings: Findings, family: Family) -> list[Difference]:
    return [one for one in findings.differences if one.family == family]
