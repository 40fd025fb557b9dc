"""How each method looks in every figure of the study, and the axes that they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from stages.reporting.style import ACCENT, MUTED, short

WIDTH = 5.0  # inches: on a phone a figure shrinks to the screen, and wider ones to letters too small to read
LONGEST_NAME = 22  # letters of a curve's name in a legend
DOTTED = (0, (1, 1.5))
LABEL_ROOM = 0.13  # least distance of two numbers under a logarithmic axis, as a share of the axis


@dataclass(frozen=True, slots=True)
class Look:
    """A method, told from the others by marker and dash as well as by colour and lightness."""

    color: str
    marker: str
    dash: Any  # matplotlib's line style


LOOKS = {
    "lora": Look(ACCENT, "o", "-"),
    "full": Look("#c2570c", "s", (0, (5, 1.5))),
    "head": Look("#158f78", "^", (0, (4, 1.5, 1, 1.5))),
    "tfidf": Look("#6b6f75", "D", (0, (1, 1.2))),
}


def percent_axis(axes: Axes, label: str = "test accuracy") -> None:
    """Fractions up the side, read as percent."""
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))


def size_axis(axes: Axes, sizes: Sequence[int], *, reach: float | None = None) -> None:
    """Training rows along a logarithmic axis, a tick for each size and a number where there is room.

    Args:
        axes: Where to.
        sizes: Every size that was run.
        reach: Training rows up to which something is drawn; the largest size if None.
    """
    low, high = min(sizes) / 1.25, max(reach or 0, 1.25 * max(sizes))
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ends = sizes if reach is None else (*sizes, round(reach))
    labelled = _apart(sorted(set(ends), reverse=True), LABEL_ROOM * log10(high / low))
    axes.set_xticks(labelled, [f"{size:,}" for size in labelled])
    axes.xaxis.set_minor_locator(FixedLocator(sorted(set(sizes) - set(labelled))))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("training rows (log scale)")


def decade_axis(axes: Axes, label: str) -> None:
    """A logarithmic axis with a number at each power of ten."""
    axes.set_xscale("log")
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _round(value: float) -> str:
    return f"{value / 1e6:,g} million" if value >= 1e6 else f"{value:,g}"


def name_method(axes: Axes, method: str, label: str, *, hollow: bool = False) -> None:
    """An entry of the legend with the method's marker and dash; the bars and bands would only clutter it."""
    look = LOOKS[method]
    axes.plot(
        [],
        [],
        color=look.color,
        marker=look.marker,
        markerfacecolor="white" if hollow else look.color,
        markersize=6,
        linestyle=DOTTED if hollow else look.dash,
        linewidth=1.6,
        label=short(label, LONGEST_NAME),
    )


def legend_below(figure: Figure, axes: Axes, *, columns: int) -> None:
    """Names under the plot, where they hide no point."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            handlelength=3.0,
            columnspacing=1.3,
        )


def side_by_side(position: int, number: int) -> float:
    """The factor that moves one of several curves sideways on a logarithmic axis, so that bars stand apart."""
    return float(1.08 ** (position - (number - 1) / 2))


def remark(axes: Axes, text: str, at: float = 0.0, *, ends: bool = False) -> None:
    """Small words above the axes, from (or up to) this share of its width."""
    axes.annotate(
        text,
        (at, 1),
        xycoords="axes fraction",
        xytext=(0, 3),
        textcoords="offset points",
        ha="right" if ends else "left",
        va="bottom",
        fontsize=8.5,
        color=MUTED,
        annotation_clip=False,
    )


def _apart(sizes: Sequence[int], room: float) -> list[int]:
    """Those of the falling sizes whose numbers do not touch."""
    kept: list[int] = []
    for size in sizes:
        if not kept or log10(kept[-1] / size) >= room:
            kept.append(size)
    return kept[::-1]
