"""The programs that make cells: start them, wait for them, and take them along when the study ends early."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

PATIENCE = 8.0  # seconds for all to end after each signal; batch systems give some 30 in all before they kill
# A terminal's first, so that DVC cleans up behind itself; then less kindly.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class Experiments:
    """Programs that run, each leading a process group of its own: what reaches it reaches the stage that it waits for.

    So a study that a batch system ends, or whose terminal is gone, leaves no training behind. The price: only what is
    passed on here reaches the experiments, and a terminal's pause (Ctrl-Z) does not.
    """

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        self._lock = Lock()

    def run(self, words: Sequence[str], *, root: Path, environment: Mapping[str, str], log: Path) -> int | None:
        """Run a program to its end and return its exit status; None if the study stopped before it began.

        Raises:
            OSError: If it can't be started or the log can't be written.
        """
        with self._lock:
            if self._stopped:
                return None
            with log.open("wb") as stream:
                program = subprocess.Popen(
                    words,
                    cwd=root,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    start_new_session=True,
                )
            self._running.add(program)
        try:
            return program.wait()
        finally:
            with self._lock:
                self._running.discard(program)

    def stop(self) -> None:
        """End all that run, start no other. Being interrupted meanwhile, or again, ends them less kindly."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for kind in SIGNALS:
            with suppress(KeyboardInterrupt):
                _signal(running, kind)
                _wait(running, PATIENCE)


def _signal(programs: Iterable[subprocess.Popen[bytes]], kind: signal.Signals) -> None:
    for program in programs:
        with suppress(ProcessLookupError):  # all of its group have ended
            os.killpg(program.pid, kind)


def _wait(programs: Iterable[subprocess.Popen[bytes]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for program in programs:
        with suppress(subprocess.TimeoutExpired):
            program.wait(max(0.0, deadline - time.monotonic()))
