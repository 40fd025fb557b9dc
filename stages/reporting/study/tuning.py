"""How much hangs on the learning rate: what was tried, by validation loss, and what was chosen."""

from collections.abc import Sequence
from itertools import groupby

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from stages.reporting.document import Block, Picture, Prose, Section, Table
from stages.reporting.numbers import NONE, count, counted, decimal, seeds
from stages.reporting.study.findings import Findings, Sensitivity
from stages.reporting.style import LOOKS, STYLE, WIDTH, decade_axis, new_figure, remark

PALEST = 0.3  # share of the method's colour in the line of the smallest size
HEADING = "How much hangs on the learning rate?"


def tuning(findings: Findings) -> Section:
    """The losses of every value that was tried, method by method and size by size."""
    tried = findings.sensitivities
    if not tried:
        return Section(HEADING, (Prose("No value was tuned: every cell has those of params.yaml."),))
    told = "; ".join(
        f"{each.method} at {count(each.samples)} rows {each.chosen:g}" for each in tried if each.chosen is not None
    )
    most_seeds = max(each.num_seeds for each in tried)
    lead = (
        f"Every method and size had the same number of trials, judged by the validation loss of {seeds(most_seeds)} "
        "that count nowhere else; no test row chose anything. Chosen is the value with the lowest mean loss."
    )
    note = (
        "Loss in nats on the validation rows. Spread: the worst value's loss less the best one's; where it is small, "
        "the value hardly matters. At the edge: the chosen value is the smallest or largest that was tried, so that a "
        "better one may lie beyond."
    )
    head = ("method, rows", "values tried", "chosen", "its loss", "spread", "at the edge")
    blocks: list[Block] = [Prose(lead), Picture("tuning", f"Validation loss by the value tried. Chosen: {told}.")]
    return Section(HEADING, (*blocks, Table(head, tuple(_row(each) for each in tried)), Prose(note, "note")))


def _row(each: Sensitivity) -> tuple[str, ...]:
    best, worst = min(each.losses), max(each.losses)
    if each.chosen is None:
        return (f"{each.method}, {count(each.samples)}", _values(each), NONE, NONE, decimal(worst - best), NONE)
    return (
        f"{each.method}, {count(each.samples)}",
        _values(each),
        f"{each.chosen:g}",
        decimal(best),
        decimal(worst - best),
        "yes" if each.chosen in (min(each.values), max(each.values)) else "no",
    )


def _values(each: Sensitivity) -> str:
    return f"{counted(len(each.values), 'value')}, {min(each.values):g} to {max(each.values):g}"


def draw_tuning(findings: Findings) -> Figure | None:
    """A panel per method, a line per size; None where nothing was tuned."""
    by_method = [(name, list(own)) for name, own in groupby(findings.sensitivities, key=lambda each: each.method)]
    if not by_method:
        return None
    with rc_context(STYLE):
        figure = new_figure(WIDTH, 0.5 + 2.5 * len(by_method))
        panels = figure.subplots(len(by_method), squeeze=False)[:, 0]
        for axes, (method, own) in zip(panels, by_method, strict=True):
            _panel(axes, method, own)
    return figure


def _panel(axes: Axes, method: str, sizes: Sequence[Sensitivity]) -> None:
    for position, each in enumerate(sizes):
        color = _shade(LOOKS[method].color, position, len(sizes))
        axes.plot(each.values, each.losses, color=color, marker=".", linewidth=1.5, label=count(each.samples))
        for value, loss in zip(each.values, each.losses, strict=True):
            if value == each.chosen:
                axes.plot(value, loss, LOOKS[method].marker, color=color, markersize=8, zorder=3)
    decade_axis(axes, f"{sizes[0].tuned} (log scale)")
    axes.set_ylabel("validation loss, nats")
    axes.set_title(f"{method}: validation loss by {sizes[0].tuned}")
    remark(axes, "a line for each number of training rows; large: chosen")
    axes.legend(frameon=False, fontsize=8.5, ncols=1, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _shade(color: str, position: int, number: int) -> tuple[float, ...]:
    """From pale at the smallest size to the method's own colour at the largest."""
    share = 1.0 if number == 1 else PALEST + (1 - PALEST) * position / (number - 1)
    return tuple(1 - share * (1 - part) for part in to_rgb(color))
