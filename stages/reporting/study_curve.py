"""The learning curves of the study: accuracy against labels, one curve per method; and one protocol beside another."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from stages.reporting.findings import Curve, Findings
from stages.reporting.study_accuracy import protocol_pairs
from stages.reporting.study_style import (
    DOTTED,
    LONGEST_NAME,
    LOOKS,
    WIDTH,
    legend_below,
    name_method,
    percent_axis,
    remark,
    side_by_side,
    size_axis,
)
from stages.reporting.study_words import most_seeds
from stages.reporting.style import MUTED, STYLE, new_figure, short
from stages.statistics.curves import CurveFit


def draw_study_curves(findings: Findings) -> Figure | None:
    """Points with their intervals, every seed as a faint dot, and the fit with its band; None without a point."""
    curves = [curve for curve in findings.curves if not curve.contrast]
    if not curves:
        return None
    reach = max((curve.fit.sizes[-1] for curve in curves if curve.fit is not None), default=None)
    with rc_context(STYLE):
        figure = new_figure(WIDTH, 4.1)
        axes = figure.add_subplot()
        for position, curve in enumerate(curves):
            if curve.fit is not None:
                _band(axes, curve.method, curve.fit)
            _measured(axes, curve, side_by_side(position, len(curves)), joined=curve.fit is None)
            name_method(axes, curve.method, curve.name)
        size_axis(axes, _sizes(curves), reach=reach)
        percent_axis(axes)
        if reach is not None:
            _mark_last(axes, max(_sizes(curves)))
        axes.set_title("Test accuracy against training rows")
        remark(axes, _legend(findings.confidence_level, seeds=most_seeds(findings), fitted=reach is not None))
        legend_below(figure, axes, columns=4)
    return figure


def draw_protocols(findings: Findings) -> Figure | None:
    """Fixed epochs and fixed steps, a panel per method; None where no method was run with both."""
    pairs = protocol_pairs(findings)
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
            remark(axes, _legend(findings.confidence_level, seeds=most_seeds(findings), fitted=False))
        method = pairs[0][0].method
        name_method(panels[0], method, "fixed epochs")
        name_method(panels[0], method, "fixed steps", hollow=True)
        legend_below(figure, panels[0], columns=2)
    return figure


def _sizes(curves: Sequence[Curve]) -> list[int]:
    return sorted({point.samples for curve in curves for point in curve.points})


def _legend(confidence_level: float, *, seeds: int, fitted: bool) -> str:
    """What bars, bands and dots are."""
    reach = f"{'bars and bands' if fitted else 'bars'}: {100 * confidence_level:g} %"
    return reach if seeds < 2 else f"{reach}; dots: seeds"


def _measured(axes: Axes, curve: Curve, shift: float, *, joined: bool, hollow: bool = False) -> None:
    """The points of one curve, moved sideways by a factor; the line between them only where no fit runs there."""
    look = LOOKS[curve.method]
    line = DOTTED if hollow else look.dash
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


def _seeds(axes: Axes, size: float, accuracies: Sequence[float], color: str) -> None:
    """A dot per seed, just right of their mean: under it they would be hidden. One seed is its own mean."""
    if len(accuracies) < 2:
        return
    beside = axes.transData + ScaledTranslation(5 / 72, 0, axes.figure.dpi_scale_trans)
    axes.plot([size] * len(accuracies), accuracies, ".", color=color, alpha=0.5, markersize=4, transform=beside)


def _band(axes: Axes, method: str, fit: CurveFit) -> None:
    look = LOOKS[method]
    axes.fill_between(fit.sizes, fit.low, fit.high, color=look.color, alpha=0.13, linewidth=0, zorder=1)
    axes.plot(fit.sizes, fit.accuracy, color=look.color, linestyle=look.dash, linewidth=1.6, zorder=2)


def _mark_last(axes: Axes, largest: int) -> None:
    """Where measuring ends and predicting begins."""
    axes.axvline(1.25 * largest, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), zorder=0)
    remark(axes, "predicted", 1, ends=True)
