"""Programs that run for the study, and how they are ended."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from stages.foundation.locks import end_with_parent

PATIENCE = 8.0  # seconds for all to end after each signal; batch systems give some 30 in all before they kill
# A terminal's first, so that DVC cleans up behind itself; then less kindly.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


def end_as_by_a_terminal() -> None:
    """A batch system's signal and a terminal that is gone do what Ctrl-C does; what is to be ignored stays ignored."""
    for kind in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(kind) is not signal.SIG_IGN:
            signal.signal(kind, signal.default_int_handler)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started with `&`: experiments must hear it all the same
        signal.signal(signal.SIGINT, lambda *_: None)


class Processes:
    """Programs that run, each leading a process group of its own: what reaches it reaches the stage that it waits for.

    So a study that a batch system ends, or whose terminal is gone, or that is killed, leaves no training behind. The
    price: only what is passed on here reaches the experiments, and a terminal's pause (Ctrl-Z) does not.
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
                    preexec_fn=end_with_parent,
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
