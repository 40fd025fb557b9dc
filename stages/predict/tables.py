"""Tables of any size, of which some thousand rows at a time are held, and what writes each again with columns added.

A row of a text file is kept as it stands there, and what is added is put before its end: nothing else changes, neither
quotation marks nor line ends nor how a number is written.
"""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from stages.foundation.errors import StudyError

FORMATS = (".tsv", ".csv", ".jsonl", ".json", ".parquet")
WINDOW_ROWS = 4096  # enough that texts of like length find each other
WINDOW_CHARACTERS = 4_000_000  # that rows of long texts end a window before
HEAD = 2**20  # bytes that are looked at before a file is read
PACKED = ".gz"
OTHER_NAMES = "give the new columns other names, e.g. `--prefix predicted_`"
MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # which some programs put before the first line of UTF-8

Added = Mapping[str, type]  # name of each added column: holds str, or float
Cells = Mapping[str, Sequence[Any]]  # by added column, a value for each row, or None


class Window(Protocol):
    """Some rows that follow each other."""

    @property
    def position(self) -> int:
        """How much of the table is read with it, in the table's unit."""

    def __len__(self) -> int: ...

    def values(self, column: str) -> list[Any]:
        """What a column holds, row by row.

        Raises:
            StudyError: If a row lacks it.
        """

    def place(self, at: int) -> str:
        """Where a row stands, for people."""

    def records(self) -> list[dict[str, Any]]:
        """Every column of every row."""


class Writer(Protocol):
    """Writes the rows of a table with columns added."""

    def write(self, window: Any, cells: Cells) -> None:
        """The rows of a window of that table, in their order."""

    def close(self) -> None:
        """What comes behind the last row."""


class Table(Protocol):
    """A table as it is found."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def told(self) -> str:
        """Its format, in words."""

    @property
    def suffix(self) -> str:
        """What the name of a file of this format ends in."""

    @property
    def columns(self) -> Sequence[str]:
        """Their names."""

    @property
    def total(self) -> int | None:
        """How much there is to read; None: not known before the end."""

    @property
    def unit(self) -> str:
        """Of `total`: B for bytes, else rows."""

    def windows(self) -> Iterator[Window]:
        """All rows, once."""

    def writer(self, stream: BinaryIO, added: Added) -> Writer:
        """What writes it to a stream, with these columns beside its own."""

    def close(self) -> None:
        """Let go of the file."""


def open_table(path: Path, columns: Sequence[str] | None = None) -> Table:
    """Begin to read a table; the ending of its name tells its format.

    Args:
        path: TSV, CSV, JSON Lines, a JSON array or Parquet; the first four perhaps packed, `.gz`.
        columns: Names of the columns of a TSV or CSV file whose first line is a row.

    Raises:
        StudyError: If it is missing, empty or broken.
    """
    name = path.name.lower().removesuffix(PACKED)
    suffix = Path(name).suffix
    if suffix not in FORMATS:
        raise StudyError(
            f"{path} must end in one of {', '.join(FORMATS)}; of a file with one text a line: "
            f"`python -m stages.predict - < {path}`"
        )
    if not path.is_file():
        raise StudyError(f"{path} is missing")
    if columns is not None and suffix not in (".tsv", ".csv"):
        raise StudyError(f"{path}: --columns is for TSV and CSV files without a header; this one names its columns")
    if suffix == ".parquet":
        from stages.predict.parquet_tables import ParquetTable

        return ParquetTable(path)
    from stages.predict.delimited_tables import DelimitedTable
    from stages.predict.json_tables import open_json

    source = ByteLines(path)
    try:
        return DelimitedTable(source, suffix, columns) if suffix in (".tsv", ".csv") else open_json(source, suffix)
    except BaseException:
        source.close()
        raise


class ByteLines:
    """The lines of a file in UTF-8, with their ends, as they are; `.gz` is unpacked."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.size = path.stat().st_size  # bytes, as packed
        self.number = 0  # of the line read last, from 1
        self._file = path.open("rb")
        self.stream: Any = gzip.GzipFile(fileobj=self._file) if path.name.lower().endswith(PACKED) else self._file

    @property
    def position(self) -> int:
        """Bytes read, as packed."""
        return self._file.tell()

    def head(self) -> str:
        """The first text of the file, which is read all the same; what is no UTF-8 is left out of it."""
        with readable(self.name):
            begin: bytes = self.stream.read(HEAD)
            self.stream.seek(0)
        text = begin.decode("utf-8", "ignore").removeprefix(MARK)
        return text if len(begin) < HEAD else text[: text.rfind("\n") + 1] or text  # whole lines

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __iter__(self) -> Iterator[str]:
        with readable(self.name):
            for line in self.stream:
                self.number += 1
                yield decoded(line, self.name, self.number)


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Say that a packed file is damaged as a fault of the input."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StudyError(f"{name} is damaged, or not packed by gzip: {error}") from None


def decoded(raw: bytes, name: str, number: int) -> str:
    """A line as text.

    Raises:
        StudyError: If it is not UTF-8.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StudyError(f"{name}, line {number} is not UTF-8 ({error.reason}); save it as UTF-8") from None


@dataclass(frozen=True, slots=True)
class TextRow:
    """One row of a text file."""

    line: int  # where it begins, from 1
    raw: str  # as it stands there, with what lies between it and the row before
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TextWindow:
    """Some rows of a text file."""

    name: str
    rows: list[TextRow]
    position: int

    def __len__(self) -> int:
        return len(self.rows)

    def values(self, column: str) -> list[Any]:
        """What a column holds, row by row.

        Raises:
            StudyError: If a row lacks it.
        """
        try:
            return [row.values[column] for row in self.rows]
        except KeyError:
            row = next(row for row in self.rows if column not in row.values)
            there = ", ".join(row.values) or "nothing"
            raise StudyError(f"{self.name}, line {row.line} has no {column}; it has {there}") from None

    def place(self, at: int) -> str:
        """Where a row stands, for people."""
        return f"{self.name}, line {self.rows[at].line}"

    def records(self) -> list[dict[str, Any]]:
        """Every column of every row that has a name."""
        return [{column: value for column, value in row.values.items() if column} for row in self.rows]


def windows_of(name: str, rows: Iterable[TextRow], position: Callable[[], int]) -> Iterator[TextWindow]:
    """Rows in windows, few enough to be held."""
    taken: list[TextRow] = []
    characters = 0
    for row in rows:
        taken.append(row)
        characters += len(row.raw)
        if len(taken) == WINDOW_ROWS or characters >= WINDOW_CHARACTERS:
            yield TextWindow(name, taken, position())
            taken, characters = [], 0
    if taken:
        yield TextWindow(name, taken, position())


class TextWriter:
    """Writes rows of a text file as they stood there, with something put before the end of each."""

    def __init__(self, stream: BinaryIO, complete: Callable[[str, list[Any]], str], rest: Callable[[], str]) -> None:
        """`complete` makes a row whole from what it was and its added values; `rest` is what no row holds."""
        self._stream, self._complete, self._rest = stream, complete, rest

    def write(self, window: TextWindow, cells: Cells) -> None:
        """The rows of a window, in their order."""
        added = zip(*cells.values(), strict=True)
        lines = []
        for at, (row, values) in enumerate(zip(window.rows, added, strict=True)):
            refuse_taken(window, at, row.values, cells)
            lines.append(self._complete(row.raw, list(values)))
        self._stream.write("".join(lines).encode())

    def close(self) -> None:
        """What comes behind the last row."""
        self._stream.write(self._rest().encode())


class TextLines:
    """Texts from the command line or from standard input, one in each line, written as TSV."""

    suffix, unit, total = ".tsv", "rows", None
    told = "one text a line"
    columns = ("text",)

    def __init__(self, name: str, lines: Iterable[bytes]) -> None:
        self.name, self._lines = name, lines
        self._position = 0

    def windows(self) -> Iterator[TextWindow]:
        """All texts, once."""
        return windows_of(self.name, self._rows(), lambda: self._position)

    def close(self) -> None:
        """There is no file."""

    def _rows(self) -> Iterator[TextRow]:
        for number, line in enumerate(self._lines, 1):
            text = decoded(line, self.name, number).removesuffix("\n").removesuffix("\r")
            text = text.removeprefix(MARK) if number == 1 else text
            self._position = number
            yield TextRow(number, text, {"text": text})

    def writer(self, stream: BinaryIO, added: Added) -> TextWriter:
        """What writes them with these columns before the text; writes the header."""
        stream.write(self._complete("text", list(added)).encode())
        return TextWriter(stream, self._complete, str)

    def _complete(self, raw: str, values: list[Any]) -> str:
        return "\t".join([*(_tab_free(spelled(value)) for value in values), _tab_free(raw)]) + "\n"


def refuse_taken(window: Window, at: int, record: Mapping[str, Any], added: Iterable[str]) -> None:
    """Never write beside a value that a row has under the same name.

    Raises:
        StudyError: If it has one.
    """
    if taken := [name for name in added if name in record]:
        raise StudyError(f"{window.place(at)} has {taken[0]} already; {OTHER_NAMES}")


def spelled(value: Any) -> str:
    """A value as text files have it: six decimals, and nothing for None."""
    if value is None:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def texts_of(arguments: Sequence[str]) -> TextLines:
    """The words of a command line; those that are not UTF-8 are told when they are read."""
    return TextLines("the command line", [f"{one}\n".encode("utf-8", "surrogateescape") for one in arguments])


def standard_input() -> TextLines:
    """One text a line, as they come."""
    return TextLines("standard input", sys.stdin.buffer)


def _tab_free(text: str) -> str:
    """A text in quotation marks where it holds what would end a value, as `pandas.read_csv` reads it."""
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in '\t\r\n"') else text
