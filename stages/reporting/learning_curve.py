"""The learning curve over several experiments: a table and a picture from what `dvc exp show --csv` lists.

    python -m stages.reporting.learning_curve metrics/sst2.csv plots/sst2.png

prints the table as Markdown and draws the picture.
"""

import sys
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from stages.foundation.log import say
from stages.reporting.style import ACCENT, MUTED, SECOND, STYLE, new_figure, save_figure

# The seed study's accuracy with bert-base-uncased, cited and not measured here: its table, which turned out to
# be measured on leaking validation rows, and its own numbers on the 872 sentences of GLUE dev.
SEED_ROWS = [1000, 8000, 56000]
SEED_TABLE = [0.873, 0.906, 0.935]
SEED_GLUE_DEV = [0.852, 0.896, 0.915]

SPLITS = {"test": "test (GLUE dev)", "val": "validation"}


def markdown_table(experiments: pd.DataFrame) -> str:
    """One row per experiment: accuracies in percent with their intervals, and how much validation leaks."""
    lines = [
        "| training rows | partition | test accuracy, 95 % interval | test F1 | test loss "
        "| validation accuracy, 95 % interval | validation rows met in training | epochs (kept) |",
        "| ---: | --- | --- | ---: | ---: | --- | ---: | --- |",
    ]
    lines += [
        f"| {row.train_rows:,} | {row.partition} | {_share(row, 'test')} | {row.test_f1:.3f} | {row.test_loss:.3f} "
        f"| {_share(row, 'val')} | {100 * row.subset_val_any / row.val_rows:.1f} % "
        f"| {row.epochs_run} ({row.best_epoch}) |"
        for row in experiments.itertuples()
    ]
    return "\n".join(lines)


def draw_learning_curve(experiments: pd.DataFrame) -> Figure:
    """Test and validation accuracy against training rows, with intervals, beside the seed study's numbers."""
    grouped = experiments[experiments["partition"] == "grouped"]
    carved = experiments[experiments["partition"] == "random"]
    with rc_context(STYLE):
        figure = new_figure(7.2, 4.2)
        axes = figure.add_subplot()
        cited = "seed study (BERT-base, cited)"
        axes.plot(SEED_ROWS, SEED_TABLE, ":s", color=MUTED, mfc="white", label=f"{cited}, its table: it leaks")
        axes.plot(SEED_ROWS, SEED_GLUE_DEV, ":D", color=MUTED, label=f"{cited}, test")
        _measured(axes, grouped, "test", "-o", ACCENT, 0.97)
        _measured(axes, grouped, "val", "--s", SECOND, 1.03)
        _measured(axes, carved, "val", "x", SECOND, 1.09)
        _frame(axes, sorted(set(experiments["train_rows"]) | set(SEED_ROWS)))
    return figure


def _measured(axes: Axes, rows: pd.DataFrame, split: str, form: str, color: str, shift: float) -> None:
    """One curve with its intervals, moved sideways by a factor so that the bars stand apart."""
    value = rows[f"{split}_accuracy"]
    reach = [value - rows[f"{split}_accuracy_low"], rows[f"{split}_accuracy_high"] - value]
    leaks = ", random carve: it leaks" if (rows["partition"] == "random").any() else ""
    axes.errorbar(
        shift * rows["train_rows"],
        value,
        reach,
        fmt=form,
        color=color,
        capsize=3,
        linewidth=1.8,
        label=f"measured, {SPLITS[split]}{leaks}",
    )


def _frame(axes: Axes, sizes: list[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training rows (log scale)")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axes.set_title("SST-2: accuracy against training-set size, with 95 % intervals")
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda at: labels[at].startswith("seed"))
    axes.legend([handles[at] for at in order], [labels[at] for at in order], frameon=False, loc="lower right")


def _share(row: object, split: str) -> str:
    value, low, high = (100 * getattr(row, f"{split}_accuracy{end}") for end in ("", "_low", "_high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def main(table: Path, picture: Path) -> None:
    """Print the table, draw the picture."""
    experiments = pd.read_csv(table).rename(columns={"prepare.partition": "partition"})
    experiments = experiments.sort_values(["partition", "train_rows"])
    say(markdown_table(experiments))
    save_figure(picture, draw_learning_curve(experiments))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
