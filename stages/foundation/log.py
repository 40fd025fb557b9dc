"""What a stage says while it runs: lines, how far long work is, and numbers by which a run is followed."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from shutil import get_terminal_size
from typing import Self

from tqdm import tqdm

from stages.foundation.files import write_json

LINE_SECONDS = 30.0  # between two lines of one piece of work in a log; what ends before says nothing
BAR_SECONDS = 1.0  # before a bar appears on a terminal

_followed: ContextVar[Path | None] = ContextVar("followed", default=None)


def say(line: str) -> None:
    """Print one line at once, also through DVC's pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Progress:
    """How far a piece of work is: a bar where stderr is a terminal, else a plain line every `LINE_SECONDS`."""

    def __init__(self, what: str, total: int, *, unit: str, done: int = 0) -> None:
        """Begin.

        Args:
            what: Names the work.
            total: How much there is.
            unit: Of what, in the plural.
            done: How much of it was done before.
        """
        self._what, self._total, self._unit, self._before = what, total, unit, done
        self._started = self._told = time.monotonic()
        columns, lines = get_terminal_size()  # 80 and 24 where it tells none, with which tqdm would show nothing
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=what,
            unit=f" {unit}",
            leave=False,
            delay=BAR_SECONDS,
            disable=None,
            ncols=columns,
            nrows=lines,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, done: int, note: str = "") -> None:
        """Tell how much is done by now, and what else there is to know of it."""
        if not self._bar.disable:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if now - self._told >= LINE_SECONDS:
            self._told = now
            left = (now - self._started) / max(1, done - self._before) * (self._total - done)
            told = ", ".join(part for part in (note, f"about {duration(left)} left") if part)
            say(f"  {self._what}: {done:,} of {self._total:,} {self._unit}, {told}")


@contextmanager
def followed(path: Path | None) -> Iterator[None]:
    """While the block runs, `tell` writes to this file, if any; then it is gone."""
    token = _followed.set(path)
    try:
        yield
    finally:
        _followed.reset(token)
        if path is not None:
            with suppress(OSError):  # the work is done, and worth more than a tidy folder
                path.unlink(missing_ok=True)


def tell(numbers: Mapping[str, float]) -> None:
    """Rewrite the file by which this run is followed; nothing where `followed` has named none."""
    if (path := _followed.get()) is None:
        return
    try:
        write_json(path, numbers)
    except OSError as error:  # no reason to lose the work
        say(f"{path} cannot be written, so this run cannot be followed by it: {error.strerror or error}")
        _followed.set(None)


def duration(seconds: float) -> str:
    """For people: `8 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
