"""TSV and CSV of any size: a row's text kept as it stands, and values put before its end."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from stages.corpus.sources.delimited import EXCEL_LINE, NAMES, find_layout
from stages.corpus.sources.settings import FilesSettings
from stages.foundation.errors import StudyError
from stages.predict.tables import MARK, Added, ByteLines, TextRow, TextWindow, TextWriter, spelled, windows_of
from stages.reporting.numbers import counted

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")

csv.field_size_limit(2**31 - 1)  # Python's own limit is 128 KiB


class DelimitedTable:
    """TSV as GLUE writes it, where a quotation mark means nothing, or CSV as RFC 4180 has it."""

    unit = "B"

    def __init__(self, source: ByteLines, suffix: str, columns: Sequence[str] | None) -> None:
        self._source, self.name, self.suffix, self.total = source, source.name, suffix, source.size
        head = source.head()
        given = FilesSettings(columns=None if columns is None else list(columns))
        layout = find_layout(head, Path(source.name), given)
        self.separator, self._is_quoted, self._is_spaced = layout.separator, layout.quoted, layout.spaced
        ends = re.escape(self.separator) + ('"' if self._is_quoted else "")
        self._must_quote = re.compile(f"[\r\n{ends}]").search
        self._rest = ""
        ends_in_returns = self._is_quoted or "\n" not in head
        records = self._records(_split_at_returns(source) if ends_in_returns else iter(source))
        self._above = next(records)[1] if EXCEL_LINE.match(head) else ""  # the header
        self._head = next(records, None)
        if self._head is None:
            raise StudyError(f"{self.name} is empty")
        self.columns = columns or [value.strip() for value in self._head[2]]
        self._has_header = columns is None
        self._left = records if self._has_header else chain([self._head], records)
        self.told = f"{suffix[1:].upper()}, {layout.told(head)}"
        self.told += "" if self._has_header else ", without header"

    def windows(self) -> Iterator[TextWindow]:
        """All rows, once.

        Raises:
            StudyError: At a row with more or fewer values than there are columns.
        """
        return windows_of(self.name, self._rows(), lambda: self._source.position)

    def writer(self, stream: BinaryIO, added: Added) -> TextWriter:
        """What writes it to a stream, with these columns beside its own; writes the header."""
        if self._has_header and self._head is not None:
            stream.write((self._above + self._complete(self._head[1], list(added))).encode())
        return TextWriter(stream, self._complete, lambda: self._rest)

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def _rows(self) -> Iterator[TextRow]:
        most = len(self.columns)
        least = max((at for at, name in enumerate(self.columns, 1) if name), default=most)
        for line, raw, values in self._left:
            if not least <= len(values) <= most:
                raise StudyError(self._other_number(line, len(values)))
            if missing := most - len(values):  # of columns without a name: what is added must stand behind them
                raw = self._complete(raw, [None] * missing)
                values += [""] * missing
            yield TextRow(line, raw, dict(zip(self.columns, values, strict=True)))

    def _other_number(self, line: int, found: int) -> str:
        """What is wrong with a row of more or fewer values than there are columns."""
        told = (
            f"{self.name}, line {line} has {counted(found, 'value')}, the file {counted(len(self.columns), 'column')}"
        )
        if len(self.columns) > 1:
            return told
        separator = NAMES.get(self.separator, self.separator)
        return (
            f"{told}: put texts that hold a {separator} in quotation marks, or give the texts alone, one a line "
            "without the header, to `python -m stages.predict - < texts.txt`"
        )

    def _records(self, lines: Iterator[str]) -> Iterator[tuple[int, str, list[str]]]:
        """First line, text as it stands and values of each record; empty lines go with the record behind them."""
        taken: list[str] = []

        def noted() -> Iterator[str]:
            for line in lines:
                taken.append(line)
                yield line.removeprefix(MARK) if self._source.number == 1 else line

        for start, values in self._quoted(noted()) if self._is_quoted else self._plain(noted()):
            if values:
                yield start, "".join(taken), values
                taken.clear()
        self._rest = "".join(taken)

    def _plain(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        for line in lines:
            text = line.removesuffix("\n").removesuffix("\r")
            yield self._source.number, text.split(self.separator) if text else []

    def _quoted(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(lines, delimiter=self.separator, skipinitialspace=self._is_spaced, strict=True)
        start = 1
        try:
            for values in reader:
                yield start, values
                start = reader.line_num + 1
        except csv.Error as error:
            raise StudyError(f"{self.name}, line {start} is not valid CSV: {error}") from None

    def _complete(self, raw: str, values: list[Any]) -> str:
        row = raw.rstrip("\r\n")
        cells = [self._cell(value) for value in values]
        return self.separator.join([row, *cells]) + raw[len(row) :]

    def _cell(self, value: Any) -> str:
        text = spelled(value)
        return '"' + text.replace('"', '""') + '"' if self._must_quote(text) else text


def _split_at_returns(lines: Iterable[str]) -> Iterator[str]:
    """Lines that also end at a carriage return alone, as `csv` wants them."""
    for line in lines:
        yield from LINE.findall(line) if "\r" in line[:-2] else [line]
