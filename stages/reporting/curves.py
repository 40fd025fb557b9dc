"""Loss and accuracy per epoch, training and validation."""

from dataclasses import dataclass

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from stages.reporting.style import ACCENT, MUTED, SECOND, STYLE, new_figure

LABEL_GAP = 0.085  # least distance of the two curves' names, as a share of the axis' height


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A column of the history; told apart by dash and marker as well as by colour."""

    column: str
    name: str
    color: str
    dash: str
    filled: bool


def draw_loss(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Cross-entropy in nats per epoch; the kept one of several epochs is marked."""
    with rc_context(STYLE):
        figure, axes = _draw(history, "loss", best_epoch)
        axes.set_title("Loss per epoch")
        axes.set_ylabel("cross-entropy (nats)")
    return figure


def draw_accuracy(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Accuracy in percent per epoch; the kept one of several epochs is marked."""
    with rc_context(STYLE):
        figure, axes = _draw(history, "accuracy", best_epoch)
        axes.set_title("Accuracy per epoch")
        axes.set_ylabel("accuracy")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    return figure


def _draw(history: pd.DataFrame, measure: str, best_epoch: int) -> tuple[Figure, Axes]:
    curves = (
        Curve(column=f"train_{measure}", name="training", color=SECOND, dash="--", filled=False),
        Curve(column=f"val_{measure}", name="validation", color=ACCENT, dash="-", filled=True),
    )
    figure = new_figure(5.0, 3.1)
    axes = figure.add_subplot()
    for curve in curves:
        axes.plot(
            history["epoch"],
            history[curve.column],
            curve.dash,
            color=curve.color,
            linewidth=1.8,
            marker="o" if curve.filled else "s",
            markersize=5.5,
            markerfacecolor=curve.color if curve.filled else "white",
            clip_on=False,
        )
    _frame(axes, int(history["epoch"].min()), int(history["epoch"].max()))
    if len(history) > 1:  # of one there was no choice
        _mark_best(axes, best_epoch)
    _name_curves(axes, history, curves)
    return figure, axes


def _frame(axes: Axes, first: int, last: int) -> None:
    axes.set_xlim(first - 0.35, last + 0.35)
    axes.margins(y=0.12)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _mark_best(axes: Axes, epoch: int) -> None:
    axes.axvline(epoch, color=MUTED, linewidth=1, linestyle=(0, (1, 2)), zorder=0)
    axes.annotate(
        f"epoch {epoch} kept",
        (epoch, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=8.5,
        color=MUTED,
        annotation_clip=False,
    )


def _name_curves(axes: Axes, history: pd.DataFrame, curves: tuple[Curve, Curve]) -> None:
    """Write each name right of where its curve ends, or of its only point; pushed apart where they would overlap."""
    right, gap = (1, 4) if len(history) > 1 else (0.5, 9)
    bottom, top = axes.get_ylim()
    heights = [(history[curve.column].iloc[-1] - bottom) / (top - bottom) for curve in curves]
    missing = max(0.0, LABEL_GAP - abs(heights[0] - heights[1])) / 2
    lower = 0 if heights[0] <= heights[1] else 1
    for index, curve in enumerate(curves):
        height = heights[index] + (-missing if index == lower else missing)
        axes.annotate(
            curve.name,
            (right, height),
            xycoords="axes fraction",
            xytext=(gap, 0),
            textcoords="offset points",
            va="center",
            color=curve.color,
            annotation_clip=False,
        )
