"""How every figure looks, and how it becomes the same bytes each time."""

import io
import re
from html import escape
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#1a1a1a"
MUTED = "#5f6368"
ACCENT = "#1f4e8c"
SECOND = "#8a5a00"  # dark enough on white, and apart from ACCENT for the colour-blind

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


def short(name: str, longest: int) -> str:
    """A name from outside, cut where a figure has no room for more letters."""
    return name if len(name) <= longest else name[: longest - 1] + "…"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, apart from pyplot and its global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(path: Path, figure: Figure) -> None:
    """Write the figure in the format that the file's ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_rendered(figure, path.suffix.lstrip(".")))


def inline_svg(figure: Figure, description: str) -> str:
    """The figure as an `<svg>` element that scales with the page and speaks its description.

    Args:
        figure: What to draw.
        description: One sentence for those who do not see it; plain text.
    """
    document = _rendered(figure, "svg").decode()
    element = document[document.index("<svg") :]
    element = re.sub(r' (?:id|gid)="[A-Za-z][\w.]*_\d+"', "", element)
    opening, rest = element.split(">", 1)
    view_box = re.search(r'viewBox="[^"]*"', opening)
    if view_box is None:
        raise ValueError("the drawing has no viewBox")
    width = figure.get_size_inches()[0]
    return (
        f'<svg {view_box[0]} style="--width: {width:g}in" role="img" aria-label="{escape(description)}">{rest.strip()}'
    )


def _rendered(figure: Figure, file_format: str) -> bytes:
    target = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(target, format=file_format, dpi=150, metadata=METADATA[file_format])
    return target.getvalue()
