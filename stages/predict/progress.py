"""How far a prediction is: a bar on a terminal, a line now and then anywhere else; on stderr, beside the results."""

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from stages.predict.tables import Table

LINE_SECONDS = 30.0  # between two lines where there is no terminal
BAR_SECONDS = 1.0  # a bar that would be gone sooner is not shown


class Progress:
    """Counts rows while they are predicted."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.rows = 0
        self._started = self._told = time.monotonic()
        self._is_bytes = table.unit == "B"
        self._bar = tqdm(
            total=table.total,
            unit=table.unit,
            unit_scale=self._is_bytes,
            delay=BAR_SECONDS,
            leave=False,
            disable=not sys.stderr.isatty(),
            file=sys.stderr,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._bar.close()

    @property
    def rate(self) -> float:
        """Rows per second so far."""
        return self.rows / max(time.monotonic() - self._started, 1e-9)

    def advance(self, rows: int, position: int) -> None:
        """So many rows more are written; the table is read up to there."""
        self.rows += rows
        if self._bar.disable:
            self._say(position)
            return
        self._bar.set_postfix_str(f"{self.rows:,} rows", refresh=False)
        self._bar.update(position - self._bar.n)

    def _say(self, position: int) -> None:
        now = time.monotonic()
        if now - self._told < LINE_SECONDS:
            return
        self._told = now
        share = f", {position / self._table.total:.0%}" if self._table.total else ""
        sys.stderr.write(f"{self.rows:,} rows{share}, {self.rate:,.0f} rows/s\n")
