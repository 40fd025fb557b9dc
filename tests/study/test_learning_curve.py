import pandas as pd
import pytest

from stages.foundation.errors import StudyError
from stages.reporting.learning_curve import draw_learning_curve
from stages.study.learning_curve import CITED, main, markdown_table, read_experiments

COLUMNS = {
    "test_accuracy": 0.8,
    "test_accuracy_low": 0.775,
    "test_accuracy_high": 0.825,
    "test_f1": 0.81,
    "test_loss": 0.4321,
    "val_accuracy": 0.9,
    "val_accuracy_low": 0.88,
    "val_accuracy_high": 0.92,
    "val_rows": 1000,
    "epochs_run": 5,
    "best_epoch": 3,
}


@pytest.fixture
def experiments():
    rows = [(8000, "grouped", 0), (1000, "grouped", 0), (56000, "random", 993)]
    return pd.DataFrame(
        {"train_rows": size, "partition": partition, "subset_val_any": met, "Experiment": f"n{size}"} | COLUMNS
        for size, partition, met in rows
    )


def test_every_accuracy_stands_with_its_interval_and_the_leak_beside_it(experiments):
    *_, last = markdown_table(experiments).splitlines()

    expected = "| 56,000 | random | 80.0 % [77.5, 82.5] | 0.810 | 0.432 | 90.0 % [88.0, 92.0] | 99.3 % | 5 (3) |"
    assert last == expected


def test_every_line_of_the_table_has_the_same_number_of_cells(experiments):
    assert len({line.count("|") for line in markdown_table(experiments).splitlines()}) == 1


def test_the_picture_tells_measured_from_cited_and_leaking_from_clean(experiments):
    (axes,) = draw_learning_curve(experiments, CITED, title="").axes

    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sum("measured" in label for label in labels) == 3
    assert sum("cited" in label for label in labels) == 2
    assert [label for label in labels if "measured" in label and "leaks" in label] == [
        "measured, validation, random carve: it leaks"
    ]


def test_the_command_sorts_by_partition_and_size_and_draws(experiments, tmp_path, capsys):
    table, picture = tmp_path / "table.csv", tmp_path / "curve.png"
    write_table(experiments, table)

    main(table, picture)

    sizes = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert sizes == ["1,000", "8,000", "56,000"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def write_table(experiments, path):
    """As DVC writes it: the workspace and the baseline first, with holes where they have no numbers."""
    unnamed = experiments.head(2).assign(Experiment=None, test_accuracy="!")
    pd.concat([unnamed, experiments]).rename(columns={"partition": "prepare.partition"}).to_csv(path, index=False)


def test_only_named_experiments_count(experiments, tmp_path):
    write_table(experiments, tmp_path / "table.csv")

    assert read_experiments(tmp_path / "table.csv")["Experiment"].tolist() == ["n1000", "n8000", "n56000"]


@pytest.mark.parametrize(("rows", "complaint"), [(None, "is missing"), (0, "lists no experiment")])
def test_a_table_without_experiments_says_what_to_do(experiments, tmp_path, rows, complaint):
    if rows is not None:
        write_table(experiments.head(rows), tmp_path / "table.csv")

    with pytest.raises(StudyError, match=complaint):
        read_experiments(tmp_path / "table.csv")
