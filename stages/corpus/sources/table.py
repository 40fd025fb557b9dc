"""A table as it was read: its columns, what to call it, and where a row of it stands."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from stages.foundation.errors import StudyError

NAMES_SHOWN = 12  # of columns or classes, in one line
LETTERS_SHOWN = 40  # of one name or value
ROW_WORDS = 4  # a header's name of so many words is a sentence
ROWS_LOOKED_AT = 1000
NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Table:
    """A table and what to call it in a complaint."""

    name: str
    frame: pd.DataFrame  # the index says where a row stands, its name says in which unit: line or row
    told: str = ""  # its format in words, e.g. `tab-separated`
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by column, of those that hold indices
    lacking: Mapping[str, int] = field(default_factory=dict)  # by column, the first row that leaves its key out

    def place(self, position: int) -> str:
        """Where a row stands, for people."""
        return f"{self.name}, {self.frame.index.name or 'row'} {self.frame.index[position]}"

    def has(self, column: str) -> bool:
        """Whether there is such a column, or several."""
        return bool(self._spellings(column))

    def find(self, column: str) -> str:
        """The column's name as the file writes it: blanks at its ends and, where one column fits, case do not matter.

        Raises:
            StudyError: If there is no such column, or more than one.
        """
        names = self._spellings(column)
        if len(names) == 1:
            return names[0]
        if names:
            way = "give them different names" if len(set(names)) < len(names) else "write it as the file does"
            raise StudyError(f"{self.name} has {len(names)} columns of the name {column}: {', '.join(names)}; {way}")
        raise StudyError(f"{self.name} has no column {column}; it has {self.column_names()}: {self._advice()}")

    def values(self, column: str) -> list[Any]:
        """A column as Python values, None where one is missing.

        Raises:
            StudyError: If there is no such column, or a row of JSON leaves its key out.
        """
        name = self.find(column)
        if name in self.lacking:
            raise StudyError(
                f"{self.place(self.lacking[name])} has no key {name}, which other rows have; give it one, or remove "
                "the row"
            )
        return self._python_values(self.frame[name])

    def first_values(self, column: str) -> list[Any]:
        """Likewise of the first rows alone, None where a key is left out, too."""
        return self._python_values(self.frame[self.find(column)].head(ROWS_LOOKED_AT))

    def column_names(self) -> str:
        """All columns, for people."""
        return listed(self.frame)

    @property
    def is_delimited(self) -> bool:
        """Whether it is TSV or CSV."""
        return self.told.partition(",")[0].endswith("-separated")

    @staticmethod
    def _python_values(series: "pd.Series[Any]") -> list[Any]:
        values: list[Any] = series.astype(object).where(series.notna(), None).tolist()
        return values

    def _spellings(self, column: str) -> list[str]:
        """The columns that this name may mean."""
        names = [name for name in self.frame if isinstance(name, str)]
        for spell in (str, str.strip, lambda name: name.strip().casefold()):
            if same := [name for name in names if spell(name) == spell(column)]:
                return same
        return []

    def _advice(self) -> str:
        if self.is_delimited and self.frame.shape[1] == 1:
            return "if another character stands between its values, name it in dataset.yaml, e.g. `separator: ':'`"
        if self.is_delimited and self._begins_with_a_row():
            names = ", ".join(self._guessed_names())
            return (
                f"its first line looks like a row; if it is one, name the columns in dataset.yaml: `columns: [{names}]`"
            )
        return "say in dataset.yaml which is which, for instance `text: review` or `label: stars`"

    def _begins_with_a_row(self) -> bool:
        """Whether the header holds what only a row does: a sentence, a number, or a value of the column below it."""
        rows = self.frame.head(ROWS_LOOKED_AT)
        return any(
            len(name.split()) >= ROW_WORDS or NUMBER.fullmatch(name) or name in set(map(str, rows.iloc[:, at]))
            for at, name in enumerate(map(str, self.frame))
            if name
        )

    def _guessed_names(self) -> list[str]:
        """The longest value of the first row is its text, the label that which differs least from row to row."""
        lengths = [len(str(name)) for name in self.frame]
        text = lengths.index(max(lengths))
        rows = self.frame.head(ROWS_LOOKED_AT)
        differing = [len({str(name), *map(str, rows.iloc[:, at])}) for at, name in enumerate(self.frame)]
        label = min((at for at in range(len(lengths)) if at != text), key=lambda at: (differing[at], lengths[at], -at))
        special = {text: "text", label: "label"}
        return [special.get(at, f"column{at + 1}") for at in range(len(lengths))]


def shortened(value: object) -> str:
    """A value in one line that stays short."""
    text = " ".join(str(value).split())
    return text if len(text) <= LETTERS_SHOWN else text[: LETTERS_SHOWN - 3] + "..."


def listed(names: Iterable[object]) -> str:
    """Names with commas, the first of many; those that are empty are counted."""
    told = [shortened(name) for name in names]
    named = [name for name in told if name]
    parts = named[:NAMES_SHOWN]
    if len(named) > NAMES_SHOWN:
        parts.append(f"and {len(named) - NAMES_SHOWN} more")
    if len(named) < len(told):
        parts.append(f"{len(told) - len(named)} without a name")
    return ", ".join(parts)
