"""Accuracy by size, by protocol and by kind of test row."""

from collections.abc import Sequence

from stages.reporting.blocks import Block, Grid, Picture, Points, Prose, Quotes, Section
from stages.reporting.findings import Curve, Findings, HardRow, Point
from stages.reporting.html import count, percent
from stages.reporting.study_words import NONE, bare_interval, level, most_seeds, seeds, signed, with_interval
from stages.statistics.curves import CurveFit

NO_SENTENCE = "(the text is not at hand)"
NO_SENTENCES = "Their texts are not at hand here."


def learning_curve(findings: Findings) -> Section:
    """The curves, the numbers in them, and what a fit is worth."""
    curves = [curve for curve in findings.curves if not curve.contrast]
    if not curves:
        return Section("Learning curve", (Prose("No point of a curve is finished yet."),))
    blocks: tuple[Block, ...] = (
        Picture("curve", _description(curves)),
        Prose(f"Test accuracy with its {level(findings.confidence_level)} interval, by training rows:"),
        _by_size(curves, most_seeds(findings)),
        Prose(_table_note(findings), "note"),
        *_fits(curves),
    )
    return Section("Learning curve", blocks)


def _description(curves: Sequence[Curve]) -> str:
    told = "; ".join(f"{curve.name} {_ends(curve.points)}" for curve in curves)
    return f"Test accuracy against training rows: {told}."


def _ends(curve: Sequence[Point]) -> str:
    first, last = curve[0], curve[-1]
    end = f"{percent(last.accuracy.value)} at {count(last.samples)}"
    return end if first is last else f"{percent(first.accuracy.value)} at {count(first.samples)}, {end}"


def _by_size(curves: Sequence[Curve], usual_seeds: int) -> Grid:
    """A row per size, a column per curve."""
    at = {(curve.name, point.samples): point for curve in curves for point in curve.points}
    rows = []
    for samples in sorted({samples for _, samples in at}):
        cells = [_accuracy(at.get((curve.name, samples)), usual_seeds) for curve in curves]
        rows.append((count(samples), *cells))
    return Grid(("rows", *(curve.name for curve in curves)), tuple(rows))


def _accuracy(point: Point | None, usual_seeds: int) -> str:
    if point is None:
        return NONE
    number = len(point.seeds)
    return with_interval(point.accuracy) + ("" if number == usual_seeds else f", {seeds(number)}")


def _table_note(findings: Findings) -> str:
    number, rows = most_seeds(findings), count(findings.num_test_rows)
    if number == 1:
        return (
            f"One seed, {rows} test rows. The intervals are Wilson's: they tell how much another draw of test rows "
            "could move the result; another seed moves it as well, and is not in them."
        )
    return (
        f"Means over {seeds(number)} unless a cell says otherwise, on the same {rows} test rows. The intervals "
        "resample rows and seeds together; those of one seed are Wilson's and know of the rows only."
    )


def _fits(curves: Sequence[Curve]) -> list[Block]:
    """How the curves were fitted, always with the backtest beside it."""
    fitted = [(curve.name, curve.fit) for curve in curves if curve.fit is not None]
    if not fitted:
        return []
    return [
        Prose(
            "Does the curve predict? Backtest: fitted on the sizes up to a quarter of the largest, asked for the "
            "largest, beside the plain guess that accuracy stays at its last value:"
        ),
        Grid(
            ("method", "fitted up to", "asked for", "predicted", "measured", "off by", "last value", "off by"),
            tuple(_backtest(name, fit) for name, fit in fitted),
        ),
        Prose(
            "What was fitted: a mean of these families, each with its weight and its error in points at sizes left out:"
        ),
        _families(fitted),
    ]


def _families(fitted: Sequence[tuple[str, CurveFit]]) -> Grid:
    """A row per method, a column per family."""
    names = list(dict.fromkeys(family.name for _, fit in fitted for family in fit.families))
    rows = []
    for name, fit in fitted:
        told = {
            family.name: f"{percent(family.weight, 0)}, {100 * family.leave_one_out:.2f}" for family in fit.families
        }
        rows.append((name, *(told.get(family, NONE) for family in names)))
    return Grid(("method", *names), tuple(rows))


def _backtest(name: str, fit: CurveFit) -> tuple[str, ...]:
    test = fit.backtest
    if test is None:
        return (name, "too few sizes", *[NONE] * 6)
    return (
        name,
        count(test.largest_fitted),
        count(test.predicted_size),
        with_interval(test.predicted),
        percent(test.observed),
        signed(test.predicted.value - test.observed),
        percent(test.last_value),
        signed(test.last_value - test.observed),
    )


def protocols(findings: Findings) -> Section:
    """Fixed epochs and fixed steps side by side."""
    heading = "Fixed epochs or fixed steps?"
    pairs = protocol_pairs(findings)
    if not pairs:
        return Section(heading, (Prose("Only one of the two protocols was run."),))
    blocks: list[Block] = [
        Prose(
            "With fixed epochs a larger training set also means more optimizer steps; with fixed steps every size may "
            "take as many, and stops early where validation does not improve. What the sizes still differ by then is "
            "nearer to what the labels themselves bring."
        ),
        Picture("protocols", _description([curve for pair in pairs for curve in pair])),
    ]
    head = ("training rows", "fixed epochs", "its steps", "fixed steps", "its steps", "difference")
    for epochs, steps in pairs:
        blocks += [Prose(f"{steps.name}, beside fixed epochs:"), Grid(head, tuple(_side_by_side(epochs, steps)))]
    return Section(heading, tuple(blocks))


def protocol_pairs(findings: Findings) -> list[tuple[Curve, Curve]]:
    """Each method that was run both with fixed epochs and with fixed steps."""
    usual = {curve.method: curve for curve in findings.curves if not curve.contrast}
    steps = [curve for curve in findings.curves if curve.contrast == "fixed_steps" and curve.method in usual]
    return [(usual[curve.method], curve) for curve in steps]


def _side_by_side(epochs: Curve, steps: Curve) -> list[tuple[str, ...]]:
    left = {point.samples: point for point in epochs.points}
    right = {point.samples: point for point in steps.points}
    rows: list[tuple[str, ...]] = []
    for samples in sorted(left.keys() & right.keys()):
        first, second = left[samples], right[samples]
        rows.append(
            (
                count(samples),
                with_interval(first.accuracy),
                count(first.steps),
                with_interval(second.accuracy),
                count(second.steps),
                _gain(first, second),
            )
        )
    return rows


def _gain(first: Point, second: Point) -> str:
    """Mean accuracy of the second less that of the first, over the seeds that both have."""
    before = dict(zip(first.seeds, first.seed_accuracies, strict=True))
    after = dict(zip(second.seeds, second.seed_accuracies, strict=True))
    common = sorted(before.keys() & after.keys())
    return signed(sum(after[seed] - before[seed] for seed in common) / len(common)) if common else NONE


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
    return Section(heading, (Grid(head, rows), Prose(note, "note")))


def hard_rows(findings: Findings) -> Section:
    """Test rows that are got wrong surely, with their texts."""
    heading = "The surest mistakes"
    if not findings.hard_rows:
        return Section(heading, (Prose("None is listed."),))
    lead = "Test rows that most seeds get wrong, the surest first. Some may be wrong labels."
    items = tuple(_hard(row) for row in findings.hard_rows)
    if not any(row.sentence for row in findings.hard_rows):
        return Section(heading, (Prose(f"{lead} {NO_SENTENCES}"), Points(tuple(remark for _, remark in items))))
    return Section(heading, (Prose(lead), Quotes(items)))


def _hard(row: HardRow) -> tuple[str, str]:
    remark = (
        f"labelled “{row.actual}”, predicted “{row.predicted}” with probability {percent(row.confidence)}; "
        f"wrong with {row.num_wrong} of {seeds(row.num_seeds)}; row {row.row_id}"
    )
    return row.sentence or NO_SENTENCE, remark
