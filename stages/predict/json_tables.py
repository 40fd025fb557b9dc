"""JSON Lines and JSON arrays of any size: an object for each row, its text kept and keys put before its last brace."""

import codecs
import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

from stages.foundation.errors import StudyError
from stages.predict.tables import (
    MARK,
    Added,
    ByteLines,
    Cells,
    TextRow,
    TextWindow,
    TextWriter,
    Window,
    readable,
    refuse_taken,
    windows_of,
)

BLOCK = 2**16  # bytes of an array that are read at a time
LONGEST_SIGN = 16  # characters: a fault nearer to what is not read yet may only be cut off
DECIMALS = 6
BEFORE_FIRST = re.compile(r"\ufeff?\s*(?:\[\s*)?")  # object of an array
BETWEEN = re.compile(r"\s*(?:,\s*)?")


def open_json(source: ByteLines, suffix: str) -> "JsonTable":
    """Begin to read a file that holds an array, or an object in each line.

    Raises:
        StudyError: If it is empty, or begins with neither.
    """
    first = source.head().lstrip()
    if not first:
        raise StudyError(f"{source.name} is empty")
    return JsonTable(source, suffix, is_array=first.startswith("["))


class JsonTable:
    """Objects one behind the other; the keys of the first are the columns."""

    unit = "B"

    def __init__(self, source: ByteLines, suffix: str, *, is_array: bool) -> None:
        self._source, self.name, self.total = source, source.name, source.size
        self.suffix = suffix
        self.told = "JSON array" if is_array else "JSON Lines"
        self._rest = ""
        rows = self._array() if is_array else self._lines()
        first = next(rows, None)
        self.columns: list[str] = list(first.values) if first else []
        self._rows = rows if first is None else chain([first], rows)

    def windows(self) -> Iterator[TextWindow]:
        """All rows, once."""
        return windows_of(self.name, self._rows, lambda: self._source.position)

    def writer(self, stream: BinaryIO, added: Added) -> TextWriter:
        """What writes it to a stream, with these keys beside its own."""
        names = [json.dumps(name, ensure_ascii=False) for name in added]

        def complete(raw: str, values: list[Any]) -> str:
            at = raw.rindex("}")
            pairs = ", ".join(f"{name}: {json_value(value)}" for name, value in zip(names, values, strict=True))
            between = "" if raw[:at].rstrip().endswith("{") else ", "
            return raw[:at] + between + pairs + raw[at:]

        return TextWriter(stream, complete, lambda: self._rest)

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def _lines(self) -> Iterator[TextRow]:
        before = ""
        for line in self._source:
            before += line
            text = line.removeprefix(MARK).strip()
            if text:
                number = self._source.number
                yield TextRow(number, before, self._object(text, number))
                before = ""
        self._rest = before

    def _array(self) -> Iterator[TextRow]:
        """Read as much as one object takes; what stands between two goes with the one behind it."""
        decode, text, at, line = json.JSONDecoder().raw_decode, "", 0, 1
        unpacked = codecs.getincrementaldecoder("utf-8")()
        ahead, is_whole = BEFORE_FIRST, False
        while not is_whole:
            block = self._read(max(BLOCK, len(text) - at))
            is_whole = not block
            text, at = text[at:] + self._decoded(unpacked, block), 0
            while (start := ahead.match(text, at).end()) < len(text) and text[start] != "]":  # type: ignore[union-attr]
                line += text.count("\n", at, start)
                try:
                    record, end = decode(text, start)
                except (json.JSONDecodeError, RecursionError) as error:
                    if not is_whole and _may_be_cut_off(error, text):
                        line -= text.count("\n", at, start)  # it is looked for again
                        break
                    raise self._invalid(error, line) from None
                yield TextRow(line, text[at:end], self._checked(record, text[start:end], line))
                line += text.count("\n", start, end)
                at, ahead = end, BETWEEN
        self._rest = text[at:]
        if not re.fullmatch(r"\s*\]\s*" if ahead is BETWEEN else r"\ufeff?\s*\[\s*\]\s*", self._rest):
            raise StudyError(f"{self.name}: the array does not end with ], or something follows it")

    def _read(self, size: int) -> bytes:
        with readable(self.name):
            block: bytes = self._source.stream.read(size)
        return block

    def _decoded(self, decoder: codecs.IncrementalDecoder, block: bytes) -> str:
        try:
            return decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise StudyError(f"{self.name} is not UTF-8 ({error.reason}); save it as UTF-8") from None

    def _object(self, text: str, line: int) -> dict[str, Any]:
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._invalid(error, line) from None
        return self._checked(record, text, line)

    def _checked(self, record: Any, text: str, line: int) -> dict[str, Any]:
        if not isinstance(record, dict):
            raise StudyError(f"{self.name}, line {line} must hold one JSON object, such as {{...}}")
        if "\\u" in text:  # may spell half of a surrogate pair, which no file can hold
            try:
                json.dumps(record, ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                raise self._invalid(error, line) from None
        return record

    def _invalid(self, error: Exception, line: int) -> StudyError:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else error
        return StudyError(f"{self.name}, line {line} is not valid JSON: {reason}")


class JsonLinesWriter:
    """Writes rows of any table as JSON Lines."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, window: Window, cells: Cells) -> None:
        """The rows of a window, in their order."""
        lines = []
        for at, record in enumerate(window.records()):
            refuse_taken(window, at, record, cells)
            added = ", ".join(
                f"{json.dumps(name, ensure_ascii=False)}: {json_value(values[at])}" for name, values in cells.items()
            )
            own = json.dumps(record, ensure_ascii=False, default=str)
            lines.append(f"{own[:-1]}{', ' if record else ''}{added}}}\n")
        self._stream.write("".join(lines).encode())

    def close(self) -> None:
        """Nothing comes behind the last row."""


def json_value(value: Any) -> str:
    """A value as JSON, numbers with six decimals."""
    return json.dumps(round(value, DECIMALS) if isinstance(value, float) else value, ensure_ascii=False)


def _may_be_cut_off(error: Exception, text: str) -> bool:
    """Whether more text may mend it: it ends inside a string, or the fault lies at its end."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.msg.startswith("Unterminated string") or error.pos > len(text) - LONGEST_SIGN
