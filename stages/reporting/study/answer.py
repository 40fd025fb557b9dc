"""The answer in plain sentences: the claim, the interval, the verdict, the price in labels, and what limits them."""

from collections.abc import Iterator, Sequence

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
from stages.reporting.study.choices import headline
from stages.reporting.study.claims import labels_needed, settling
from stages.reporting.study.findings import Comparison, Curve, Difference, Family, Findings, Leak, MoreLabels
from stages.reporting.study.forecasts import foretold, lasting

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
    yield from headline(findings)
    if findings.own_curves:
        yield _rise(findings.own_curves[0], findings.num_test_rows)
        yield from _last_step(findings)
    yield from _left_out(findings)
    yield from _claim(findings)
    yield from _more_labels(findings)
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
    if findings.protocol == "seed" and any(point.steps for curve in curves for point in curve.points):
        yield (
            "Small sizes take fewer optimizer steps where epochs are held fixed: part of what looks like too little "
            "data is too little training."
        )
    if findings.tuned:
        yield "Learning rates were chosen by validation, as many tried for each method and size; test chose nothing."
    else:
        yield "Learning rates were set once for each method, not tuned for each size; test chose nothing."
    if findings.pooled_precisions:
        yield (
            f"Cells in {listed(findings.pooled_precisions)} are pooled, which is a part of the spread between seeds; "
            "what the format alone does stands under “How it was made”."
        )
    yield "Intervals stand for one comparison each; p is corrected for all of its family, so that the two may disagree."


def _rise(curve: Curve, num_test_rows: int) -> str:
    counted = [point for point in curve.points if not point.left_out] or curve.points
    first, last = counted[0], counted[-1]
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
            + ("a gain." if shown else "which leaves open whether there is a gain.")
        )


def _left_out(findings: Findings) -> Iterator[str]:
    """Cells that say nothing of their method, since it was not trained enough; and runs that failed."""
    sizes: dict[str, list[str]] = {}
    for curve, point in findings.left_out:
        sizes.setdefault(curve.name, []).append(count(point.samples))
    if sizes:
        told = "; ".join(f"{name} at {listed(there)} labels" for name, there in sizes.items())
        yield f"Not trained enough to count, and so left out of fits and verdicts: {told}."
    failed = [
        f"{curve.name} at {count(point.samples)}, seed {seed}"
        for curve, point in findings.failed
        for seed, _ in point.failed
    ]
    if failed:
        yield (
            f"Failed runs: {counted(len(failed), 'run')} ({'; '.join(failed)}). Accuracies hold them, verdicts are "
            "told with them and without."
        )


def _claim(findings: Findings) -> Iterator[str]:
    """The verdict at the size and on the seeds that the grid fixes; until they are there, the nearest one, named so."""
    comparisons, claim = findings.comparisons, findings.claim
    if not comparisons:
        yield (
            "Whether LoRA is as good as full fine-tuning cannot be told: no size has cells of both with one seed"
            + (" that were trained enough." if findings.left_out else ".")
        )
        return
    planned = [one for one in comparisons if one.planned]
    asked = _first_margin(planned or comparisons)[-1]
    if not planned and claim is not None:
        yield (
            f"The claim that was fixed, LoRA against full fine-tuning at "
            f"{listed([count(size) for size in claim.sizes])} labels, cannot be judged before {seeds(claim.looks[0])} "
            "of both have run under it. What follows was not planned."
        )
    result = asked.result
    yield (
        f"LoRA less full fine-tuning at {count(asked.samples)} labels, {seeds(asked.num_seeds)}, "
        f"{'as planned' if asked.planned else 'not planned beforehand'}: "
        f"{points_in_words(result.difference)}. With a margin of {margin(result.margin)} "
        f"{VERDICTS[result.verdict]} ({result.verdict}){_remedy(asked)}."
    )
    if result.without_failed is not None:
        yield (
            f"Without the {seeds(len(asked.failed))} of which a run failed: {points_in_words(result.without_failed)}"
            + ("; so the failed runs decide, and it stays open." if result.disagree else ", the same verdict.")
        )
    yield from _elsewhere(findings, asked)


def _first_margin(comparisons: Sequence[Comparison]) -> list[Comparison]:
    return [one for one in comparisons if one.result.margin == comparisons[0].result.margin]


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
    return "" if asked.result.verdict != "inconclusive" else f"; {settling(asked.result)}"


def _more_labels(findings: Findings) -> Iterator[str]:
    """The decision: what twice the labels of the largest size bring with the first method, or what can be had."""
    own = [each for each in findings.more_labels if findings.own_curves and each.curve == findings.own_curves[0].name]
    for each in [one for one in own if one.more <= one.samples][-1:]:
        yield f"{count(each.more)} more labels with {each.curve}, beyond {count(each.samples)}: {_bought(each)}."


def _bought(each: MoreLabels) -> str:
    reached = f", a chance of {percent(each.chance, 0)} to reach {level(each.target)}" if each.target else ""
    return f"{points_in_words(each.gain)}{reached}, some {lasting(each.seconds)} of training"


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
        if told := foretold(findings.own_curves):
            yield f"How far to trust that: {told}"


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
            f"{points_in_words(first.difference)}; {verdict}{_too_sure(findings, first)}."
        )


def _too_sure(findings: Findings, first: Difference) -> str:
    """Why the longer trained side does not count, where it does not."""
    reasons = [
        point.left_out
        for curve in findings.curves
        for point in curve.points
        if (curve.name, point.samples) == (first.first.curve, first.first.samples) and point.left_out
    ]
    return f"; those runs do not count, either ({reasons[0]})" if reasons else ""


def _leak(findings: Findings) -> Iterator[str]:
    """What the random carve pretends, with the first method that was trained on it, at its largest size."""
    carved = {leak.method for leak in findings.leaks}
    for method in [curve.method for curve in findings.own_curves if curve.method in carved][:1]:
        last = max((leak for leak in findings.leaks if leak.method == method), key=lambda leak: leak.samples)
        yield (
            f"Carved at random, {percent(last.overlap_random, 0)} of the validation rows overlap with "
            f"{count(last.samples)} training rows, and {method} reads {percent(last.val_random)} on them against "
            f"{percent(last.val_grouped)} on clean ones; on the test rows the two are "
            f"{points(abs(last.test_random - last.test_grouped))} points apart{_kept(last)}."
        )


def _kept(leak: Leak) -> str:
    """Where validation kept another epoch, the two differ by more than the leak."""
    if abs(leak.kept_random - leak.kept_grouped) < 1:
        return ""
    return (
        f", but the leaking rows chose epoch {leak.kept_random:.1f} and the clean ones {leak.kept_grouped:.1f} (means)"
    )


def _family(findings: Findings, family: Family) -> list[Difference]:
    return [one for one in findings.differences if one.family == family]
