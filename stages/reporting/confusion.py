"""The confusion matrix as a picture."""

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stages.reporting.style import STYLE, new_figure, short

FEW_CLASSES = 4  # up to here cells have room for large type
LONGEST_NAME = 18  # letters of a class name that are shown


def draw_confusion(counts: NDArray[np.int64], label_names: tuple[str, ...]) -> Figure:
    """Counts, and each as a share of its true class; the darker, the larger that share.

    Args:
        counts: (C, C) rows, true class down, predicted class across.
        label_names: C class names.
    """
    num_classes = len(label_names)
    cell = 1.15 if num_classes <= FEW_CLASSES else 0.62
    names = [short(name, LONGEST_NAME) for name in label_names]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with rc_context(STYLE | {"axes.grid": False}):
        figure = new_figure(cell * num_classes + 1.8, cell * num_classes + 1.5)
        axes = figure.add_subplot()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal", interpolation="none")
        _name_axes(axes, names)
        _write_cells(axes, counts, shares, large=num_classes <= FEW_CLASSES)
    return figure


def _name_axes(axes: Axes, names: list[str]) -> None:
    slanted = max(len(name) for name in names) * len(names) > 9 * FEW_CLASSES
    axes.set_xticks(range(len(names)), names)
    if slanted:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title("Confusion matrix, test split")
    axes.tick_params(length=0, labelcolor="black")
    axes.spines[:].set_visible(False)
    edges = np.arange(len(names) + 1) - 0.5
    axes.hlines(edges, -0.5, len(names) - 0.5, color="#c4c8cc", linewidth=0.6)
    axes.vlines(edges, -0.5, len(names) - 0.5, color="#c4c8cc", linewidth=0.6)


def _write_cells(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64], *, large: bool) -> None:
    high, low = (-0.07, 0.14) if large else (-0.14, 0.18)
    for (row, column), count in np.ndenumerate(counts):
        if not count and not large:
            continue  # many classes: most cells are empty, and best read so
        color = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row + high, f"{count:,}", ha="center", va="center", color=color, fontsize=13 if large else 8)
        share = f"{shares[row, column]:.1%}".replace("%", " %")
        axes.text(column, row + low, share, ha="center", va="center", color=color, fontsize=9 if large else 6.5)
