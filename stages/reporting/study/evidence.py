"""What the claims rest on: curves, calibration, cost, hard rows, the leak, and how it was all made."""

from collections.abc import Sequence

from stages.reporting.document import Block, Bullets, Picture, Prose, Quotes, Section, Table
from stages.reporting.numbers import (
    NONE,
    bare_interval,
    count,
    decimal,
    level,
    listed,
    percent,
    points,
    seconds,
    seeds,
    shortened,
    signed,
    signed_interval,
    unbroken,
    with_interval,
)
from stages.reporting.study.findings import Curve, Findings, Leak, Point
from stages.reporting.study.forecasts import LEFT_OUT, backtests
from stages.reporting.words import mistake_in_words
from stages.statistics.curves import CurveFit

ARROW = "\N{RIGHTWARDS ARROW}"
COST_HEAD = ("method, rows", "test", "validation", "seconds", "trained parameters", "steps", "seeds")
NO_SENTENCE = "(the text is not at hand)"
NO_SENTENCES = "Their texts are not at hand here."
STEPS_LEAD = (
    "With fixed epochs a larger training set also means more optimizer steps; with fixed steps every size may take as "
    "many, and stops early where validation does not improve. What the sizes still differ by then is nearer to what "
    "the labels themselves bring."
)


def learning_curve(findings: Findings) -> Section:
    """The curves, the numbers in them, and what a fit is worth."""
    curves = findings.own_curves
    if not curves:
        return Section("Learning curve", (Prose("No point of a curve is finished yet."),))
    blocks: tuple[Block, ...] = (
        Picture("curve", _description(curves)),
        Prose(f"Test accuracy with its {level(findings.confidence_level)} interval, by training rows:", "lead"),
        _by_size(curves, findings.most_seeds),
        Prose(_table_note(findings), "note"),
        *_fits(curves),
    )
    return Section("Learning curve", blocks)


def _description(curves: Sequence[Curve]) -> str:
    told = "; ".join(_ends(curve) for curve in curves)
    return f"Test accuracy against training rows: {told}."


def _ends(curve: Curve) -> str:
    first, last = curve.points[0], curve.points[-1]
    end = f"{curve.name} {percent(last.accuracy.value)} at {count(last.samples)}"
    if first is last:
        return end
    return (
        f"{curve.name} {percent(first.accuracy.value)} at {count(first.samples)}, "
        f"{percent(last.accuracy.value)} at {count(last.samples)}"
    )


def _by_size(curves: Sequence[Curve], most_seeds: int) -> Table:
    """A row per size, a column per curve."""
    at = {(curve.name, point.samples): point for curve in curves for point in curve.points}
    rows = []
    for samples in sorted({samples for _, samples in at}):
        cells = [_accuracy(at.get((curve.name, samples)), most_seeds) for curve in curves]
        rows.append((count(samples), *cells))
    return Table(("rows", *(curve.name for curve in curves)), tuple(rows))


def _accuracy(point: Point | None, most_seeds: int) -> str:
    if point is None:
        return NONE
    num_seeds = len(point.seeds)
    told = with_interval(point.accuracy) + ("" if num_seeds == most_seeds else f", {seeds(num_seeds)}")
    return f"{told} {LEFT_OUT}" if point.left_out else told


def _table_note(findings: Findings) -> str:
    most_seeds, rows = findings.most_seeds, count(findings.num_test_rows)
    left_out = f" {LEFT_OUT} Not trained enough to count." if findings.left_out else ""
    if most_seeds == 1:
        return (
            f"One seed, {rows} test rows. The intervals are Wilson's: they tell how much another draw of test rows "
            f"could move the result; another seed moves it as well, and is not in them.{left_out}"
        )
    return (
        f"Means over {seeds(most_seeds)} unless a cell says otherwise, on the same {rows} test rows. The intervals "
        f"resample rows and seeds together; those of one seed are Wilson's and know of the rows only.{left_out}"
    )


def _fits(curves: Sequence[Curve]) -> list[Block]:
    """How the curves were fitted, always with the backtest beside it."""
    fitted = [(curve.name, curve.fit) for curve in curves if curve.fit is not None]
    if not fitted:
        return []
    families = [(name, fit) for name, fit in fitted if fit.families]
    blocks: list[Block] = [*backtests(fitted)]
    if families:
        told = (
            "A third of each band is a mean of these families, each with its weight and its error in points at sizes "
            "left out; a third a power law, a third a damped trend of the logit:"
        )
        blocks += [Prose(told, "lead"), _families(families)]
    return blocks


def _families(fitted: Sequence[tuple[str, CurveFit]]) -> Table:
    """A row per method, a column per family."""
    names = list(dict.fromkeys(family.name for _, fit in fitted for family in fit.families))
    rows = []
    for name, fit in fitted:
        told = {
            family.name: f"{percent(family.weight, 0)}, {points(family.leave_one_out, 2)}" for family in fit.families
        }
        rows.append((name, *(told.get(family, NONE) for family in names)))
    return Table(("method", *names), tuple(rows))


def fixed_steps(findings: Findings) -> Section:
    """Fixed epochs and fixed steps side by side."""
    heading = "Fixed epochs or fixed steps?"
    pairs = findings.with_fixed_steps
    if not pairs:
        return Section(heading, (Prose("Only one of the two protocols was run."),))
    description = _description([curve for pair in pairs for curve in pair])
    blocks: list[Block] = [Prose(STEPS_LEAD), Picture("protocols", description)]
    head = ("training rows", "fixed epochs", "its steps", "fixed steps", "its steps", "difference")
    for epochs, steps in pairs:
        gains = {
            each.first.samples: signed(each.difference.value)
            for each in findings.differences
            if each.family == "contrasts" and each.first.curve == steps.name
        }
        blocks.append(Prose(f"{steps.name}, beside fixed epochs:", "lead"))
        blocks.append(Table(head, _side_by_side(epochs, steps, gains)))
    return Section(heading, tuple(blocks))


def _side_by_side(epochs: Curve, steps: Curve, gains: dict[int, str]) -> tuple[tuple[str, ...], ...]:
    """A row per size that both have; the gain is that of the seeds which both have."""
    left, right = ({point.samples: point for point in curve.points} for curve in (epochs, steps))
    return tuple(
        (
            count(samples),
            with_interval(left[samples].accuracy),
            count(left[samples].steps),
            with_interval(right[samples].accuracy),
            count(right[samples].steps),
            gains.get(samples, NONE),
        )
        for samples in sorted(left.keys() & right.keys())
    )


def slices(findings: Findings) -> Section:
    """Where the errors are: a row per slice, a column per curve."""
    heading = "Which test rows are hard?"
    if not findings.slices:
        return Section(heading, (Prose("The test rows were not cut into slices."),))
    columns = list(dict.fromkeys((each.curve, each.samples) for each in findings.slices))
    at = {(each.name, each.curve, each.samples): bare_interval(each.accuracy, 0) for each in findings.slices}
    num_rows = {each.name: each.num_rows for each in findings.slices}
    head = ("slice (rows)", *(f"{curve}, {count(samples)}" for curve, samples in columns))
    rows = tuple(
        (f"{name} ({count(number)})", *(at.get((name, *column), NONE) for column in columns))
        for name, number in num_rows.items()
    )
    note = (
        "Accuracy in percent with its interval, each method at its largest size. A small slice has a wide interval, "
        "and among many slices some stand out by chance."
    )
    return Section(heading, (Table(head, rows), Prose(note, "note")))


def mistakes(findings: Findings) -> Section:
    """Test rows that are got wrong surely, with their texts."""
    heading = "The surest mistakes"
    if not findings.mistakes:
        return Section(heading, (Prose("None is listed."),))
    lead = "Test rows that most seeds get wrong, the surest first. Some may be wrong labels."
    if not any(mistake.sentence for mistake in findings.mistakes):
        told = tuple(mistake_in_words(mistake) for mistake in findings.mistakes)
        return Section(heading, (Prose(f"{lead} {NO_SENTENCES}", "lead"), Bullets(told)))
    quoted = tuple((mistake.sentence or NO_SENTENCE, mistake_in_words(mistake)) for mistake in findings.mistakes)
    return Section(heading, (Prose(lead, "lead"), Quotes(quoted)))


def calibration(findings: Findings) -> Section:
    """What a probability is worth, before and after the temperature."""
    heading = "Can its probabilities be believed?"
    curves = findings.own_curves
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
    return Section(heading, (Picture("reliability", _reliability(curves)), Table(head, rows), Prose(note, "note")))


def _calibration(curve: Curve) -> tuple[str, ...]:
    told = curve.points[-1].calibration
    return (
        curve.name,
        decimal(told.temperature, 2),
        bare_interval(told.ece),
        bare_interval(told.ece_after),
        points(told.ece_of_noise),
        f"{decimal(told.nll)} {ARROW} {decimal(told.nll_after)}",
        f"{decimal(told.brier)} {ARROW} {decimal(told.brier_after)}",
    )


def _reliability(curves: Sequence[Curve]) -> str:
    told = "; ".join(_before_and_after(curve) for curve in curves)
    return f"Reliability diagrams, accuracy against confidence. Expected calibration error: {told}."


def _before_and_after(curve: Curve) -> str:
    told = curve.points[-1].calibration
    return f"{curve.name} {percent(told.ece.value)}, after the temperature {percent(told.ece_after.value)}"


def cost(findings: Findings) -> Section:
    """Seconds and parameters beside accuracy."""
    heading = "What does it cost?"
    curves = findings.own_curves
    if not curves:
        return Section(heading, (Prose("Nothing was trained yet."),))
    rows = tuple(_cost(curve, curve.points[-1]) for curve in curves)
    note = (
        "Each method at its largest size; all sizes stand at the end of the page. Seconds are the median over the "
        "seeds, on the hardware named below, and do not repeat exactly."
    )
    return Section(heading, (Picture("cost", _cost_description(findings)), Table(COST_HEAD, rows), Prose(note, "note")))


def labels_paid(findings: Findings) -> Section:
    """The best that was measured for each number of labels bought, validation's included."""
    heading = "What is best for so many labels in all?"
    curves = (curve for curve in findings.curves if curve.contrast in ("", "inside"))
    measured = [(point, curve) for curve in curves for point in curve.points]
    if not measured:
        return Section(heading, ())
    rows: list[tuple[str, ...]] = []
    best = None
    for point, curve in sorted(measured, key=lambda one: (one[0].labels_paid, -one[0].accuracy.value)):
        if best is None or point.accuracy.value > best:
            best = point.accuracy.value
            split = " + ".join(count(rows) for rows in (point.train_rows, point.val_rows) if rows)
            rows.append((count(point.labels_paid), curve.name, split, with_interval(point.accuracy)))
    note = (
        "A label that chooses a checkpoint costs as much as one that is trained on, so a method is charged for both; "
        "those of the test split are not counted. “Validation inside”: the labels that choose are taken out of the "
        "samples, else they come on top. A row stands for all totals up to the next one. Cells that were not trained "
        "enough take part, for this is about what one gets; the best of several reads a little too good."
    )
    head = ("labels in all", "method", "training + validation", "test accuracy")
    table: tuple[Block, ...] = (Table(head, tuple(rows)), Prose(note, "note"))
    if not any(point.val_rows for point, _ in measured):
        return Section(heading, table)
    total, method, _, accuracy = rows[-1]
    told = f"Test accuracy against all labels paid for. Best of all: {method} {accuracy.split(' [')[0]} for {total}."
    return Section(heading, (*table, Picture("paid", told)))


def every_point(findings: Findings) -> Section:
    """Every point of every curve, contrasts as well."""
    if not findings.curves:
        return Section("Every point", ())
    rows = tuple(_cost(curve, point) for curve in findings.curves for point in curve.points)
    note = (
        "Seconds are the median over the seeds, all else is a mean. Validation chose the epoch that was kept, so it "
        "reads a little too good; test chose nothing."
    )
    return Section("Every point", (Table(COST_HEAD, rows), Prose(note, "note")))


def _cost_description(findings: Findings) -> str:
    told = "; ".join(
        f"{curve.name} {seconds(last.train_seconds)} s and {count(last.trainable_parameters)} parameters for "
        f"{percent(last.accuracy.value)}"
        for curve in findings.own_curves
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
        count(len(point.seeds)),
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
            Table(head, tuple(_leak(each) for each in findings.leaks)),
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
        count(each.num_seeds),
    )


def _change(grouped: float, random: float) -> str:
    return unbroken(f"{percent(grouped)} {ARROW} {percent(random)}")


def _leak_sentence(each: Leak) -> str:
    return (
        f"{each.method}, {count(each.samples)}: carved at random, {percent(each.overlap_random)} of the validation "
        f"rows overlap with training and validation reads {percent(each.val_random)}; grouped, "
        f"{percent(each.overlap_grouped)} and {percent(each.val_grouped)}."
    )


def provenance(findings: Findings) -> Section:
    """Versions, commit, seeds, hardware; what is not finished and what was left out."""
    blocks: list[Block] = [Table((), findings.provenance)] if findings.provenance else []
    blocks += _precisions(findings)
    if findings.missing:
        told = f"Not finished, of the grid: {count(len(findings.missing))}."
        blocks += [Prose(told, "lead"), Bullets(shortened(findings.missing))]
    if findings.stale:
        number = count(len(findings.stale))
        told = f"Left out, for other data, params, numerical versions, number formats, engines or devices: {number}."
        blocks += [Prose(told, "lead"), Bullets(shortened(findings.stale))]
    if not findings.missing:
        blocks.append(Prose("Every cell of the grid is finished."))
    return Section("How it was made", tuple(blocks))


def _precisions(findings: Findings) -> list[Block]:
    """How much the pooled number formats differ, where cells were computed in several."""
    if not findings.pooled_precisions:
        return []
    pooled = listed(findings.pooled_precisions)
    if not findings.precisions:
        return [Prose(f"Cells in {pooled} are pooled; none was computed in both, so what that does is not measured.")]
    head = ("cells in both formats", f"points [{level(findings.confidence_level)}]", "rows classed otherwise", "seeds")
    rows = tuple(
        (
            unbroken(f"{each.curve}, {count(each.samples)}: {each.first} less {each.second}"),
            signed_interval(each.difference),
            percent(each.reclassified),
            str(each.num_seeds),
        )
        for each in findings.precisions
    )
    told = f"Cells in {pooled} are pooled. What the format alone does, from cells that were computed in both:"
    return [Prose(told, "lead"), Table(head, rows)]
