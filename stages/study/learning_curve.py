"""The learning curve of the study, from what `dvc exp show --csv` lists.

    python -m stages.study.learning_curve metrics/sst2.csv plots/sst2.png

prints the experiments as a Markdown table and draws them beside the study that is reproduced.
"""

import sys
from pathlib import Path

import pandas as pd

from stages.foundation.errors import StudyError
from stages.foundation.log import say
from stages.reporting.learning_curve import draw_learning_curve
from stages.reporting.style import save_figure

# bert-base-uncased in the study that is reproduced; cited, not measured here. Its table was measured on the
# validation rows that chose the epoch, which leak; its own numbers on GLUE dev are lower.
CITED = {
    "BERT-base, the seed study's table: it leaks": ((1000, 8000, 56000), (0.873, 0.906, 0.935)),
    "BERT-base, the seed study on GLUE dev": ((1000, 8000, 56000), (0.852, 0.896, 0.915)),
}
TITLE = "SST-2: accuracy against training-set size, with 95 % intervals"


def read_experiments(path: Path) -> pd.DataFrame:
    """The named experiments of a table that `dvc exp show --csv` wrote, by partition and size.

    Raises:
        StudyError: If the file is missing or names no experiment.
    """
    if not path.is_file():
        raise StudyError(f"{path} is missing; write it with `dvc exp show --csv > {path}`")
    table = pd.read_csv(path, na_values="!").rename(columns={"prepare.partition": "partition"})
    table = table[table["Experiment"].notna()]  # the workspace and the commit it started from have no name
    if table.empty:
        raise StudyError(f"{path} lists no experiment; make one with `dvc exp run -n NAME`")
    return table.sort_values(["partition", "train_rows"])


def markdown_table(experiments: pd.DataFrame) -> str:
    """One row per experiment: accuracies in percent with their intervals, and how much validation leaks."""
    lines = [
        "| training rows | partition | test accuracy, 95 % interval | test F1 | test loss "
        "| validation accuracy, 95 % interval | validation rows met in training | epochs (kept) |",
        "| ---: | --- | --- | ---: | ---: | --- | ---: | --- |",
    ]
    lines += [
        f"| {row.train_rows:,.0f} | {row.partition} | {_share(row, 'test')} | {row.test_f1:.3f} | {row.test_loss:.3f} "
        f"| {_share(row, 'val')} | {100 * row.subset_val_any / row.val_rows:.1f} % "
        f"| {row.epochs_run:.0f} ({row.best_epoch:.0f}) |"
        for row in experiments.itertuples()
    ]
    return "\n".join(lines)


def _share(row: object, split: str) -> str:
    value, low, high = (100 * getattr(row, f"{split}_accuracy{end}") for end in ("", "_low", "_high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def main(table: Path, picture: Path) -> None:
    """Print the table, draw the picture."""
    experiments = read_experiments(table)
    say(markdown_table(experiments))
    save_figure(picture, draw_learning_curve(experiments, CITED, title=TITLE))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m stages.study.learning_curve TABLE.csv PICTURE.png")
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except StudyError as error:
        sys.exit(str(error))
