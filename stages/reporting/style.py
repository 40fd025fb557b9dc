"""How every figure looks, how each method looks in it, and how it becomes the same bytes each time."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from stages.methods import METHODS
from stages.reporting.numbers import NARROW, count, level

INK = "#1a1a1a"
MUTED = "#5f6368"
ACCENT = "#1f4e8c"
SECOND = "#8a5a00"  # dark enough on white, and apart from ACCENT for the colour-blind
WIDTH = 5.0  # inches: on a phone a figure shrinks to the screen, and wider ones to letters too small to read
LONGEST_NAME = 22  # letters of a curve's name in a legend
DOTTED = (0, (1, 1.5))
FEW_DECADES = 1.7  # of a logarithmic axis, on which numbers at powers of ten alone would be too few
LABEL_ROOM = 0.13  # least distance of two numbers under a logarithmic axis, as a share of the axis

STYLE: Any = {  # matplotlib's own type lists every known key
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so the same everywhere
    "font.size": 10,
    "text.parse_math": False,  # a class may be called "$5 to $10"
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlepad": 17,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e3e5e8",
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "figure",  # without it every drawing gets other ids
}

# Whatever would tell when and with what a figure was drawn stays out of it.
METADATA: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
}


LOOKS = {name: method.look for name, method in METHODS.items()}


def short(name: str, longest: int) -> str:
    """A name from outside, cut where a figure has no room for more letters."""
    return name if len(name) <= longest else name[: longest - 1] + "…"


def drawn(text: str) -> str:
    """A number as a figure shows it: on a page its letters are the reader's own, which may lack the narrow space."""
    return text.replace(NARROW, " ")


def percent_ticks() -> FuncFormatter:
    """Fractions along an axis, read as percent."""
    return FuncFormatter(lambda value, _: drawn(level(value)))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, apart from pyplot and its global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(path: Path, figure: Figure) -> None:
    """Write the figure in the format that the file's ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_rendered(figure, path.suffix.lstrip(".")))


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A figure as the inside of an `<svg>` element."""

    view_box: str
    width: str  # inches
    content: Markup


def svg_drawing(figure: Figure) -> Drawing:
    """The figure for a page, without the element names that two figures of one page would share."""
    document = _rendered(figure, "svg").decode()
    opening, content = document[document.index("<svg") :].split(">", 1)
    view_box = re.search(r'viewBox="([^"]*)"', opening)
    if view_box is None:
        raise ValueError("the drawing has no viewBox")
    content = re.sub(r' (?:id|gid)="[A-Za-z][\w.]*_\d+"', "", content.rpartition("</svg>")[0])
    return Drawing(view_box=view_box[1], width=f"{figure.get_size_inches()[0]:g}", content=Markup(content.strip()))


def percent_axis(axes: Axes, label: str = "test accuracy") -> None:
    """Fractions up the side, read as percent."""
    axes.set_ylabel(label)
    axes.yaxis.set_major_formatter(percent_ticks())


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
    axes.set_xticks(labelled, [count(size) for size in labelled])
    axes.xaxis.set_minor_locator(FixedLocator(sorted(set(sizes) - set(labelled))))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("training rows (log scale)")


def decade_axis(axes: Axes, label: str) -> None:
    """A logarithmic axis, once all is drawn: a number at each power of ten, and where these are few at 2 and 5."""
    axes.set_xscale("log")
    axes.set_xlabel(label)
    low, high = axes.get_xlim()
    within = (1.0, 2.0, 5.0) if log10(high / low) < FEW_DECADES else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=within, numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short_number(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


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
        linestyle=DOTTED if hollow else look.line_style,
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


def _rendered(figure: Figure, file_format: str) -> bytes:
    target = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(target, format=file_format, dpi=150, metadata=METADATA[file_format])
    return target.getvalue()


def _short_number(value: float) -> str:
    return f"{value / 1e6:,g} million" if value >= 1e6 else f"{value:,g}"


def _apart(sizes: Sequence[int], room: float) -> list[int]:
    """Those of the falling sizes whose numbers do not touch."""
    kept: list[int] = []
    for size in sizes:
        if not kept or log10(kept[-1] / size) >= room:
            kept.append(size)
    return kept[::-1]
