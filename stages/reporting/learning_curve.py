"""Accuracy against training-set size, over several experiments."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from stages.reporting.style import ACCENT, MUTED, SECOND, STYLE, new_figure

CITED_FORMS = (":s", ":D")


def draw_learning_curve(
    experiments: pd.DataFrame, cited: Mapping[str, tuple[Sequence[int], Sequence[float]]], *, title: str
) -> Figure:
    """Test and validation accuracy with their intervals, beside numbers that others published.

    Args:
        experiments: A row each: train_rows, partition, {test,val}_accuracy with _low and _high (fractions).
        cited: Training rows and accuracies (fractions) by what the legend calls them; two at most.
        title: Of the figure.
    """
    grouped = experiments[experiments["partition"] == "grouped"]
    carved = experiments[experiments["partition"] == "random"]
    with rc_context(STYLE):
        figure = new_figure(7.2, 4.2)
        axes = figure.add_subplot()
        _measured(axes, grouped, "test", "-o", ACCENT, 0.97)
        _measured(axes, grouped, "val", "--s", SECOND, 1.03)
        _measured(axes, carved, "val", "x", SECOND, 1.09)
        for (label, (sizes, accuracies)), form in zip(cited.items(), CITED_FORMS, strict=False):
            axes.plot(sizes, accuracies, form, color=MUTED, markerfacecolor="white", label=f"cited, {label}")
        _frame(axes, sorted({*experiments["train_rows"], *(size for sizes, _ in cited.values() for size in sizes)}))
        axes.set_title(title)
    return figure


def _measured(axes: Axes, rows: pd.DataFrame, split: str, form: str, color: str, shift: float) -> None:
    """One curve with its intervals, moved sideways by a factor so that the bars stand apart."""
    value = rows[f"{split}_accuracy"]
    reach = [value - rows[f"{split}_accuracy_low"], rows[f"{split}_accuracy_high"] - value]
    name = "test" if split == "test" else "validation"
    leaks = ", random carve: it leaks" if (rows["partition"] == "random").any() else ""
    axes.errorbar(
        shift * rows["train_rows"],
        value,
        reach,
        fmt=form,
        color=color,
        capsize=3,
        linewidth=1.8,
        label=f"measured, {name}{leaks}",
    )


def _frame(axes: Axes, sizes: list[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training rows (log scale)")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.legend(frameon=False, loc="lower right")
