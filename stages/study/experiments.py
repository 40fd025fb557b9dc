"""The programs that make cells: start them, wait for them, and take them along when the study is told to stop."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

PATIENCE = 10.0  # seconds for DVC to clean up behind itself, before it is asked less kindly


class Experiments:
    """Programs that run, each leading a process group of its own: what reaches it reaches the stage that it waits for.

    Without that, a study that is stopped by anything but a terminal would leave its trainings behind.
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
        with log.open("wb") as stream:
            with self._lock:
                if self._stopped:
                    return None
                program = subprocess.Popen(
                    words, cwd=root, env=environment, stdout=stream, stderr=stream, start_new_session=True
                )
                self._running.add(program)
            try:
                return program.wait()
            finally:
                with self._lock:
                    self._running.discard(program)

    def stop(self) -> None:
        """Interrupt all that run, as a terminal would, and start no other; those that do not end are terminated."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for kind in (signal.SIGINT, signal.SIGTERM):
            for program in running:
                if program.poll() is None:
                    with suppress(ProcessLookupError):  # it ended meanwhile
                        os.killpg(program.pid, kind)
            for program in running:
                with suppress(subprocess.TimeoutExpired):
                    program.wait(PATIENCE)
