"""The leaking carve beside the grouped partition: what each would have reported."""

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from stages.reporting.findings import Findings
from stages.reporting.html import count
from stages.reporting.study_style import WIDTH, legend_below, remark
from stages.reporting.study_words import signed
from stages.reporting.style import ACCENT, MUTED, SECOND, STYLE, new_figure


def draw_leak(findings: Findings) -> Figure | None:
    """Validation and test of each pair, from grouped to random; None where no pair was run."""
    rows = []
    for leak in findings.leaks:
        name = f"{leak.method}, {count(leak.samples)}"
        rows += [(f"{name}\nvalidation", leak.val_grouped, leak.val_random)]
        rows += [(f"{name}\ntest", leak.test_grouped, leak.test_random)]
    if not rows:
        return None
    with rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure = new_figure(WIDTH, 1.5 + 0.42 * len(rows))
        axes = figure.add_subplot()
        for height, (_, grouped, random) in enumerate(rows):
            _pair(axes, height, grouped, random)
        axes.plot([], [], "o", color=ACCENT, markerfacecolor="white", markersize=7, label="grouped partition")
        axes.plot([], [], "s", color=SECOND, markersize=6.5, label="random carve: it leaks")
        _frame(axes, [name for name, *_ in rows])
        legend_below(figure, axes, columns=2)
    return figure


def _pair(axes: Axes, height: int, grouped: float, random: float) -> None:
    axes.plot([grouped, random], [height, height], color=MUTED, linewidth=1.5, zorder=1)
    axes.plot([random], [height], "s", color=SECOND, markersize=6.5, zorder=2)
    axes.plot([grouped], [height], "o", color=ACCENT, markerfacecolor="white", markersize=7, zorder=3)
    axes.annotate(
        signed(random - grouped),
        (1, height),
        xycoords=("axes fraction", "data"),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=MUTED,
        annotation_clip=False,
    )


def _frame(axes: Axes, names: list[str]) -> None:
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.08)
    axes.set_xlabel("accuracy")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_title("What a leaking split reports")
    remark(axes, "the number on the right: random less grouped, points")
