"""What accuracy costs: seconds of training, and parameters trained."""

from collections.abc import Callable, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.reporting.findings import Curve, Findings, Point
from stages.reporting.study_style import LOOKS, WIDTH, decade_axis, legend_below, percent_axis, remark
from stages.reporting.style import STYLE, new_figure

LEAST_SECONDS = 0.05  # seconds are recorded to the tenth, and a logarithmic axis has no 0


def draw_cost(findings: Findings) -> Figure | None:
    """Every point of every curve, joined from the smallest training set to the largest; None without a point."""
    curves = [curve for curve in findings.curves if not curve.contrast]
    if not curves:
        return None
    with rc_context(STYLE | {"axes.grid.axis": "both"}):
        figure = new_figure(WIDTH, 6.0)
        above, below = figure.subplots(2, sharey=True)
        _panel(above, curves, lambda point: max(point.train_seconds, LEAST_SECONDS))
        decade_axis(above, "seconds of training, median over the seeds (log scale)")
        above.set_title("Test accuracy against time")
        remark(above, "each line: from fewer to more training rows")
        _panel(below, curves, lambda point: max(point.trainable_parameters, 1))
        decade_axis(below, "trained parameters (log scale)")
        below.set_title("Test accuracy against trained parameters")
        remark(below, "the higher of a method's points, the more training rows")
        legend_below(figure, above, columns=4)
    return figure


def _panel(axes: Axes, curves: Sequence[Curve], cost: Callable[[Point], float]) -> None:
    for curve in curves:
        look = LOOKS[curve.method]
        axes.plot(
            [cost(point) for point in curve.points],
            [point.accuracy.value for point in curve.points],
            color=look.color,
            linestyle=look.dash,
            marker=look.marker,
            markersize=6,
            linewidth=1.2,
            label=curve.name,
        )
    axes.margins(x=0.09, y=0.1)
    percent_axis(axes)
