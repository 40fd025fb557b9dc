"""The answer in words, what it rests on, and what it does not say."""

from collections.abc import Mapping

from stages.reporting.blocks import Block, Grid, Notice, Picture, Points, Prose, Section
from stages.reporting.findings import Comparison, Difference, Findings, LabelsToTarget, Trend
from stages.reporting.html import count, percent
from stages.reporting.sections import SYNTHETIC, SYNTHETIC_LEAD
from stages.reporting.study_words import NONE, level, p_value, signed, signed_interval, unbroken
from stages.statistics.curves import CurveFit

FAMILIES = {
    "methods": "Methods at one size",
    "sizes": "Sizes of one method",
    "protocols": "Protocols at one size",
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
DIFFERENCES_NOTE = (
    "Both sides saw the same test rows, so only rows that exactly one of them has right tell them apart: gained rows "
    "are right with the first alone, lost rows with the second alone (means over the seeds). Each p is of “no "
    "difference”, and Holm is the same, corrected for all of its table. A large p shows no equality."
)


def opening(findings: Findings) -> Section:
    """The headline, and what must be read with it."""
    headline, *further = findings.answers or ("No experiment of this study is finished yet.",)
    blocks: list[Block] = [Prose(headline, "answer")]
    if findings.synthetic:
        blocks.append(Notice(SYNTHETIC_LEAD, SYNTHETIC))
    if further:
        blocks.append(Points(tuple(further)))
    if findings.caveats:
        blocks += [Prose("What to keep in mind:"), Points(findings.caveats)]
    if findings.missing:
        number = len(findings.missing)
        cells = "1 cell of the grid is" if number == 1 else f"{count(number)} cells of the grid are"
        blocks.append(Prose(f"{cells} not finished, see “How it was made”."))
    return Section("", tuple(blocks))


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
    return Section(heading, (Grid(head, rows), Prose(note, "note")))


def _verdict(comparison: Comparison) -> tuple[str, ...]:
    result = comparison.result
    needed = (result.num_rows_needed, result.num_seeds_needed)
    return (
        unbroken(f"{count(comparison.samples)}{' *' if comparison.primary else ''}"),
        f"{100 * result.margin:.1f}",
        result.verdict,
        signed_interval(result.difference),
        str(comparison.num_seeds),
        *(NONE if number is None else count(number) for number in needed),
    )


def labels(findings: Findings) -> Section:
    """What each target costs in labels."""
    heading = "How many labels does a target take?"
    fits = {curve.name: curve.fit for curve in findings.curves if curve.fit}
    blocks: list[Block] = []
    if findings.targets:
        confidence = level(findings.confidence_level)
        head = ("method", "target", f"labels, {confidence} interval", "by the curve")
        blocks.append(Grid(head, tuple(_labels(target, fits, confidence) for target in findings.targets)))
        blocks.append(
            Prose(
                "From the fitted curve and the two edges of its band. No bound: the edge does not meet the target up "
                "to four times the largest size, where the fit ends. How well it foretold a size that it had not seen "
                "is told with the learning curve.",
                "note",
            )
        )
    refusals = tuple(
        f"{curve.name}: {curve.refusal}" for curve in findings.curves if curve.fit is None and not curve.contrast
    )
    if refusals:
        blocks += [Prose("No curve was fitted, and so no number of labels is given, for:"), Points(refusals)]
    return Section(heading, tuple(blocks) or (Prose("There is no curve yet to read it from."),))


def _labels(target: LabelsToTarget, fits: Mapping[str, CurveFit], confidence: str) -> tuple[str, ...]:
    fit = fits.get(target.curve)
    smallest = float(fit.sizes[0]) if fit is not None else 0.0
    reach = count(target.reach)
    value = f"not up to {reach}" if target.value is None else _rows(target.value, smallest)
    if target.low is None:
        within = f"not reached within the {confidence} band"
    elif target.high is None:
        earliest = "no lower bound" if target.low <= smallest else f"{_rows(target.low, smallest)} at the earliest"
        within = f"{earliest}, no upper bound"
    elif target.high <= smallest:
        within = _rows(target.high, smallest)
    else:
        within = f"{_rows(target.low, smallest)} to {_rows(target.high, smallest)}"
    return target.curve, percent(target.target, 0 if (100 * target.target).is_integer() else 1), within, value


def _rows(number: float, smallest: float) -> str:
    """Training rows, rounded to what a fit can tell; below the smallest size the curve says nothing."""
    if number <= smallest:
        return f"{count(smallest)} or fewer"
    return count(float(f"{number:.2g}"))


def differences(findings: Findings) -> Section:
    """Paired differences: the forest plot, and whether accuracy rises with size."""
    heading = "Paired differences"
    if not findings.differences:
        return Section(heading, (Prose("No two sets of finished cells can be compared yet."),))
    told = "Both sides of a difference saw the same test rows. The p of each stands at the end of the page."
    blocks: list[Block] = [Picture("differences", _description(findings)), Prose(told, "note")]
    if findings.trends:
        asked = "Does accuracy rise with size? Page's test over the sizes that have all the seeds, one-sided:"
        blocks.append(Prose(asked))
        rows = tuple(_trend(trend) for trend in findings.trends)
        blocks.append(Grid(("method", "seeds", "sizes", "p"), rows))
    return Section(heading, tuple(blocks))


def _trend(trend: Trend) -> tuple[str, ...]:
    return trend.curve, str(trend.num_seeds), str(trend.num_sizes), p_value(trend.p_value)


def every_difference(findings: Findings) -> Section:
    """The numbers of the forest plot, and what each rests on; a table for each family."""
    blocks: list[Block] = []
    for family in dict.fromkeys(difference.family for difference in findings.differences):
        own = [difference for difference in findings.differences if difference.family == family]
        confidence = level(own[0].difference.confidence_level)
        head = ("first less second", f"points [{confidence}]", "gained", "lost", "p", "Holm", "seeds")
        blocks += [Prose(f"{FAMILIES.get(family, family)}:"), Grid(head, tuple(_difference(each) for each in own))]
    if not blocks:
        return Section("", ())
    return Section("Every difference", (*blocks, Prose(DIFFERENCES_NOTE, "note")))


def _difference(difference: Difference) -> tuple[str, ...]:
    return (
        f"{unbroken(difference.first)} less {unbroken(difference.second)}",
        signed_interval(difference.difference),
        f"{difference.gained:.1f}",
        f"{difference.lost:.1f}",
        p_value(difference.p_value),
        p_value(difference.p_holm),
        str(difference.num_seeds),
    )


def _description(findings: Findings) -> str:
    apart = sum(each.difference.low > 0 or each.difference.high < 0 for each in findings.differences)
    largest = max(findings.differences, key=lambda each: abs(each.difference.value))
    return (
        f"Forest plot of {count(len(findings.differences))} paired differences; the interval of {count(apart)} leaves "
        f"out 0. The largest is {largest.first} less {largest.second}: {signed(largest.difference.value)} points."
    )
