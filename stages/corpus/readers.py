"""Read a table from TSV, CSV, JSON Lines or Parquet, and say in which line it is broken.

Text files are read as text: no value is guessed to be a number, a date or missing. They are parsed here and not
by pandas, which pads short rows in silence and counts lines in its own way.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from stages.foundation.errors import StudyError

FORMATS = (".tsv", ".csv", ".jsonl", ".json", ".parquet")  # .json: JSON Lines, too

Record = tuple[int, list[Any]]  # first line, values


def read_table(path: Path) -> pd.DataFrame:
    """Read a table; the ending of the file's name tells its format.

    Returns:
        The columns as they are in the file; the index, named `line` or `row`, counts from 1.

    Raises:
        StudyError: If the file is missing, empty or broken.
    """
    if path.suffix not in FORMATS:
        raise StudyError(f"{path} must end in one of {', '.join(FORMATS)}")
    if not path.is_file():
        raise StudyError(f"{path} is missing")
    if path.suffix == ".parquet":
        return _read_parquet(path)
    text = _decode(path)
    if path.suffix == ".tsv":
        records = _tsv_records(text)
    elif path.suffix == ".csv":
        records = _csv_records(text, path)
    else:
        records = _json_records(text, path)
    return _collect(records, path)


def _decode(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise StudyError(f"{path}, line {line} is not UTF-8 ({error.reason}); save the file as UTF-8") from None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, with their numbers."""
    return ((number, line) for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1) if line)


def _tsv_records(text: str) -> Iterator[Record]:
    """GLUE's way: a tab always ends a value, a quotation mark means nothing."""
    return ((number, line.split("\t")) for number, line in _lines(text))


def _csv_records(text: str, path: Path) -> Iterator[Record]:
    """RFC 4180: a value in quotation marks may hold commas, doubled quotation marks and line ends."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for values in reader:
            if values:
                yield start, values
            start = reader.line_num + 1
    except csv.Error as error:
        raise StudyError(f"{path}, line {start} is not valid CSV: {error}") from None


def _json_records(text: str, path: Path) -> Iterator[Record]:
    """An object per line; the first one's keys are the columns, and a key that is absent later is null."""
    header: list[str] = []
    for number, line in _lines(text):
        try:
            record = json.loads(line)
            if "\\u" in line:  # may spell half of a surrogate pair, which no file can hold
                json.dumps(record, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else error
            raise StudyError(f"{path}, line {number} is not valid JSON: {reason}") from None
        if not isinstance(record, dict):
            raise StudyError(f"{path}, line {number} must hold one JSON object, such as {{...}}")
        if not header:
            header = list(record)
            yield number, header
        yield number, [record.get(column) for column in header]


def _collect(records: Iterator[Record], path: Path) -> pd.DataFrame:
    """Make a table of records, the first of which is the header."""
    _, header = next(records, (0, []))
    if not header:
        raise StudyError(f"{path} is empty")
    if len(set(header)) < len(header):
        raise StudyError(f"{path} has two columns of the same name: {', '.join(header)}")
    lines: list[int] = []
    columns: list[list[Any]] = [[] for _ in header]
    for line, values in records:
        if len(values) != len(header):
            raise StudyError(f"{path}, line {line} has {len(values)} values, the header has {len(header)} columns")
        lines.append(line)
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    if not lines:
        raise StudyError(f"{path} has a header but no rows")
    return pd.DataFrame(dict(zip(header, columns, strict=True)), index=pd.Index(lines, name="line"), dtype=object)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"{path} is not readable as Parquet: {reason}") from None
    if frame.empty:
        raise StudyError(f"{path} has no rows")
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return frame
