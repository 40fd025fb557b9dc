"""One process at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from stages.foundation.errors import StudyError


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file while the block runs; the system lets go of it however the process ends.

    A killed `dvc` leaves its stage running: without a lock the next one would write the same files beside it.

    Args:
        path: The lock file; it holds the number of the process, and stays.
        what: Names the work, for the complaint.

    Raises:
        StudyError: If another process holds it.
        OSError: If there can be no such file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise StudyError(
            f"{what} already runs (process {_holder(path)}); wait for its end or stop it, then give the same command"
        ) from None
    try:
        with suppress(OSError):  # of a full disk: the lock holds without the number, too
            path.write_text(str(os.getpid()), encoding="ascii")
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii", errors="replace") or "unknown"
    return "unknown"
