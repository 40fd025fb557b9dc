"""From tables to labelled texts: find the columns, number the classes, name the row that is at fault."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.corpus.sources.classes import find_classes
from stages.corpus.sources.settings import ColumnSettings
from stages.corpus.sources.table import Table
from stages.corpus.sources.texts import find_text_columns, read_texts
from stages.foundation.errors import StudyError
from stages.foundation.split import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """The splits of a data set, and which columns they were read from."""

    splits: dict[str, Split]  # train, test and perhaps validation
    text_columns: tuple[str, ...]  # one, or two of pairs
    labels_told: str  # how the labels were read, in words


def label_splits(tables: Mapping[str, Table], columns: ColumnSettings) -> Labelled:
    """Turn the tables `train`, `test` and perhaps `validation` into splits with the same classes.

    Raises:
        StudyError: For a column, text, label or class that is missing or unknown, which names the place, or for one
            that may mean two things.
    """
    others = (columns.label,) if columns.group is None else (columns.label, columns.group)
    text_columns = find_text_columns(tables["train"], columns.text_columns, others)
    classes = find_classes(tables, columns)
    splits = {}
    for name, table in tables.items():
        texts = [read_texts(table, column) for column in text_columns]
        splits[name] = Split(
            row_ids=np.arange(len(table.frame)),
            sentences=texts[0],
            labels=classes.labels[name],
            label_names=classes.names,
            second=texts[1] if len(texts) > 1 else None,
        )
    return Labelled(splits=splits, text_columns=text_columns, labels_told=classes.told)


def number_groups(tables: Mapping[str, Table], column: str) -> dict[str, NDArray[np.int64]]:
    """A number for each row's group, the same one in every table.

    Raises:
        StudyError: If a row has none.
    """
    values = {name: table.values(column) for name, table in tables.items()}
    for name, groups in values.items():
        for position, group in enumerate(groups):
            if group is None or not str(group).strip():
                raise StudyError(
                    f"{tables[name].place(position)} has no group in column {column}; give it one of its own"
                )
    numbers, _ = pd.factorize(np.array([str(group) for groups in values.values() for group in groups], dtype=object))
    ends = np.cumsum([len(groups) for groups in values.values()])[:-1]
    return dict(zip(values, np.split(numbers.astype(np.int64), ends), strict=True))
