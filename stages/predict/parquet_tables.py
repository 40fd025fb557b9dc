"""Parquet of any size: read and written in batches, columns added behind its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from stages.foundation.errors import StudyError
from stages.predict.tables import WINDOW_ROWS, Added, Cells

ROW_GROUP = 65_536  # rows that are kept until they are written


@dataclass(frozen=True, slots=True)
class ParquetWindow:
    """Some rows of a Parquet file."""

    name: str
    batch: Any  # pyarrow.RecordBatch
    position: int  # rows read with it

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def values(self, column: str) -> list[Any]:
        """What a column holds, row by row."""
        found: list[Any] = self.batch.column(column).to_pylist()
        return found

    def place(self, at: int) -> str:
        """Where a row stands, for people."""
        return f"{self.name}, row {self.position - len(self) + at + 1}"

    def records(self) -> list[dict[str, Any]]:
        """Every column of every row."""
        found: list[dict[str, Any]] = self.batch.to_pylist()
        return found


class ParquetTable:
    """A Parquet file."""

    suffix, unit, told = ".parquet", "rows", "Parquet"

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from None
        self.columns: list[str] = list(self._file.schema_arrow.names)
        self.total = int(self._file.metadata.num_rows)

    def windows(self) -> Iterator[ParquetWindow]:
        """All rows, once.

        Raises:
            StudyError: If the file is broken.
        """
        position = 0
        try:
            for batch in self._file.iter_batches(batch_size=WINDOW_ROWS):
                position += batch.num_rows
                yield ParquetWindow(self.name, batch, position)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from None

    def writer(self, stream: BinaryIO, added: Added) -> "ParquetTableWriter":
        """What writes it to a stream, with these columns behind its own."""
        return ParquetTableWriter(stream, self._file.schema_arrow, added)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _unreadable(self, error: Exception) -> StudyError:
        return StudyError(f"{self.name} is not readable as Parquet: {' '.join(str(error).split())}")


class ParquetTableWriter:
    """Writes rows of a Parquet file with columns added: numbers as float64, all else as text."""

    def __init__(self, stream: BinaryIO, schema: Any, added: Added) -> None:
        self._schema = schema
        for name, kind in added.items():
            self._schema = self._schema.append(pa.field(name, pa.float64() if kind is float else pa.string()))
        self._writer = pq.ParquetWriter(stream, self._schema)

    def write(self, window: ParquetWindow, cells: Cells) -> None:
        """The rows of a window, in their order."""
        own = len(window.batch.schema)
        new = [
            pa.array(list(values), field.type)
            for values, field in zip(cells.values(), list(self._schema)[own:], strict=True)
        ]
        batch = pa.RecordBatch.from_arrays([*window.batch.columns, *new], schema=self._schema)
        self._writer.write_batch(batch, row_group_size=ROW_GROUP)

    def close(self) -> None:
        """The file's end, without which it can't be read."""
        self._writer.close()
