"""One file as a table: TSV, CSV, JSON and Parquet, the text formats also compressed by gzip.

Text files are read as text: no value is guessed to be a number, a date or missing. They are parsed here and not by
pandas, which pads short rows in silence and counts lines in its own way; so a complaint can name the line.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages.corpus.sources.delimited import Record, find_layout, lines, records
from stages.corpus.sources.settings import FilesSettings
from stages.corpus.sources.table import Table
from stages.foundation.errors import StudyError

TEXT_FORMATS = (".tsv", ".csv", ".jsonl", ".json")
FORMATS = (*TEXT_FORMATS, ".parquet")
ENDINGS = (*FORMATS, *(f"{ending}.gz" for ending in TEXT_FORMATS))
ENDINGS_TOLD = f"{', '.join(FORMATS)} (text also with .gz)"
PLAIN = FilesSettings()  # what a dataset.yaml that says nothing says
BLANK = re.compile(r"[ \t\r\n]*")
JSON_EXPECTED = "a file holds one JSON object a line, or one array of objects"


def read_file(path: Path, settings: FilesSettings = PLAIN) -> Table:
    """Read a table; the ending of the file's name tells its format.

    Returns:
        The columns as they are in the file; the index, named `line` or `row`, counts from 1.

    Raises:
        StudyError: If the file is missing, empty, broken or can be read in two ways.
    """
    name = path.name.casefold()
    if not name.endswith(ENDINGS):
        raise StudyError(f"{path} must end in one of {ENDINGS_TOLD}")
    if not path.is_file():
        raise StudyError(f"{path} is missing")
    if name.endswith(".parquet"):
        return _read_parquet(path)
    text = _decode(path)
    table = _read_json(text, path) if ".json" in name else _read_delimited(text, path, settings)
    told = f"{table.told}, gzip" if name.endswith(".gz") else table.told
    return Table(table.name, table.frame, told, lacking=table.lacking)


def read_table(path: Path) -> pd.DataFrame:
    """The columns of a file, as `read_file` finds them."""
    return read_file(path).frame


def _decode(path: Path) -> str:
    raw = path.read_bytes()
    if path.name.casefold().endswith(".gz"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise StudyError(f"{path} is not readable as gzip: {error}") from None
    try:
        text = raw.decode("utf-8-sig")
        return text if "\n" in text else text.replace("\r", "\n")  # some programs end lines in this way alone
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise StudyError(f"{path}, line {line} is not UTF-8 ({error.reason}); save the file as UTF-8") from None


def _read_delimited(text: str, path: Path, settings: FilesSettings) -> Table:
    layout = find_layout(text, path, settings)
    frame = _collect(records(text, path, layout), path, settings.columns)
    header = "" if settings.columns is None else ", no header"
    return Table(str(path), frame, layout.told(text) + header)


def _collect(rows: Iterator[Record], path: Path, columns: Sequence[str] | None) -> pd.DataFrame:
    """Make a table of records; the first is the header, unless dataset.yaml names the columns."""
    line, first = next(rows, (0, []))
    if not first:
        raise StudyError(f"{path} is empty")
    if columns is None:
        header = [name.strip() for name in first]
        lined: list[Record] = []
    else:
        header = list(columns)
        if [name.strip().casefold() for name in first] == [name.strip().casefold() for name in columns]:
            raise StudyError(f"{path}, line {line} names the columns itself; leave `columns` out of dataset.yaml")
        lined = [(line, first)]
    lined += rows
    if not lined:
        raise StudyError(f"{path} has a header but no rows")
    _check_widths(lined, header, path, named_by="the header has" if columns is None else "`columns` names")
    values = [[values[at] if at < len(values) else "" for _, values in lined] for at in range(len(header))]
    return _frame(header, values, [line for line, _ in lined])


def _check_widths(rows: list[Record], header: list[str], path: Path, *, named_by: str) -> None:
    """A row may end before the columns that have no name, and nowhere else."""
    least = len(header)
    while least > 1 and not header[least - 1]:
        least -= 1
    for line, values in rows:
        if not least <= len(values) <= len(header):
            raise StudyError(
                f"{path}, line {line} has {_number(len(values), 'value')}, {named_by} {_number(len(header), 'column')}"
                f"{_advice(rows, header, named_by)}"
            )


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _advice(rows: list[Record], header: list[str], named_by: str) -> str:
    """Of the usual faults: names that are missing, and a text that holds the separator."""
    widths = {len(values) for _, values in rows}
    if len(widths) == 1:
        what = "`columns`" if "`columns`" in named_by else "the header, which is the first line,"
        return f"; all rows have {len(rows[0][1])}: {what} must name each of them"
    if max(widths) <= len(header):
        return ""
    return ": a value that holds the separator stands in quotation marks, or dataset.yaml names another `separator`"


def _frame(header: Sequence[str], values: list[list[Any]], index: list[int]) -> pd.DataFrame:
    """Columns may have one name: what nobody asks for does not matter."""
    frame = pd.DataFrame(dict(enumerate(values)), index=pd.Index(index, name="line"), dtype=object)
    frame.columns = pd.Index(header, dtype=object)
    return frame


def _read_json(text: str, path: Path) -> Table:
    """An object per line, or one array of objects; the columns are the keys of all of them."""
    is_array = text.lstrip().startswith("[")
    found = list(_array_objects(text, path) if is_array else _line_objects(text, path))
    columns = list(dict.fromkeys(key for _, record in found for key in record))
    if not columns:
        raise StudyError(f"{path} is empty")
    if len(found) == 1 and any(isinstance(value, list) for value in found[0][1].values()):
        raise StudyError(f"{path} holds one object with lists in it; {JSON_EXPECTED}, each of them a row")
    lacking = {}
    for column in columns:
        position = next((at for at, (_, record) in enumerate(found) if column not in record), None)
        if position is not None:
            lacking[column] = position
    values = [[record.get(column) for _, record in found] for column in columns]
    frame = _frame(columns, values, [line for line, _ in found])
    return Table(str(path), frame, "a JSON array" if is_array else "JSON Lines", lacking=lacking)


def _line_objects(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of JSON Lines, with their lines."""
    for number, line in lines(text):
        try:
            record = json.loads(line)
            _require_encodable(record, line)
        except (ValueError, RecursionError) as error:
            raise _no_json(path, number, error) from None
        yield number, _require_object(record, path, number)


def _array_objects(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of an array, with the lines that they begin on."""
    decoder = json.JSONDecoder()
    at, line, counted = text.index("[") + 1, 1, 0
    is_first = True
    while True:
        at = _skip(text, at)
        line, counted = line + text.count("\n", counted, at), at
        if text[at : at + 1] == "]" and is_first:
            break
        try:
            record, end = decoder.raw_decode(text, at)
            _require_encodable(record, text[at:end])
            at = _skip(text, end)
            if text[at : at + 1] not in (",", "]"):
                raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
        except (ValueError, RecursionError) as error:
            where = text.count("\n", 0, error.pos) + 1 if isinstance(error, json.JSONDecodeError) else line
            raise _no_json(path, where, error) from None
        yield line, _require_object(record, path, line)
        if text[at] == "]":
            break
        at, is_first = at + 1, False
    if _skip(text, at + 1) < len(text):
        raise StudyError(f"{path}, line {text.count(chr(10), 0, at) + 1}: something follows the array; {JSON_EXPECTED}")


def _skip(text: str, at: int) -> int:
    blank = BLANK.match(text, at)
    return blank.end() if blank else at


def _require_encodable(record: Any, source: str) -> None:
    """Half of a surrogate pair is JSON, and no file can hold it."""
    if "\\u" in source:
        json.dumps(record, ensure_ascii=False).encode()


def _require_object(record: Any, path: Path, line: int) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise StudyError(f"{path}, line {line} must hold one JSON object, such as {{...}}; {JSON_EXPECTED}")
    return record


def _no_json(path: Path, line: int, error: ValueError | RecursionError) -> StudyError:
    reason = error.msg if isinstance(error, json.JSONDecodeError) else error
    return StudyError(f"{path}, line {line} is not valid JSON: {reason}; {JSON_EXPECTED}")


def _read_parquet(path: Path) -> Table:
    try:
        frame = pd.read_parquet(path)
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"{path} is not readable as Parquet: {reason}") from None
    if frame.empty:
        raise StudyError(f"{path} has no rows")
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return Table(str(path), frame, "Parquet", class_names=_class_names(metadata, path))


def _class_names(metadata: dict[bytes, bytes], path: Path) -> dict[str, list[str]]:
    """Names of classes by column, which `datasets` notes in a Parquet file that it writes."""
    if b"huggingface" not in metadata:
        return {}
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: [*kind["names"]] for name, kind in features.items() if kind.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StudyError(f"{path}: its metadata `huggingface` are not those that `datasets` writes") from None
