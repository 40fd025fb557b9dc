"""Loss and accuracy per epoch, the confusion matrix, and how long the texts are."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from stages.engine.lengths import TextLengths
from stages.reporting.experiment.classes import NUMBERED
from stages.reporting.numbers import count, percent
from stages.reporting.style import (
    ACCENT,
    MUTED,
    SECOND,
    STYLE,
    drawn,
    legend_below,
    new_figure,
    percent_axis,
    remark,
    short,
)

LABEL_GAP = 0.085  # least distance of the two lines' names, as a share of the axis' height
FEW_CLASSES = 4  # up to here cells have room for large type
LONGEST_CLASS = 18  # letters of a class name that are shown
BINS_READ, BINS_SHOWN = 8, 32  # bars up to where texts are cut, and in all at most
SQUARE = 4.8  # inches: the side of a matrix without numbers, unless its names need more
POINTS = 72  # in an inch
LEAST_CELL = 0.1  # inches: room for a name of 5.8 points


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
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
        percent_axis(axes, "accuracy")
    return figure


def draw_confusion(counts: NDArray[np.int64], label_names: tuple[str, ...]) -> Figure:
    """Counts, and each as a share of its true class; the darker, the larger that share. Many classes have no numbers.

    Args:
        counts: (C, C) rows, true class down, predicted class across.
        label_names: C class names.
    """
    num_classes = len(label_names)
    cell = _cell(num_classes)
    names = [short(name, LONGEST_CLASS) for name in label_names]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with rc_context(STYLE | {"axes.grid": False}):
        figure = new_figure(cell * num_classes + 1.8, cell * num_classes + 1.5)
        axes = figure.add_subplot()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal", interpolation="none")
        _name_axes(axes, names)
        if num_classes <= NUMBERED:
            _rule_cells(axes, num_classes, width=0.6)
            _write_cells(axes, counts, shares, large=num_classes <= FEW_CLASSES)
        else:
            _rule_cells(axes, num_classes, width=0.2)
            axes.tick_params(labelsize=min(8, 0.8 * POINTS * cell), pad=1)
    return figure


def draw_lengths(lengths: Mapping[str, TextLengths]) -> Figure:
    """Share of the training and of the test texts by length in tokens, and where they are cut."""
    most_read = lengths["train"].most_read
    longest = max(lengths[split].tokens[-1] for split in ("train", "test"))
    num_bins = min(BINS_SHOWN, max(BINS_READ, -(-longest * BINS_READ // most_read)))
    edges = np.arange(num_bins + 1, dtype=np.float64) * most_read / BINS_READ
    with rc_context(STYLE):
        figure = new_figure(5.0, 3.1)
        axes = figure.add_subplot()
        train, test = (_shares(lengths[split], edges) for split in ("train", "test"))
        axes.stairs(train, edges, fill=True, color=SECOND, alpha=0.35, label="training")
        axes.stairs(test, edges, color=ACCENT, linewidth=1.8, label="test")
        axes.axvline(most_read, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
        remark(axes, f"cut at {count(most_read)}", most_read / edges[-1], ends=most_read > edges[-1] / 2)
        axes.set_xlim(0, edges[-1])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title("Lengths of the texts")
        beyond = f"; longer texts are in the last bar, from {count(edges[-2])}" if longest > edges[-1] else ""
        axes.set_xlabel(f"tokens{beyond}")
        percent_axis(axes, "texts")
        legend_below(figure, axes, columns=2)
    return figure


def _shares(lengths: TextLengths, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fraction of the texts whose length lies above each edge and up to the next; what is longer counts in the last."""
    within = np.searchsorted(edges, np.minimum(lengths.tokens, edges[-1]), side="left") - 1
    counts = np.bincount(within, weights=lengths.rows, minlength=len(edges) - 1)
    return counts / lengths.num_rows


def _cell(num_classes: int) -> float:
    """The side of a cell, inches."""
    if num_classes > NUMBERED:
        return max(LEAST_CELL, SQUARE / num_classes)
    return 1.15 if num_classes <= FEW_CLASSES else 0.62


def _draw(history: pd.DataFrame, measure: str, best_epoch: int) -> tuple[Figure, Axes]:
    lines = (
        Line(column=f"train_{measure}", name="training", color=SECOND, dash="--", filled=False),
        Line(column=f"val_{measure}", name="validation", color=ACCENT, dash="-", filled=True),
    )
    figure = new_figure(5.0, 3.1)
    axes = figure.add_subplot()
    for line in lines:
        axes.plot(
            history["epoch"],
            history[line.column],
            line.dash,
            color=line.color,
            linewidth=1.8,
            marker="o" if line.filled else "s",
            markersize=5.5,
            markerfacecolor=line.color if line.filled else "white",
            clip_on=False,
        )
    _frame(axes, int(history["epoch"].min()), int(history["epoch"].max()))
    if len(history) > 1:  # of one there was no choice
        _mark_best(axes, best_epoch)
    _name_lines(axes, history, lines)
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


def _name_lines(axes: Axes, history: pd.DataFrame, lines: tuple[Line, Line]) -> None:
    """Write each name right of where its line ends, or of its only point; pushed apart where they would overlap."""
    right, gap = (1, 4) if len(history) > 1 else (0.5, 9)
    bottom, top = axes.get_ylim()
    heights = [(history[line.column].iloc[-1] - bottom) / (top - bottom) for line in lines]
    missing = max(0.0, LABEL_GAP - abs(heights[0] - heights[1])) / 2
    lower = 0 if heights[0] <= heights[1] else 1
    for index, line in enumerate(lines):
        height = heights[index] + (-missing if index == lower else missing)
        axes.annotate(
            line.name,
            (right, height),
            xycoords="axes fraction",
            xytext=(gap, 0),
            textcoords="offset points",
            va="center",
            color=line.color,
            annotation_clip=False,
        )


def _name_axes(axes: Axes, names: list[str]) -> None:
    axes.set_xticks(range(len(names)), names)
    if len(names) > NUMBERED:
        axes.set_xticks(range(len(names)), names, rotation=90)
    elif max(len(name) for name in names) * len(names) > 9 * FEW_CLASSES:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title("Confusion matrix, test split")
    axes.tick_params(length=0, labelcolor="black")
    axes.spines[:].set_visible(False)


def _rule_cells(axes: Axes, num_classes: int, *, width: float) -> None:
    edges = np.arange(num_classes + 1) - 0.5
    axes.hlines(edges, -0.5, num_classes - 0.5, color="#c4c8cc", linewidth=width)
    axes.vlines(edges, -0.5, num_classes - 0.5, color="#c4c8cc", linewidth=width)


def _write_cells(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64], *, large: bool) -> None:
    high, low = (-0.07, 0.14) if large else (-0.14, 0.18)
    for (row, column), number in np.ndenumerate(counts):
        if not number and not large:
            continue  # many classes: most cells are empty, and best read so
        color = "white" if shares[row, column] > 0.5 else "black"
        axes.text(
            column, row + high, count(int(number)), ha="center", va="center", color=color, fontsize=13 if large else 8
        )
        share = drawn(percent(float(shares[row, column])))
        axes.text(column, row + low, share, ha="center", va="center", color=color, fontsize=9 if large else 6.5)
