"""What was read, in a few lines: files, columns, classes, and what was left unused."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.corpus.sources.labelling import Labelled
from stages.corpus.sources.settings import ColumnSettings
from stages.corpus.sources.table import Table, listed
from stages.foundation.split import Split


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was found."""

    term: str
    told: str


def describe_tables(
    tables: dict[str, Table], labelled: Labelled, columns: ColumnSettings, unused_files: Sequence[str] = ()
) -> tuple[Fact, ...]:
    """What was read of tables, before any row is cleaned away."""
    facts = [
        Fact(f"{name} split", f"{Path(table.name).name if table.told else table.name}{_format(table)}, {_rows(table)}")
        for name, table in tables.items()
    ]
    facts.append(Fact("texts", _texts_told(labelled.text_columns)))
    facts.append(Fact("labels", f"column {tables['train'].find(columns.label)}, {labelled.labels_told}"))
    if columns.group is not None:
        facts.append(Fact("groups", f"column {columns.group}"))
    facts += describe_classes(labelled.splits["train"], labelled.splits["test"])
    asked = {*labelled.text_columns, columns.label, columns.group}
    unused_columns = [
        Fact("columns left unused", told) for table in (tables["train"],) if (told := _unused_columns(table, asked))
    ]
    unused = [Fact("files left unused", listed(unused_files))] if unused_files else []
    return (*facts, *unused_columns, *unused)


def describe_classes(train: Split, test: Split) -> tuple[Fact, ...]:
    """The classes with their training rows, those that no test row is of, and names that are nearly one."""
    names = train.label_names
    counts = np.bincount(train.labels, minlength=len(names))
    told = listed(f"{name} ({count:,})" for name, count in zip(names, counts.tolist(), strict=True))
    facts = [Fact("classes, training rows", told)]
    untested = np.flatnonzero(np.bincount(test.labels, minlength=len(names)) == 0)
    if len(untested):
        facts.append(Fact("classes without test rows", listed(names[label] for label in untested)))
    alike = _alike(names)
    if alike:
        facts.append(Fact("class names that differ by case or blanks alone", "; ".join(alike)))
    return tuple(facts)


def _rows(table: Table) -> str:
    return f"{len(table.frame):,} rows"


def _format(table: Table) -> str:
    return f", {table.told}" if table.told else ""


def _texts_told(columns: Sequence[str]) -> str:
    return f"column {columns[0]}" if len(columns) == 1 else f"pairs of columns {' and '.join(columns)}"


def _unused_columns(table: Table, asked: set[str | None]) -> str:
    read = {table.find(column) for column in asked if column is not None}
    return listed(name for name in table.frame if name not in read)


def _alike(names: Sequence[str]) -> list[str]:
    """Groups of names that people may mean as one."""
    plain = [" ".join(unicodedata.normalize("NFKC", name).casefold().split()) for name in names]
    return [
        " and ".join(name for name, form in zip(names, plain, strict=True) if form == shared)
        for shared, times in Counter(plain).items()
        if times > 1
    ]
