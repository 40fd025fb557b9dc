"""The figures of the answer page but for the forest plot: curves, reliability, cost, the leak."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, floor
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from matplotlib.transforms import ScaledTranslation

from stages.reporting.numbers import count, level, percent, signed
from stages.reporting.study.findings import Curve, Findings, Point
from stages.reporting.study.forest import draw_differences
from stages.reporting.study.tuning import draw_tuning
from stages.reporting.style import (
    ACCENT,
    DOTTED,
    INK,
    LONGEST_NAME,
    LOOKS,
    MUTED,
    SECOND,
    STYLE,
    WIDTH,
    decade_axis,
    drawn,
    legend_below,
    name_method,
    new_figure,
    percent_axis,
    percent_ticks,
    remark,
    short,
    side_by_side,
    size_axis,
)
from stages.statistics.calibration import Calibration, ReliabilityBin
from stages.statistics.curves import CurveFit

COLUMNS = 2  # of reliability diagrams
BEFORE: Any = {
    "linestyle": (0, (1, 1.5)),
    "linewidth": 1.3,
    "marker": "s",
    "markersize": 4.5,
    "markerfacecolor": "white",
}
AFTER: Any = {"linestyle": "-", "linewidth": 1.3, "marker": "o", "markersize": 4.5}
LEAST_SECONDS = 0.05  # seconds are recorded to the tenth, and a logarithmic axis has no 0


def draw_study(findings: Findings) -> dict[str, Figure]:
    """Draw what there is to draw, by the names that the page and the files of figures bear."""
    figures = {
        "curve": draw_curves(findings),
        "paid": draw_paid(findings),
        "differences": draw_differences(findings),
        "protocols": draw_fixed_steps(findings),
        "reliability": draw_reliability(findings),
        "cost": draw_cost(findings),
        "leak": draw_leak(findings),
        "tuning": draw_tuning(findings),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def draw_curves(findings: Findings) -> Figure | None:
    """Points with their intervals, every seed as a faint dot, and the fit with its band; None without a point."""
    curves = findings.own_curves
    if not curves:
        return None
    reach = max((curve.fit.sizes[-1] for curve in curves if curve.fit is not None), default=None)
    with rc_context(STYLE):
        figure = new_figure(WIDTH, 4.1)
        axes = figure.add_subplot()
        for position, curve in enumerate(curves):
            if curve.fit is not None:
                _band(axes, curve.method, curve.fit)
            shift = side_by_side(position, len(curves))
            _measured(axes, curve, shift, joined=curve.fit is None)
            _hollow(axes, curve, [shift * point.samples for point in curve.points])
            name_method(axes, curve.method, curve.name)
        size_axis(axes, _sizes(curves), reach=reach)
        percent_axis(axes)
        if reach is not None:
            _mark_last(axes, max(_sizes(curves)))
        axes.set_title("Test accuracy against training rows")
        told = _drawn_as(findings.confidence_level, num_seeds=findings.most_seeds, fitted=reach is not None)
        remark(axes, f"{told}; hollow: left out" if findings.left_out else told)
        legend_below(figure, axes, columns=4)
    return figure


def draw_paid(findings: Findings) -> Figure | None:
    """The same points by all labels that they cost, validation's included; None where that is the same axis."""
    curves = findings.own_curves
    if not any(point.val_rows for curve in curves for point in curve.points):
        return None
    paid = [replace(curve, points=tuple(_paid(point) for point in curve.points)) for curve in curves]
    with rc_context(STYLE):
        figure = new_figure(WIDTH, 3.8)
        axes = figure.add_subplot()
        for position, curve in enumerate(paid):
            shift = side_by_side(position, len(paid))
            _measured(axes, curve, shift, joined=True)
            _hollow(axes, curve, [shift * point.samples for point in curve.points])
            name_method(axes, curve.method, curve.name)
        size_axis(axes, _sizes(paid))
        axes.set_xlabel("labels in all, validation's included (log scale)")
        percent_axis(axes)
        axes.set_title("Test accuracy against labels paid for")
        told = _drawn_as(findings.confidence_level, num_seeds=findings.most_seeds, fitted=False)
        remark(axes, f"{told}; hollow: left out" if findings.left_out else told)
        legend_below(figure, axes, columns=4)
    return figure


def _paid(point: Point) -> Point:
    return replace(point, samples=point.labels_paid, val_rows=0)


def draw_fixed_steps(findings: Findings) -> Figure | None:
    """Fixed epochs and fixed steps, a panel per method; None where no method was run with both."""
    pairs = findings.with_fixed_steps
    if not pairs:
        return None
    with rc_context(STYLE):
        figure = new_figure(WIDTH, 0.8 + 2.6 * len(pairs))
        panels = figure.subplots(len(pairs), squeeze=False)[:, 0]
        for axes, (epochs, steps) in zip(panels, pairs, strict=True):
            _measured(axes, epochs, side_by_side(0, 2), joined=True)
            _measured(axes, steps, side_by_side(1, 2), joined=True, hollow=True)
            size_axis(axes, _sizes([epochs, steps]))
            percent_axis(axes)
            axes.set_title(f"{short(steps.name, LONGEST_NAME)}, against fixed epochs")
            remark(axes, _drawn_as(findings.confidence_level, num_seeds=findings.most_seeds, fitted=False))
        method = pairs[0][0].method
        name_method(panels[0], method, "fixed epochs")
        name_method(panels[0], method, "fixed steps", hollow=True)
        legend_below(figure, panels[0], columns=2)
    return figure


def draw_reliability(findings: Findings) -> Figure | None:
    """A panel per method at its largest size; on the diagonal a probability is what it says. None without a point."""
    curves = findings.own_curves
    if not curves:
        return None
    rows = ceil(len(curves) / COLUMNS)
    with rc_context(STYLE):
        figure = new_figure(WIDTH, 1.1 + 2.1 * rows)
        limit = _lowest(curves)
        for position, curve in enumerate(curves):
            axes = figure.add_subplot(rows, COLUMNS, position + 1)
            _reliability_panel(axes, curve, limit)
            if position % COLUMNS == 0:
                axes.set_ylabel("share that is right")
            if position + COLUMNS >= len(curves):
                axes.set_xlabel("confidence")
        figure.suptitle("How often is a confidence right?", x=0.012, ha="left", fontsize=11, fontweight="bold")
        _calibration_legend(figure)
    return figure


def draw_cost(findings: Findings) -> Figure | None:
    """Every point of every curve, joined from the smallest training set to the largest; None without a point."""
    curves = findings.own_curves
    if not curves:
        return None
    with rc_context(STYLE | {"axes.grid.axis": "both"}):
        figure = new_figure(WIDTH, 6.0)
        above, below = figure.subplots(2, sharey=True)
        _cost_panel(above, curves, lambda point: max(point.train_seconds, LEAST_SECONDS))
        decade_axis(above, "seconds of training, median over the seeds (log scale)")
        above.set_title("Test accuracy against time")
        remark(above, "each line: from fewer to more training rows")
        _cost_panel(below, curves, lambda point: max(point.trainable_parameters, 1))
        decade_axis(below, "trained parameters (log scale)")
        below.set_title("Test accuracy against trained parameters")
        remark(below, "the higher of a method's points, the more training rows")
        legend_below(figure, above, columns=4)
    return figure


def draw_leak(findings: Findings) -> Figure | None:
    """Validation and test of each pair, from grouped to random; None where no pair was run."""
    rows = []
    for leak in findings.leaks:
        name = f"{leak.method}, {count(leak.samples)}"
        rows += [(f"{name}\nvalidation", leak.val_grouped, leak.val_random)]
        rows += [(f"{name}\ntest", leak.test_grouped, leak.test_random)]
    if not rows:
        return None
    with rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure = new_figure(WIDTH, 1.5 + 0.42 * len(rows))
        axes = figure.add_subplot()
        for height, (_, grouped, random) in enumerate(rows):
            _pair(axes, height, grouped, random)
        axes.plot([], [], "o", color=ACCENT, markerfacecolor="white", markersize=7, label="grouped partition")
        axes.plot([], [], "s", color=SECOND, markersize=6.5, label="random carve: it leaks")
        _leak_frame(axes, [name for name, *_ in rows])
        legend_below(figure, axes, columns=2)
    return figure


def _sizes(curves: Sequence[Curve]) -> list[int]:
    return sorted({point.samples for curve in curves for point in curve.points})


def _drawn_as(confidence_level: float, *, num_seeds: int, fitted: bool) -> str:
    """What bars, bands and dots are."""
    reach = f"{'bars and bands' if fitted else 'bars'}: {drawn(level(confidence_level))}"
    return reach if num_seeds < 2 else f"{reach}; dots: seeds"


def _measured(axes: Axes, curve: Curve, shift: float, *, joined: bool, hollow: bool = False) -> None:
    """The points of one curve, moved sideways by a factor; the line between them only where no fit runs there."""
    look = LOOKS[curve.method]
    line = DOTTED if hollow else look.line_style
    sizes = shift * np.array([point.samples for point in curve.points])
    told = [(point.accuracy.value, point.accuracy.low, point.accuracy.high) for point in curve.points]
    value, low, high = np.array(told).T
    axes.errorbar(
        sizes,
        value,
        [value - low, high - value],
        color=look.color,
        linestyle=line if joined else "none",
        marker=look.marker,
        markerfacecolor="white" if hollow else look.color,
        markersize=5.5,
        linewidth=1.6,
        elinewidth=1.2,
        capsize=2,
        zorder=2.5,
    )
    for size, point in zip(sizes, curve.points, strict=True):
        _seeds(axes, size, point.seed_accuracies, look.color)


def _hollow(axes: Axes, curve: Curve, places: Sequence[float]) -> None:
    """White inside: points that do not count."""
    look = LOOKS[curve.method]
    for place, point in zip(places, curve.points, strict=True):
        if point.left_out:
            value = point.accuracy.value
            axes.plot(place, value, look.marker, color=look.color, markerfacecolor="white", markersize=5.5, zorder=2.6)


def _seeds(axes: Axes, size: float, accuracies: Sequence[float], color: str) -> None:
    """A dot per seed, just right of their mean: under it they would be hidden. One seed is its own mean."""
    if len(accuracies) < 2:
        return
    beside = axes.transData + ScaledTranslation(5 / 72, 0, axes.figure.dpi_scale_trans)
    axes.plot([size] * len(accuracies), accuracies, ".", color=color, alpha=0.5, markersize=4, transform=beside)


def _band(axes: Axes, method: str, fit: CurveFit) -> None:
    look = LOOKS[method]
    axes.fill_between(fit.sizes, fit.low, fit.high, color=look.color, alpha=0.13, linewidth=0, zorder=1)
    axes.plot(fit.sizes, fit.accuracy, color=look.color, linestyle=look.line_style, linewidth=1.6, zorder=2)


def _mark_last(axes: Axes, largest: int) -> None:
    """Where measuring ends and predicting begins."""
    axes.axvline(1.25 * largest, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), zorder=0)
    remark(axes, "predicted", 1, ends=True)


def _calibration_legend(figure: Figure) -> None:
    """In black, for it holds in the panels of every colour."""
    axes = figure.axes[0]
    axes.plot([], [], color=MUTED, linewidth=1, label="exactly right")
    axes.plot([], [], color=INK, label="before", **BEFORE)
    axes.plot([], [], color=INK, label="after the temperature", **AFTER)
    legend_below(figure, axes, columns=3)


def _lowest(curves: Sequence[Curve]) -> float:
    """A round fraction below everything that is drawn, the same for all panels."""
    told = [curve.points[-1].calibration for curve in curves]
    drawn = [value for each in told for part in (*each.bins, *each.bins_after) for value in _place(part)]
    return max(0.0, floor(10 * min(drawn) - 0.2) / 10)


def _place(part: ReliabilityBin) -> tuple[float, float]:
    return part.confidence, part.accuracy


def _reliability_panel(axes: Axes, curve: Curve, limit: float) -> None:
    last, look = curve.points[-1], LOOKS[curve.method]
    axes.plot([limit, 1], [limit, 1], color=MUTED, linewidth=1, zorder=1)
    before, after = (
        np.array([_place(part) for part in bins]).T for bins in (last.calibration.bins, last.calibration.bins_after)
    )
    axes.plot(*before, color=look.color, **BEFORE)
    axes.plot(*after, color=look.color, **AFTER)
    axes.set(xlim=(limit - 0.02, 1.02), ylim=(limit - 0.02, 1.02), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(0.1 if limit > 0.6 else 0.2))
        axis.set_major_formatter(FuncFormatter(lambda value, _: drawn(percent(value, 0))))
    axes.tick_params(labelsize=9)
    axes.set_title(f"{short(curve.name, LONGEST_NAME)}, {count(last.samples)}", pad=6, fontsize=10)
    axes.text(0.97, 0.04, _error(last.calibration), transform=axes.transAxes, ha="right", fontsize=8.5)


def _error(told: Calibration) -> str:
    return drawn(f"error {percent(told.ece.value)}\nafter {percent(told.ece_after.value)}")


def _cost_panel(axes: Axes, curves: Sequence[Curve], cost: Callable[[Point], float]) -> None:
    for curve in curves:
        look = LOOKS[curve.method]
        axes.plot(
            [cost(point) for point in curve.points],
            [point.accuracy.value for point in curve.points],
            color=look.color,
            linestyle=look.line_style,
            marker=look.marker,
            markersize=6,
            linewidth=1.2,
            label=curve.name,
        )
        _hollow(axes, curve, [cost(point) for point in curve.points])
    axes.margins(x=0.09, y=0.1)
    percent_axis(axes)


def _pair(axes: Axes, height: int, grouped: float, random: float) -> None:
    axes.plot([grouped, random], [height, height], color=MUTED, linewidth=1.5, zorder=1)
    axes.plot([random], [height], "s", color=SECOND, markersize=6.5, zorder=2)
    axes.plot([grouped], [height], "o", color=ACCENT, markerfacecolor="white", markersize=7, zorder=3)
    axes.annotate(
        signed(random - grouped),
        (1, height),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=MUTED,
        annotation_clip=False,
    )


def _leak_frame(axes: Axes, names: list[str]) -> None:
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.08)
    axes.set_xlabel("accuracy")
    axes.xaxis.set_major_formatter(percent_ticks())
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_title("What a leaking split reports")
    remark(axes, "the number on the right: random less grouped, points")
