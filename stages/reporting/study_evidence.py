"""Calibration, cost, the leak, and how it was all made."""

from stages.reporting.blocks import Block, Grid, Picture, Points, Prose, Section
from stages.reporting.findings import Curve, Findings, Leak, Point
from stages.reporting.html import count, percent
from stages.reporting.study_words import bare_interval, level, seconds, shortened, unbroken

ARROW = "\N{RIGHTWARDS ARROW}"
COST_HEAD = ("method, rows", "test", "validation", "seconds", "trained parameters", "steps", "seeds")


def calibration(findings: Findings) -> Section:
    """What a probability is worth, before and after the temperature."""
    heading = "Can its probabilities be believed?"
    curves = [curve for curve in findings.curves if not curve.contrast]
    if not curves:
        return Section(heading, (Prose("There is no finished cell to ask."),))
    confidence = level(curves[0].points[-1].calibration.ece.confidence_level)
    head = ("method", "T", f"calibration error, % [{confidence}]", "after", "noise", "loss, nats", "Brier score")
    note = (
        "Each method at its largest size. A temperature T per seed, fitted on the validation rows, divides the logits: "
        "it changes no predicted class. After and arrows: with it. Expected calibration error in bins of equal numbers "
        "of rows. Noise: what probabilities that are exactly right would show on so few rows; an error near it is none "
        "that these rows can tell. The intervals cover the choice of rows alone."
    )
    rows = tuple(_calibration(curve) for curve in curves)
    return Section(heading, (Picture("reliability", _reliability(curves)), Grid(head, rows), Prose(note, "note")))


def _calibration(curve: Curve) -> tuple[str, ...]:
    told = curve.points[-1].calibration
    return (
        curve.name,
        f"{told.temperature:.2f}",
        bare_interval(told.ece),
        bare_interval(told.ece_after),
        f"{100 * told.ece_of_noise:.1f}",
        f"{told.nll:.3f} {ARROW} {told.nll_after:.3f}",
        f"{told.brier:.3f} {ARROW} {told.brier_after:.3f}",
    )


def _reliability(curves: list[Curve]) -> str:
    told = "; ".join(_before_and_after(curve) for curve in curves)
    return f"Reliability diagrams, accuracy against confidence. Expected calibration error: {told}."


def _before_and_after(curve: Curve) -> str:
    told = curve.points[-1].calibration
    return f"{curve.name} {percent(told.ece.value)}, after the temperature {percent(told.ece_after.value)}"


def cost(findings: Findings) -> Section:
    """Seconds and parameters beside accuracy."""
    heading = "What does it cost?"
    curves = [curve for curve in findings.curves if not curve.contrast]
    if not curves:
        return Section(heading, (Prose("Nothing was trained yet."),))
    rows = tuple(_cost(curve, curve.points[-1]) for curve in curves)
    note = (
        "Each method at its largest size; all sizes stand at the end of the page. Seconds are the median over the "
        "seeds, on the hardware named below, and do not repeat exactly."
    )
    return Section(heading, (Picture("cost", _cost_description(findings)), Grid(COST_HEAD, rows), Prose(note, "note")))


def every_point(findings: Findings) -> Section:
    """Every point of every curve, contrasts as well."""
    if not findings.curves:
        return Section("", ())
    rows = tuple(_cost(curve, point) for curve in findings.curves for point in curve.points)
    note = (
        "Seconds are the median over the seeds, all else is a mean. Validation chose the epoch that was kept, so it "
        "reads a little too good; test chose nothing."
    )
    return Section("Every point", (Grid(COST_HEAD, rows), Prose(note, "note")))


def _cost_description(findings: Findings) -> str:
    told = "; ".join(
        f"{curve.name} {seconds(last.train_seconds)} s and {count(last.trainable_parameters)} parameters for "
        f"{percent(last.accuracy.value)}"
        for curve in findings.curves
        if not curve.contrast
        for last in curve.points[-1:]
    )
    return f"Test accuracy against seconds of training and against trained parameters. At the largest size: {told}."


def _cost(curve: Curve, point: Point) -> tuple[str, ...]:
    return (
        unbroken(f"{curve.name}, {count(point.samples)}"),
        percent(point.accuracy.value),
        percent(point.val_accuracy),
        seconds(point.train_seconds),
        count(point.trainable_parameters),
        count(round(point.steps)),
        str(len(point.seeds)),
    )


def leak(findings: Findings) -> Section:
    """What validation rows that the model met in training do to the validation score."""
    heading = "What a leaking split would have said"
    if not findings.leaks:
        return Section(heading, (Prose("The random carve, which leaks, was not run beside the grouped partition."),))
    head = ("method, rows", "overlap", "validation", "test", "seeds")
    largest = {each.method: each for each in sorted(findings.leaks, key=lambda each: each.samples)}
    return Section(
        heading,
        (
            Prose(
                "Carved at random, validation holds rows that share their text with training rows; the grouped "
                "partition keeps such rows on one side. Test is the same for both."
            ),
            Picture("leak", " ".join(_leak_sentence(each) for each in largest.values())),
            Grid(head, tuple(_leak(each) for each in findings.leaks)),
            Prose(
                "Overlap: share of the validation rows that overlap with training rows. Every entry: grouped, then "
                "carved at random; accuracies are means over the seeds.",
                "note",
            ),
        ),
    )


def _leak(each: Leak) -> tuple[str, ...]:
    return (
        unbroken(f"{each.method}, {count(each.samples)}"),
        _change(each.overlap_grouped, each.overlap_random),
        _change(each.val_grouped, each.val_random),
        _change(each.test_grouped, each.test_random),
        str(each.num_seeds),
    )


def _change(grouped: float, random: float) -> str:
    return unbroken(f"{percent(grouped)} {ARROW} {percent(random)}")


def _leak_sentence(each: Leak) -> str:
    return (
        f"{each.method}, {count(each.samples)}: carved at random, {percent(each.overlap_random)} of the validation "
        f"rows overlap with training and validation reads {percent(each.val_random)}; grouped, "
        f"{percent(each.overlap_grouped)} and {percent(each.val_grouped)}."
    )


def protocol(findings: Findings) -> Section:
    """Versions, commit, seeds, hardware; what is not finished and what was left out."""
    blocks: list[Block] = [Grid((), tuple(findings.protocol))] if findings.protocol else []
    if findings.missing:
        blocks += [Prose(f"Not finished, of the grid: {count(len(findings.missing))}."), _listed(findings.missing)]
    if findings.stale:
        number = count(len(findings.stale))
        blocks += [
            Prose(f"Left out, for another version of the code, other params or other data: {number}."),
            _listed(findings.stale),
        ]
    if not findings.missing:
        blocks.append(Prose("Every cell of the grid is finished."))
    return Section("How it was made", tuple(blocks))


def _listed(names: tuple[str, ...]) -> Points:
    return Points(shortened(names))
