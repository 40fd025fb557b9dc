"""The tables of a data set's folder: which file is which split, and what stands in it.

Formats are TSV, CSV, JSON Lines and Parquet. Text files are read as text: no value is guessed to be a number, a date
or missing. They are parsed here and not by pandas, which pads short rows in silence and counts lines in its own way;
so a complaint can name the line.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from stages.corpus.sources.labelling import Table
from stages.corpus.sources.settings import FilesSettings
from stages.foundation.errors import StudyError

FORMATS = (".tsv", ".csv", ".jsonl", ".json", ".parquet")  # .json: JSON Lines, too

Record = tuple[int, list[Any]]  # first line, values


def find_tables(folder: Path, settings: FilesSettings) -> tuple[dict[str, Table], str]:
    """Read the files that dataset.yaml names under `splits`, else train.*, test.* and perhaps validation.*.

    GLUE's own folders need no dataset.yaml: where test.* is missing or has no labels, dev.* is the test split.

    Returns:
        The tables train, test and perhaps validation, and where the test split comes from.

    Raises:
        StudyError: If a file is missing, or it is not clear which one is meant.
    """
    if settings.splits is not None:
        tables = {split: _table(_named(folder, name)) for split, name in settings.splits.given().items()}
        return tables, settings.splits.test
    files = {name: _find(folder, name) for name in ("train", "validation")}
    if files["train"] is None:
        raise StudyError(f"{folder} has no train file; call it train with one of {', '.join(FORMATS)}")
    tables = {split: _table(file) for split, file in files.items() if file is not None}
    tables["train"].values(settings.label)  # a name that fits no file is dataset.yaml's fault, not the test file's
    test, origin = _find_test(folder, settings.label)
    return tables | {"test": test}, origin


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


def _find_test(folder: Path, label: str) -> tuple[Table, str]:
    """The test split, and where it comes from."""
    file, dev = _find(folder, "test"), _find(folder, "dev")
    test = None if file is None else _table(file)
    if file is None or test is None:
        if dev is None:
            raise StudyError(f"{folder} has no test file; call it test (or dev) with one of {', '.join(FORMATS)}")
        return _table(dev), f"{dev.name} (there is no test file)"
    if label not in test.frame:
        if dev is None:
            raise StudyError(f"{file} has no column {label}; it has {test.column_names()}, and no dev file replaces it")
        return _table(dev), f"{dev.name} ({file.name} has no labels)"
    if dev is not None:
        raise StudyError(
            f"{folder} has labels in {file.name} and in {dev.name}; say in dataset.yaml which is which, e.g. "
            f"`splits: {{train: train{dev.suffix}, validation: {dev.name}, test: {file.name}}}`"
        )
    return test, file.name


def _find(folder: Path, name: str) -> Path | None:
    """The one file of this name, whatever its format."""
    found = [folder / (name + ending) for ending in FORMATS if (folder / (name + ending)).exists()]
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise StudyError(f"{folder} has {names}: keep one, or say in dataset.yaml under `splits` which to take")
    return found[0] if found else None


def _named(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise StudyError(f"{folder}: splits must name files in this folder, got {name}; DVC watches no other")
    return folder / name


def _table(file: Path) -> Table:
    return Table(str(file), read_table(file))


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
