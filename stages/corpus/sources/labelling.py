"""From tables to labelled texts: find the columns, number the classes, name the row that is at fault."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.corpus.sources.settings import ColumnSettings
from stages.foundation.errors import StudyError
from stages.foundation.split import Split

TEXT_COLUMNS = ("sentence", "text")  # tried in this order where dataset.yaml names none
INTEGER = re.compile(r"0|-?[1-9][0-9]*")
HIDDEN = "-1"  # what GLUE on the Hub says instead of a secret test label


@dataclass(frozen=True, slots=True)
class Table:
    """A table and what to call it in a complaint."""

    name: str
    frame: pd.DataFrame  # the index says where a row stands, its name says in which unit: line or row

    def place(self, position: int) -> str:
        """Where a row stands, for people."""
        return f"{self.name}, {self.frame.index.name or 'row'} {self.frame.index[position]}"

    def values(self, column: str) -> list[Any]:
        """A column as Python values, None where one is missing.

        Raises:
            StudyError: If there is no such column.
        """
        if column not in self.frame:
            raise StudyError(
                f"{self.name} has no column {column}; it has {self.column_names()}: "
                "say in dataset.yaml which is which, for instance `text: review` or `label: stars`"
            )
        series = self.frame[column]
        values: list[Any] = series.astype(object).where(series.notna(), None).tolist()
        return values

    def column_names(self) -> str:
        """All columns, for people."""
        return ", ".join(map(str, self.frame))


def label_splits(tables: Mapping[str, Table], columns: ColumnSettings) -> dict[str, Split]:
    """Turn the tables `train`, `test` and perhaps `validation` into splits with the same classes.

    Raises:
        StudyError: For a column, text, label or class that is missing or unknown; names the place.
    """
    text_column = columns.text or _text_column(tables["train"])
    labels = {name: _read_labels(table, columns.label) for name, table in tables.items()}
    names, index = _number_classes(set(labels["train"]), columns.label_names)
    return {
        name: Split(
            row_ids=np.arange(len(table.frame)),
            sentences=_read_texts(table, text_column),
            labels=_look_up(table, labels[name], index),
            label_names=names,
        )
        for name, table in tables.items()
    }


def number_groups(tables: Mapping[str, Table], column: str) -> dict[str, NDArray[np.int64]]:
    """A number for each row's group, the same one in every table.

    Raises:
        StudyError: If a row has none.
    """
    values = {name: table.values(column) for name, table in tables.items()}
    for name, groups in values.items():
        if None in groups:
            raise StudyError(f"{tables[name].place(groups.index(None))} has no group in column {column}")
    numbers, _ = pd.factorize(np.array([str(group) for groups in values.values() for group in groups], dtype=object))
    ends = np.cumsum([len(groups) for groups in values.values()])[:-1]
    return dict(zip(values, np.split(numbers.astype(np.int64), ends), strict=True))


def _text_column(table: Table) -> str:
    for column in TEXT_COLUMNS:
        if column in table.frame:
            return column
    raise StudyError(
        f"{table.name} has no column {' or '.join(TEXT_COLUMNS)}; it has {table.column_names()}: "
        "say in dataset.yaml which holds the texts, for instance `text: review`"
    )


def _read_texts(table: Table, column: str) -> list[str]:
    texts = ["" if value is None else value for value in table.values(column)]
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise StudyError(f"{table.place(position)}: column {column} must hold texts, found {text!r}")
    return texts


def _read_labels(table: Table, column: str) -> list[str]:
    values = table.values(column)
    labels = [_spell(value) for value in values]
    for position, label in enumerate(labels):
        if not label:
            raise StudyError(
                f"{table.place(position)} has no label: column {column} must hold whole numbers or names, "
                f"found {values[position]!r}"
            )
    return labels


def _spell(label: Any) -> str:
    """A label as text, e.g. `1`, `true`, `positive`; empty if it is none."""
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, float) and label.is_integer():  # whole numbers, where another one of the column is missing
        label = int(label)
    return str(label).strip() if isinstance(label, int | str) else ""


def _number_classes(
    found: set[str], given: Sequence[str | int | bool] | None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Names of the classes, and the class index of each label as it is written in the data.

    Args:
        found: The labels of the training rows.
        given: Names from dataset.yaml or the Hub; the data hold either these or their indices.
    """
    if len(found) < 2:
        raise StudyError(f"the training rows have one class only ({', '.join(found)}); there must be at least two")
    are_integers = all(INTEGER.fullmatch(label) for label in found)
    if given is None:
        names = sorted(found, key=int) if are_integers else sorted(found)
    else:
        names = [_spell(name) for name in given]
    if len(set(names)) < max(2, len(names)) or not all(names):
        raise StudyError(f"label_names must hold at least two names, each of them once, got {given!r}")
    if are_integers and not found <= set(names):
        return tuple(names), {str(index): index for index in range(len(names))}
    return tuple(names), {name: index for index, name in enumerate(names)}


def _look_up(table: Table, labels: list[str], index: Mapping[str, int]) -> NDArray[np.int64]:
    numbers = [index.get(label, -1) for label in labels]
    if -1 in numbers:
        position = numbers.index(-1)
        if labels[position] == HIDDEN:
            raise StudyError(f"{table.place(position)}: the labels are hidden ({HIDDEN}); take a split that has labels")
        known = ", ".join(index)
        raise StudyError(f"{table.place(position)}: unknown label {labels[position]!r}; the classes are {known}")
    return np.array(numbers, dtype=np.int64)
