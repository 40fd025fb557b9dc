"""Reliability diagrams: how often a prediction of each confidence is right, before and after the temperature."""

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from stages.reporting.findings import Curve, Findings
from stages.reporting.html import count
from stages.reporting.study_style import LONGEST_NAME, LOOKS, WIDTH, legend_below
from stages.reporting.style import INK, MUTED, STYLE, new_figure, short
from stages.statistics.calibration import Calibration, ReliabilityBin

COLUMNS = 2
BEFORE: Any = {
    "linestyle": (0, (1, 1.5)),
    "linewidth": 1.3,
    "marker": "s",
    "markersize": 4.5,
    "markerfacecolor": "white",
}
AFTER: Any = {"linestyle": "-", "linewidth": 1.3, "marker": "o", "markersize": 4.5}


def draw_reliability(findings: Findings) -> Figure | None:
    """A panel per method at its largest size; on the diagonal a probability is what it says. None without a point."""
    curves = [curve for curve in findings.curves if not curve.contrast]
    if not curves:
        return None
    rows = ceil(len(curves) / COLUMNS)
    with rc_context(STYLE):
        figure = new_figure(WIDTH, 1.1 + 2.1 * rows)
        limit = _lowest(curves)
        for position, curve in enumerate(curves):
            axes = figure.add_subplot(rows, COLUMNS, position + 1)
            _panel(axes, curve, limit)
            if position % COLUMNS == 0:
                axes.set_ylabel("share that is right")
            if position + COLUMNS >= len(curves):
                axes.set_xlabel("confidence")
        figure.suptitle("How often is a confidence right?", x=0.012, ha="left", fontsize=11, fontweight="bold")
        _legend(figure)
    return figure


def _legend(figure: Figure) -> None:
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


def _panel(axes: Axes, curve: Curve, limit: float) -> None:
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
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.tick_params(labelsize=9)
    axes.set_title(f"{short(curve.name, LONGEST_NAME)}, {count(last.samples)}", pad=6, fontsize=10)
    axes.text(0.97, 0.04, _error(last.calibration), transform=axes.transAxes, ha="right", fontsize=8.5)


def _error(told: Calibration) -> str:
    return f"error {100 * told.ece.value:.1f} %\nafter {100 * told.ece_after.value:.1f} %"
