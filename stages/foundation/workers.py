"""Several processes for one stage: the stage itself is worker 0 and starts the others, as the same program.

Worker 0 alone says, writes, keeps and obeys signals, as it would without the others. They hold nothing that could be
lost: they are told nothing and asked nothing, ignore what asks them to stop, and are gone with worker 0, however it
ends (on Linux the system sees to that; elsewhere they end when they next wait for it).

So no process more is needed to look after them, as `torchrun` has one, whose own complaint would stand above ours; and
a signal, a kill and a checkpoint are what they are without workers.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import NoReturn

import stages
from stages.foundation.errors import TRACEBACK, StudyError
from stages.foundation.locks import end_with_parent

NUMBER, PLACE = "STUDY_WORKER", "STUDY_WORKERS"  # environment variables of a worker: which it is, and where all meet
FOLLOWED = 77  # exit status of a worker that ended since another one had
LOOK_SECONDS = 0.05
TIDY_SECONDS = 5.0  # for a worker that is about to end as well
STUCK_SECONDS = 20.0  # that worker 0 may wait for one that is no more, before it is ended where it stands
AGAIN = "the same command goes on from the last checkpoint"


class WorkerLostError(StudyError):
    """A worker has ended before its time; says which, and how."""


def worker_number() -> int:
    """Which worker this process is; 0 for the stage itself, with others or without."""
    return int(os.environ.get(NUMBER, "0"))


class Workers:
    """The workers of one stage, as each of them sees them."""

    def __init__(self, *, number: int, count: int, place: Path) -> None:
        self.number, self.count, self.place = number, count, place
        self._others: dict[int, subprocess.Popen[bytes]] = {}
        self._noticed = Event()  # that one is lost, or that all is over
        self._meetings = 0

    @property
    def leads(self) -> bool:
        """Whether this is the stage itself."""
        return self.number == 0

    def start(self, program: str) -> None:
        """Have the others run `python -m program`: the code that this process runs, where it runs."""
        code = str(Path(stages.__file__).parents[1])
        found = os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH")]))
        for number in range(1, self.count):
            with self._words_of(number).open("wb") as words:
                self._others[number] = subprocess.Popen(
                    [sys.executable, "-m", program],
                    env=os.environ | {"PYTHONPATH": found, NUMBER: str(number), PLACE: str(self.place)},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=words,
                    preexec_fn=partial(_belong, os.getpid()),
                )
        Thread(target=self._watch, args=(program.rpartition(".")[2],), name="workers", daemon=True).start()

    def arrive(self) -> Path:
        """Wait for the others, before anything is done that takes all and that no signal breaks off.

        Returns:
            A file that is not there yet, by which they may find each other.

        Raises:
            WorkerLostError: If one has ended.
        """
        self._meetings += 1
        meeting = self.place / f"meeting-{self._meetings}"
        if not self.leads:
            meeting.with_suffix(f".{self.number}").touch()
        while self.leads and not all(meeting.with_suffix(f".{number}").exists() for number in self._others):
            if self._ended():
                raise self.lost("")
            time.sleep(LOOK_SECONDS)
        return meeting

    def lost(self, symptom: str) -> WorkerLostError:
        """What to raise where what takes all of them has failed; in a worker there is nothing more to do.

        Args:
            symptom: The complaint, told where none of them has ended.
        """
        if not self.leads:
            sys.exit(FOLLOWED)
        self._noticed.set()
        deadline = time.monotonic() + TIDY_SECONDS
        while not self._ended() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        time.sleep(LOOK_SECONDS)  # the first to be seen need not be the first that ended
        return WorkerLostError(self._told() or f"the workers lost each other ({' '.join(symptom.split())})")

    def finish(self) -> None:
        """Let the others end, which have done what this one has."""
        deadline = time.monotonic() + TIDY_SECONDS
        for process in self._others.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return

    def stop(self) -> None:
        """End them where they stand."""
        self._noticed.set()
        for process in self._others.values():
            process.kill()
            process.wait()

    def _watch(self, stage: str) -> None:
        """End worker 0 where it waits for ever, as it may for one that is gone from another CUDA device."""
        while not self._noticed.wait(LOOK_SECONDS):
            if self._ended() and not self._noticed.wait(STUCK_SECONDS):
                self._leave(f"{stage}: {self._told()}; {AGAIN}")

    def _leave(self, words: str) -> NoReturn:
        sys.stderr.write(words + "\n")
        sys.stderr.flush()
        for process in self._others.values():
            process.kill()
        os._exit(1)

    def _ended(self) -> dict[int, int]:
        """Exit status of each that has ended and was not asked to."""
        statuses = {number: process.poll() for number, process in self._others.items()}
        return {number: status for number, status in statuses.items() if status}

    def _told(self) -> str:
        """How the first of them ended: those that ended for another's sake come last."""
        for number, status in sorted(self._ended().items(), key=lambda ended: ended[1] == FOLLOWED):
            if status < 0:
                hint = " (out of memory?)" if status == -signal.SIGKILL else ""
                return f"worker {number} was ended by {signal.Signals(-status).name}{hint}"
            words = self._words_of(number).read_text(errors="replace").strip()
            if os.environ.get(TRACEBACK):
                sys.stderr.write(words + "\n")
            return f"worker {number} failed: {words.splitlines()[-1] if words else f'exit status {status}'}"
        return ""

    def _words_of(self, number: int) -> Path:
        return self.place / f"{number}.stderr"


@contextmanager
def with_workers(program: str, count: int) -> Iterator[Workers]:
    """While the block runs in this process, it runs in others as well, `count` in all; nothing is started for one.

    Args:
        program: The module whose `python -m` comes to the same block by itself.
        count: Processes in all, this one among them.
    """
    if number := worker_number():
        yield Workers(number=number, count=count, place=Path(os.environ[PLACE]))
        return
    if count == 1:
        yield Workers(number=0, count=1, place=Path())
        return
    with TemporaryDirectory(prefix="workers-") as place:
        workers = Workers(number=0, count=count, place=Path(place))
        try:
            workers.start(program)
            yield workers
            workers.finish()
        finally:
            workers.stop()


def _belong(parent: int) -> None:
    """In a worker before it is one: hear no request to stop, a terminal's Ctrl-C among them, and end with worker 0."""
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # it went before that
        os._exit(FOLLOWED)
