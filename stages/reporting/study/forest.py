"""Paired differences as a forest plot: each interval against 0, LoRA's against the margin as well."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import blended_transform_factory

from stages.foundation.interval import Interval
from stages.reporting.numbers import count, level, signed, signed_interval
from stages.reporting.study.findings import Comparison, Difference, Findings
from stages.reporting.style import ACCENT, INK, MUTED, SECOND, STYLE, WIDTH, drawn, new_figure, short
from stages.statistics.non_inferiority import ALPHA

ROW = 0.225  # inches
LONGEST_LABEL, LONGEST_HEADING = 24, 62  # letters
ROUND = [1, 2, 5, 10]  # steps of a scale
AXIS = 0.44  # inches under each panel for its scale
FORMS = {"non-inferior": ("o", ACCENT), "inconclusive": ("o", "white"), "inferior": ("v", ACCENT)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One interval, or with none a heading."""

    label: str
    difference: Interval | None
    marker: str = "s"
    fill: str = ACCENT
    margins: tuple[float, ...] = ()


def draw_differences(findings: Findings) -> Figure | None:
    """A row per difference, a panel per family, each with a scale of its own; LoRA against full shows the margins.

    None where nothing is compared.
    """
    families = [list(own) for _, own in groupby(findings.differences, key=lambda each: each.family)]
    panels = [_against_full(findings.comparisons), *(_families(own) for own in families)]
    panels = [rows for rows in panels if rows]
    if not panels:
        return None
    with rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure = new_figure(WIDTH, 0.5 + sum(AXIS + ROW * len(rows) for rows in panels))
        grid = figure.add_gridspec(len(panels), height_ratios=[len(rows) for rows in panels])
        for position, rows in enumerate(panels):
            _panel(figure, figure.add_subplot(grid[position]), rows)
        figure.suptitle("Paired differences of test accuracy", x=0.012, ha="left", fontsize=11, fontweight="bold")
    return figure


def _panel(figure: Figure, axes: Axes, rows: Sequence[Row]) -> None:
    axes.axvline(0, color=INK, linewidth=1, zorder=1)
    for height, row in enumerate(rows):
        _draw_row(axes, row, height)
    _frame(axes, rows)
    for height, row in enumerate(rows):
        _write(figure, axes, row, height)


def _against_full(comparisons: Sequence[Comparison]) -> list[Row]:
    """One row per size: the margins of a size share its difference; the verdict is the first margin's."""
    if not comparisons:
        return []
    told = " and ".join(signed(-margin) for margin in dict.fromkeys(each.result.margin for each in comparisons))
    usual = drawn(level(1 - 2 * ALPHA))
    planned = " (* by the look)" if any(each.planned for each in comparisons) else ""
    rows = [Row(label=f"lora less full, {usual} intervals{planned}; dashed: margin {told}", difference=None)]
    for samples, found in groupby(comparisons, key=lambda comparison: comparison.samples):
        own = list(found)
        first = own[0].result
        marker, fill = FORMS[first.verdict]
        label = f"{count(samples)}{' *' if own[0].planned else ''}: {first.verdict}"
        margins = tuple(each.result.margin for each in own)
        rows.append(Row(label=label, difference=first.difference, marker=marker, fill=fill, margins=margins))
    return rows


def _families(differences: Sequence[Difference]) -> list[Row]:
    rows = []
    for heading, found in groupby(_ordered(differences), key=_heading):
        own = list(found)
        confidence = drawn(level(own[0].difference.confidence_level))
        rows.append(Row(label=f"{heading}, {confidence} intervals", difference=None))
        rows += [
            Row(label=_label(each), difference=each.difference, fill="white" if each.left_out else ACCENT)
            for each in own
        ]
    return rows


def _ordered(differences: Iterable[Difference]) -> list[Difference]:
    """Groups together, in the order in which the first of each comes."""
    listed = list(differences)
    headings = list(dict.fromkeys(_heading(each) for each in listed))
    return sorted(listed, key=lambda each: headings.index(_heading(each)))


def _heading(difference: Difference) -> str:
    """The curves."""
    first, second = difference.first.curve, difference.second.curve
    if first == second:
        return f"{first}, more rows less fewer"
    return f"{first} less {second}"


def _label(difference: Difference) -> str:
    """What the heading does not say: the size, or both sizes."""
    first, second = count(difference.first.samples), count(difference.second.samples)
    return first if first == second else f"{first} less {second}"


def _draw_row(axes: Axes, row: Row, height: int) -> None:
    if row.difference is None:
        return
    found = row.difference
    axes.plot([found.low, found.high], [height, height], color=ACCENT, linewidth=1.8, zorder=2, solid_capstyle="butt")
    axes.plot(
        [found.value], [height], marker=row.marker, color=ACCENT, markerfacecolor=row.fill, markersize=6, zorder=3
    )
    for margin in row.margins:
        axes.plot([-margin] * 2, [height - 0.5, height + 0.5], color=SECOND, linewidth=1.4, linestyle="--", zorder=1.5)


def _frame(axes: Axes, rows: Sequence[Row]) -> None:
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.margins(x=0.06)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("points", fontsize=9, labelpad=1)
    axes.tick_params(axis="x", labelsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: signed(value).removesuffix(".0")))


def _write(figure: Figure, axes: Axes, row: Row, height: int) -> None:
    """Names left of the axes and numbers right of them, a heading over the whole width."""
    if row.difference is None:
        _write_heading(figure, axes, row.label, height)
        return
    at: Any = {"va": "center", "fontsize": 9, "xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axes.annotate(short(row.label, LONGEST_LABEL), (0, height), xytext=(-6, 0), ha="right", annotation_clip=False, **at)
    numbers = signed_interval(row.difference)
    axes.annotate(numbers, (1, height), xytext=(6, 0), color=MUTED, annotation_clip=False, **at)


def _write_heading(figure: Figure, axes: Axes, label: str, height: int) -> None:
    whole = blended_transform_factory(figure.transFigure, axes.transData)
    stripe = Rectangle((0, height - 0.45), 1, 0.9, transform=whole, color="#eef0f2", clip_on=False, zorder=1.2)
    stripe.set_in_layout(False)  # it is as wide as the figure, and would ask for more
    axes.add_patch(stripe)
    axes.text(
        0.012, height, short(label, LONGEST_HEADING), transform=whole, va="center", fontsize=9, fontweight="bold"
    ).set_in_layout(False)
