"""What is claimed: the verdict on LoRA, the price of a target in labels, and every paired difference."""

from stages.reporting.document import Block, Bullets, Picture, Prose, Section, Table
from stages.reporting.numbers import (
    NONE,
    count,
    decimal,
    level,
    p_value,
    points,
    rounded,
    signed,
    signed_interval,
    unbroken,
)
from stages.reporting.study.findings import Comparison, Difference, Findings, LabelsToTarget, Side, Trend
from stages.statistics.curves import HORIZON

FAMILIES = {
    "methods": "Methods at one size",
    "sizes": "Sizes of one method",
    "contrasts": "Protocols at one size",
}
VERDICTS_NOTE = (
    "Non-inferior: the whole interval lies above minus the margin. Inferior: the whole interval lies below it. "
    "Inconclusive: neither, so these data do not tell; that a difference is not significant does not make two methods "
    "equal. Rows needed: as many test rows would settle it with 80 % power, were there truly no difference and did the "
    "seeds agree. Seeds needed: with fewer, the spread of the seeds alone keeps it open. Test rows at hand:"
)
NO_COMPARISON = (
    "No size has finished cells of both lora and full: whether LoRA is as good as full fine-tuning stays open here."
)
LABELS_NOTE = (
    "From the fitted curve and the two edges of its band. No bound: the edge does not meet the target up to "
    f"{HORIZON} times the largest size, where the fit ends. How well it foretold a size that it had not seen is told "
    "with the learning curve."
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
    confidence = level(findings.comparisons[0].result.difference.confidence_level)
    head = ("rows", "margin", "verdict", f"lora less full [{confidence}]", "seeds", "rows needed", "seeds needed")
    rows = tuple(_verdict(comparison) for comparison in findings.comparisons)
    note = f"Margins and differences are points of test accuracy. {VERDICTS_NOTE} {count(findings.num_test_rows)}."
    if any(comparison.primary for comparison in findings.comparisons):
        note = f"* The claim that the grid fixes; the other rows are for context. {note}"
    return Section(heading, (Table(head, rows), Prose(note, "note")))


def _verdict(comparison: Comparison) -> tuple[str, ...]:
    result = comparison.result
    needed = (result.num_rows_needed, result.num_seeds_needed)
    return (
        unbroken(f"{count(comparison.samples)}{' *' if comparison.primary else ''}"),
        points(result.margin),
        result.verdict,
        signed_interval(result.difference),
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
        blocks += [Table(head, rows), Prose(LABELS_NOTE, "note")]
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
    return Section("Every difference", (*blocks, Prose(DIFFERENCES_NOTE, "note")) if blocks else ())


def _difference(difference: Difference) -> tuple[str, ...]:
    return (
        f"{unbroken(_side(difference.first))} less {unbroken(_side(difference.second))}",
        signed_interval(difference.difference),
        decimal(difference.gained, 1),
        decimal(difference.lost, 1),
        p_value(difference.p_value),
        p_value(difference.p_holm),
        count(difference.num_seeds),
    )


def _side(side: Side) -> str:
    return f"{side.curve}, {count(side.samples)}"
