"""One process at a time, and none that outlives the one it works for."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from stages.foundation.errors import StudyError
from stages.foundation.log import say

PR_SET_PDEATHSIG = 1  # of Linux' sys/prctl.h
_SYSTEM = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: no time for it between fork and exec


def end_with_parent(kind: signal.Signals = signal.SIGTERM) -> None:
    """Have Linux end this process by a signal once the thread that started it is gone; elsewhere nothing is done.

    A killed `dvc` would leave its stage running, and the same command, given again, would find it in the way.
    """
    if _SYSTEM is not None:
        parent = os.getppid()
        _SYSTEM.prctl(PR_SET_PDEATHSIG, kind)
        if os.getppid() != parent:  # it went before it was asked for
            os.kill(os.getpid(), kind)


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file while the block runs; the system lets go of it however the process ends.

    Where a killed `dvc` leaves its stage running, the next one would write the same files beside it.

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
    with _held(lock, path):
        yield


@contextmanager
def in_turn(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file while the block runs, as `alone` does, but wait for another process that holds it, and say so.

    Args:
        path: The lock file.
        what: Names the work, for the line that says what is waited for.

    Raises:
        OSError: If there can be no such file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"waiting for process {_holder(path)}: {what}")
        lock.acquire()
    with _held(lock, path):
        yield


@contextmanager
def _held(lock: BaseFileLock, path: Path) -> Iterator[None]:
    """Name the process in the file, and let go of it in the end."""
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
