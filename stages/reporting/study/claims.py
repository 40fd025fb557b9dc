"""What is claimed: the verdict on LoRA, the price of a target in labels, and every paired difference."""

from stages.reporting.document import Block, Bullets, Picture, Prose, Section, Table
from stages.reporting.numbers import (
    NONE,
    confidence,
    count,
    decimal,
    level,
    listed,
    p_value,
    percent,
    points,
    rounded,
    seeds,
    signed,
    signed_interval,
    unbroken,
)
from stages.reporting.study.findings import Comparison, Difference, Findings, LabelsToTarget, Side, Trend
from stages.reporting.study.forecasts import LEFT_OUT, more_labels
from stages.statistics.failures import most_that_fail
from stages.statistics.non_inferiority import ALPHA, NonInferiority
from stages.statistics.variance import POWER

FAMILIES = {
    "methods": "Methods at one size",
    "sizes": "Sizes of one method",
    "contrasts": "Protocols at one size",
}
VERDICTS_NOTE = (
    "Non-inferior: the whole interval lies above minus the margin. Inferior: the whole interval lies below it. "
    "Inconclusive: neither, so these data do not tell; that a difference is not significant does not make two methods "
    "equal. Rows needed, with these seeds, or seeds needed, on these rows: as many would settle it four times in five "
    "(80 % power), were there truly no difference; a dash: no number would, or those at hand would have. Each verdict "
    "is wrong at most once in twenty, about runs that do not fail. Test rows at hand:"
)
NO_COMPARISON = (
    "No size has finished cells of both lora and full: whether LoRA is as good as full fine-tuning stays open here."
)
LABELS_NOTE = (
    "From the fitted curve and the two edges of its band. No bound: the edge does not meet the target as far as the "
    "curve reaches. How well it foretold sizes that it had not seen is told with the learning curve."
)
DIFFERENCES_NOTE = (
    "Both sides saw the same test rows, so only rows that exactly one of them has right tell them apart: gained rows "
    "are right with the first alone, lost rows with the second alone (means over the seeds). Each p is of “no "
    "difference”, and Holm is the same, corrected for all of its table. A large p shows no equality."
)


def verdicts(findings: Findings) -> Section:
    """Is LoRA as good as full fine-tuning: the claim, the interval, the verdict."""
    heading = "Is LoRA as good as full fine-tuning?"
    if not findings.comparisons:
        return Section(heading, (Prose(NO_COMPARISON),))
    head = ("rows", "margin", "verdict", "lora less full", "interval", "seeds", "rows needed", "seeds needed")
    rows = tuple(_verdict(comparison) for comparison in findings.comparisons)
    note = f"Margins and differences are points of test accuracy. {VERDICTS_NOTE} {count(findings.num_test_rows)}."
    blocks = (
        *_not_judged(findings),
        Prose(planned_words(findings), "lead"),
        Table(head, rows),
        Prose(note, "note"),
        *_failed(findings),
        *_uncertainty(findings),
    )
    return Section(heading, blocks)


def planned_words(findings: Findings) -> str:
    """What of the verdicts was fixed before the cells ran, and how that is judged."""
    claim = findings.claim
    if claim is None:
        return "None of these verdicts was planned: no claim was fixed before the cells ran."
    looks = listed([count(look) for look in claim.looks])
    fixed = (
        f"Fixed in {claim.file} (SHA-256 {claim.digest}...) before its cells ran: LoRA against full fine-tuning at "
        f"{listed([count(size) for size in claim.sizes])} labels, looked at with {looks} seeds"
    )
    if not any(comparison.planned for comparison in findings.comparisons):
        return f"{fixed}. No look has its cells yet, so none of these verdicts was planned."
    return (
        f"{fixed}, at levels with which all looks together err at most once in {round(1 / claim.alpha)} (of each size "
        "and margin). These verdicts are marked *; the others were not planned."
    )


def _not_judged(findings: Findings) -> tuple[Block, ...]:
    """The cells that are left out, and why."""
    told = tuple(f"{curve.name}, {count(point.samples)}: {point.left_out}" for curve, point in findings.left_out)
    lead = "Not trained enough to count, hollow in the figures, left out of every verdict and fit:"
    return (Prose(lead, "lead"), Bullets(told)) if told else ()


def _failed(findings: Findings) -> tuple[Block, ...]:
    """The runs that failed, and what so few runs can say of that."""
    own = [point for curve in findings.own_curves for point in curve.points if not point.left_out]
    if not own or findings.most_seeds < 2:
        return ()
    told = tuple(
        f"{curve.name}, {count(point.samples)}, seed {seed}: {reason}"
        for curve, point in findings.failed
        for seed, reason in point.failed
    )
    most = most_that_fail(0, findings.most_seeds, 1 - ALPHA)
    few = (
        f"{seeds(findings.most_seeds)} of which none failed do not exclude that up to {percent(most, 0)} would: "
        "no verdict here is about runs that fail."
    )
    if not told:
        return (Prose(f"No run failed by its validation scores. But {few}", "note"),)
    lead = "Failed runs by their validation scores; a verdict stands only if it is the same with and without them:"
    return Prose(lead, "lead"), Bullets(told), Prose(f"And {few}", "note")


def _uncertainty(findings: Findings) -> tuple[Block, ...]:
    """Where the uncertainty comes from, and what more of each would take away."""
    asked = {each.samples: each.result.variance for each in findings.comparisons if each.result.variance is not None}
    if not asked:
        return ()
    head = ("rows", "standard error", "of it seeds", "test rows", "rest", "with 1 more seed", "with twice the rows")
    rows = tuple(
        (
            count(samples),
            points(told.standard_error, 2),
            *(percent(share, 0) for share in told.shares),
            points(told.with_more(seeds=1).standard_error, 2),
            points(told.with_more(rows=told.num_rows).standard_error, 2),
        )
        for samples, told in asked.items()
    )
    lead = "What makes these differences uncertain, in points, and what more seeds or test rows would leave of it:"
    note = (
        "The variance of a mean over S seeds and N rows is seeds / S + rows / N + rest / (S N): more seeds lower the "
        "first and the last part, more test rows the last two. What a larger size brings stands in the next section."
    )
    return Prose(lead, "lead"), Table(head, rows), Prose(note, "note")


def settling(result: NonInferiority) -> str:
    """What would settle an open verdict, for the middle of a sentence."""
    needed = [
        f"{count(number)} {noun}"
        for number, noun in ((result.num_seeds_needed, "seeds"), (result.num_rows_needed, "test rows"))
        if number is not None
    ]
    if needed:
        return f"{' or '.join(needed)} would settle it four times in five, were there truly no difference"
    if result.variance is not None and result.variance.reach(ALPHA, POWER) > result.margin:
        return "neither more seeds nor more test rows alone would settle it"
    return "were there truly no difference, these runs would mostly have shown it: the difference itself keeps it open"


def _verdict(comparison: Comparison) -> tuple[str, ...]:
    result = comparison.result
    needed = (result.num_rows_needed, result.num_seeds_needed)
    return (
        unbroken(f"{count(comparison.samples)}{' *' if comparison.planned else ''}"),
        points(result.margin),
        result.verdict,
        signed_interval(result.difference),
        confidence(result.difference.confidence_level),
        count(comparison.num_seeds),
        *(NONE if number is None else count(number) for number in needed),
    )


def labels(findings: Findings) -> Section:
    """What each target costs in labels."""
    blocks: list[Block] = []
    if findings.targets:
        head = ("method", "target", f"labels, {level(findings.confidence_level)} interval", "by the curve")
        rows = tuple(
            (target.curve, level(target.target), *labels_needed(target, findings.confidence_level))
            for target in findings.targets
        )
        blocks += [Table(head, rows), Prose(LABELS_NOTE, "note"), *more_labels(findings)]
    refusals = tuple(f"{curve.name}: {curve.refusal}" for curve in findings.own_curves if curve.fit is None)
    if refusals:
        blocks.append(Prose("No curve was fitted, and so no number of labels is given, for:", "lead"))
        blocks.append(Bullets(refusals))
    return Section(
        "How many labels does a target take?", tuple(blocks) or (Prose("There is no curve yet to read it from."),)
    )


def labels_needed(target: LabelsToTarget, confidence_level: float) -> tuple[str, str]:
    """The training rows of a target: within which bounds, and by the curve itself."""
    by_the_curve = f"not up to {count(target.reach)}" if target.value is None else _rows(target.value, target)
    if target.low is None:
        within = f"not reached within the {level(confidence_level)} band"
    elif target.high is None:
        below = target.low <= target.smallest
        earliest = "no lower bound" if below else f"{_rows(target.low, target)} at the earliest"
        within = f"{earliest}, no upper bound"
    elif target.high <= target.smallest:
        within = _rows(target.high, target)
    else:
        within = f"{_rows(target.low, target)} to {_rows(target.high, target)}"
    return within, by_the_curve


def _rows(number: float, target: LabelsToTarget) -> str:
    """Training rows, rounded to what a fit can tell; below the smallest size the curve says nothing."""
    return f"{count(target.smallest)} or fewer" if number <= target.smallest else rounded(number)


def differences(findings: Findings) -> Section:
    """Paired differences: the forest plot, and whether accuracy rises with size."""
    heading = "Paired differences"
    if not findings.differences:
        return Section(heading, (Prose("No two sets of finished cells can be compared yet."),))
    told = "Both sides of a difference saw the same test rows. The p of each stands at the end of the page."
    if any(each.left_out for each in findings.differences):
        told += " Hollow squares: one side was not trained enough to count."
    blocks: list[Block] = [Picture("differences", _description(findings)), Prose(told, "note")]
    if findings.trends:
        asked = "Does accuracy rise with size? Page's test over the sizes that have all the seeds, one-sided:"
        rows = tuple(_trend(trend) for trend in findings.trends)
        blocks += [Prose(asked, "lead"), Table(("method", "seeds", "sizes", "p"), rows)]
    return Section(heading, tuple(blocks))


def _trend(trend: Trend) -> tuple[str, ...]:
    return trend.curve, count(trend.num_seeds), count(trend.num_sizes), p_value(trend.p_value)


def _description(findings: Findings) -> str:
    apart = sum(each.difference.low > 0 or each.difference.high < 0 for each in findings.differences)
    largest = max(findings.differences, key=lambda each: abs(each.difference.value))
    return (
        f"Forest plot of {count(len(findings.differences))} paired differences; the interval of {count(apart)} leaves "
        f"out 0. The largest is {_side(largest.first)} less {_side(largest.second)}: "
        f"{signed(largest.difference.value)} points."
    )


def every_difference(findings: Findings) -> Section:
    """The numbers of the forest plot, and what each rests on; a table for each family."""
    blocks: list[Block] = []
    for family, name in FAMILIES.items():
        own = [difference for difference in findings.differences if difference.family == family]
        if own:
            head = ("first less second", f"points [{level(own[0].difference.confidence_level)}]")
            rows = tuple(_difference(each) for each in own)
            blocks.append(Prose(f"{name}:", "lead"))
            blocks.append(Table((*head, "gained", "lost", "p", "Holm", "seeds"), rows))
    left_out = f" {LEFT_OUT} One side was not trained enough to count."
    note = DIFFERENCES_NOTE + (left_out if any(each.left_out for each in findings.differences) else "")
    return Section("Every difference", (*blocks, Prose(note, "note")) if blocks else ())


def _difference(difference: Difference) -> tuple[str, ...]:
    return (
        f"{unbroken(_side(difference.first))} less {unbroken(_side(difference.second))}"
        + (f" {LEFT_OUT}" if difference.left_out else ""),
        signed_interval(difference.difference),
        decimal(difference.gained, 1),
        decimal(difference.lost, 1),
        p_value(difference.p_value),
        p_value(difference.p_holm),
        count(difference.num_seeds),
    )


def _side(side: Side) -> str:
    return f"{side.curve}, {count(side.samples)}"
