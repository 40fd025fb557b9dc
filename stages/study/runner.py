"""Make the missing cells, each as a named DVC experiment on a copy of the workspace, here or wherever workers are."""

import os
import re
import sys
import time
from collections.abc import Container, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Timer
from typing import Protocol

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.log import duration, say
from stages.foundation.workspace import is_shallow
from stages.methods import METHODS
from stages.methods.method import Computation
from stages.study.cells import Cell
from stages.study.processes import Processes
from stages.study.repository import git

LOGS = Path(".dvc/tmp/study")
REPORTED = ("plots/study*", "metrics/study")  # what `report` writes
STAGES = ("check", "prepare", "subsample", "train", "evaluate", "report")
KILLED = "exited with -9"  # of its stage, which can't say why itself
LOST = "failed to transfer"  # DVC says so on a full disk, and still ends with 0
PLAIN, NO_TEXT = re.compile(r"[A-Za-z./][\w./@-]*"), ("true", "false", "null", "nan", "inf")
ANEW = ("--force", "--set-param", "train.checkpoint_seconds=0")  # past DVC's cache and past a kept result


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """How making one cell ended."""

    cell: Cell
    seconds: float  # wall time
    complaint: str  # empty: it is finished
    outcome: str  # what evaluate said of it


def require_committed(root: Path) -> None:
    """Refuse to start from a workspace that no commit tells: an experiment records the whole tree.

    What the report writes does not count, for no stage reads it; a new file of code does, for the copy has it not.

    Raises:
        StudyError: If tracked files differ from the last commit, code is not tracked, or the clone is shallow.
    """
    changed = git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *(f":!{path}" for path in REPORTED))
    new = git(root, "ls-files", "--others", "--exclude-standard", "--", "stages")
    if changed:
        raise StudyError(
            f"the workspace differs from the last commit ({changed.splitlines()[0].strip()}); keep that with "
            "`git commit -am 'An experiment'`, or take back what an experiment wrote with "
            "`git checkout HEAD -- params.yaml dvc.lock metrics plots && dvc checkout`"
        )
    if new:
        raise StudyError(
            f"{new.splitlines()[0]} is code that Git does not track, so the copy would not have it; `git add` and "
            "commit it, or move it out of stages/"
        )
    if is_shallow(root):
        raise StudyError(
            "this repository is a shallow clone, in which DVC records no experiment: `git fetch --unshallow`, "
            "then give the same command again"
        )


class Workers(Protocol):
    """Where cells are made. What a cell is, its command and what becomes of it are the same everywhere."""

    jobs: int  # experiments at a time

    def make(
        self, root: Path, cells: Mapping[Cell, Computation], seconds: Mapping[Cell, float]
    ) -> Generator[Made, None, None]:
        """Make the cells and give each as it ends; closed early, it stops those that run.

        Args:
            root: The repository.
            cells: What is missing, and what each is to be computed with.
            seconds: How long each is expected to take, where that is known.
        """


class LocalWorkers:
    """This machine: so many experiments at a time, each with its share of the processor's cores."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def make(
        self,
        root: Path,
        cells: Mapping[Cell, Computation],
        seconds: Mapping[Cell, float],  # noqa: ARG002  # all that wait do so in one queue
    ) -> Generator[Made, None, None]:
        """As `Workers` says."""
        (root / LOGS).mkdir(parents=True, exist_ok=True)
        processes, environment = Processes(), _environment(self.jobs)
        pool = ThreadPoolExecutor(self.jobs)
        try:
            waiting = [pool.submit(_make, root, cell, chosen, processes, environment) for cell, chosen in cells.items()]
            for future in as_completed(waiting):
                yield future.result()
        finally:  # whatever ended the wait: nothing runs on without its study
            processes.stop()
            pool.shutdown(cancel_futures=True)


def make_cells(
    root: Path, cells: Mapping[Cell, Computation], workers: Workers, *, seconds: Mapping[Cell, float]
) -> list[Made]:
    """Make the cells and tell of each in a line; one that fails is named and stops no other.

    Args:
        root: The repository.
        cells: What is missing, and what each is to be computed with: chosen once, so that one study has one format.
        workers: Where they are made.
        seconds: How long each is expected to take, where that is known.

    Returns:
        Those that failed.

    Raises:
        KeyboardInterrupt: If it was interrupted; then the running experiments are stopped, and lost.
    """
    failed: list[Made] = []
    progress = _Progress(list(cells), seconds, workers.jobs)
    with closing(workers.make(root, cells, seconds)) as every:
        for made in every:
            progress.tell(made)
            if made.complaint:
                failed.append(made)
    return failed


def make_cell(root: Path, cell: Cell, chosen: Computation, *, seconds: float) -> Made | None:
    """Make one cell; None if so many seconds were not enough: a training then leaves a checkpoint to go on from.

    Raises:
        KeyboardInterrupt: If it was interrupted; then the experiment is stopped, and lost.
    """
    (root / LOGS).mkdir(parents=True, exist_ok=True)
    processes, deadline = Processes(), time.monotonic() + seconds
    limit = Timer(seconds, processes.stop)
    limit.start()
    try:
        made = _make(root, cell, chosen, processes, _environment(1))
    finally:
        limit.cancel()
        processes.stop()
    return None if made.complaint and time.monotonic() >= deadline else made


def command(
    cell: Cell, chosen: Computation, *, copied: Sequence[str], taken: Container[str] = (), prefix: str = ""
) -> list[str]:
    """The command that makes a cell; a person may type the same.

    Args:
        cell: What to make.
        chosen: What to compute it with.
        copied: Paths that the copy of the workspace must have beside what Git tracks.
        taken: Names of experiments of the same commit, which DVC would refuse; a number sets the new one apart.
        prefix: Of the experiment's name.
    """
    first = f"{prefix}{cell.name}"
    numbered = (f"{first}-{number}" for number in count(2))
    name = first if first not in taken else next(name for name in numbered if name not in taken)
    words = ["dvc", "exp", "run", "--temp", "--name", name]
    for path in copied:
        words += ["--copy-paths", path]
    if chosen.weights:  # DVC knows a model's folder by its path alone, and would take what older weights gave
        words.append("--force")
    settings = {} if METHODS[cell.method].computation else chosen.overrides()
    for key, value in (cell.overrides() | settings).items():
        words += ["--set-param", f"{key}={_quoted(value)}"]
    return words


def _quoted(value: object) -> str:
    """A value as DVC is given it: in marks where it would take text for something else, such as `2024` or `null`."""
    text = str(value)
    if not isinstance(value, str) or (PLAIN.fullmatch(text) and text.lower() not in NO_TEXT):
        return text
    escaped = text.replace("'", r"\'")
    return f"'{escaped}'"


def run_once(root: Path, cell: Cell, chosen: Computation, *, prefix: str, threads: int) -> str:
    """Run a cell anew, whatever the cache holds, and return the experiment's name.

    Raises:
        StudyError: If it does not end well.
    """
    (root / LOGS).mkdir(parents=True, exist_ok=True)
    words = command(cell, chosen, copied=untracked_source(root, cell.dataset), taken=names_taken(root), prefix=prefix)
    environment = _environment(1) | {"OMP_NUM_THREADS": str(threads)}
    name = words[words.index("--name") + 1]
    log, processes = root / LOGS / f"{name}.log", Processes()
    try:
        status = processes.run([*words, *ANEW], root=root, environment=environment, log=log)
    finally:
        processes.stop()
    if status != 0:
        raise StudyError(f"{name} failed: {_complaint(log.read_text(errors='replace'), log.relative_to(root))}")
    return name


def untracked_source(root: Path, dataset: str) -> list[str]:
    """The data set's folder where neither Git nor DVC tracks it: the copy would not have it."""
    folder = f"{paths.SOURCES}/{dataset}"
    tracked = git(root, "ls-files", folder).strip() or (root / f"{folder}.dvc").exists()
    return [] if tracked else [folder]


def names_taken(root: Path) -> set[str]:
    """Names of the experiments that start from the current commit."""
    head = git(root, "rev-parse", "HEAD").strip()
    refs = f"refs/exps/{head[:2]}/{head[2:]}/"
    return {ref.removeprefix(refs) for ref in git(root, "for-each-ref", "--format=%(refname)", refs).split()}


def _make(root: Path, cell: Cell, chosen: Computation, processes: Processes, environment: Mapping[str, str]) -> Made:
    log, started = root / LOGS / f"{cell.name}.log", time.monotonic()
    try:
        words = command(cell, chosen, copied=untracked_source(root, cell.dataset), taken=names_taken(root))
        complaint, outcome = run_experiment(words, processes, root=root, environment=environment, log=log)
    except (StudyError, OSError) as error:  # of one cell: the others go on
        complaint, outcome = " ".join(str(error).split()), ""
    return Made(cell=cell, seconds=time.monotonic() - started, complaint=complaint, outcome=outcome)


def run_experiment(
    words: Sequence[str], processes: Processes, *, root: Path, environment: Mapping[str, str], log: Path
) -> tuple[str, str]:
    """Run the command of an experiment to its end.

    Returns:
        What went wrong, empty if nothing; and what evaluate said of it.

    Raises:
        OSError: If it can't be started or the log can't be written.
    """
    status = processes.run(words, root=root, environment=environment, log=log)
    text = log.read_text(encoding="utf-8", errors="replace")
    complaint = _complaint(text, LOGS / log.name) if status != 0 or LOST in text else ""
    return complaint, next((line for line in text.splitlines() if line.startswith("test accuracy")), "")


def _complaint(text: str, log: Path) -> str:
    """The stage's own line if it said one, else DVC's last, and where the rest stands."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = [line for line in lines if line.split(":")[0] in STAGES]
    said = own or [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    last = said[-1] if said else "it said nothing"
    if KILLED in last:
        last += ": the system ended it, most often for want of memory; fewer --jobs, or a lower train.batch_size"
    return f"{last} (log: {log})"


def _environment(jobs: int) -> dict[str, str]:
    """As many threads as each job has cores, unless something else is set."""
    threads = {} if jobs == 1 else {"OMP_NUM_THREADS": str(share_of_cores(jobs))}
    return threads | own_programs_first()


def share_of_cores(jobs: int) -> int:
    """Cores of this machine for each of so many experiments at a time."""
    return max(1, (os.cpu_count() or 1) // jobs)


def own_programs_first() -> dict[str, str]:
    """The environment in which this Python's own `dvc` and `python` are found first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return dict(os.environ) | {"PATH": path}


class _Progress:
    """One line for each cell, and the time left."""

    def __init__(self, cells: Sequence[Cell], seconds: Mapping[Cell, float], jobs: int) -> None:
        self._total, self._number, self._jobs = len(cells), 0, jobs
        self._ahead = {cell: seconds.get(cell) for cell in cells}
        self._taken = self._expected = 0.0

    def tell(self, made: Made) -> None:
        self._number += 1
        expected = self._ahead.pop(made.cell)
        if expected is not None and not made.complaint:
            self._taken, self._expected = self._taken + made.seconds, self._expected + expected
        outcome = f"failed: {made.complaint}" if made.complaint else made.outcome
        say(f"[{self._number}/{self._total}] {made.cell.name}: {outcome}; {duration(made.seconds)}{self._left()}")

    def _left(self) -> str:
        known = [seconds for seconds in self._ahead.values() if seconds is not None]
        if not self._ahead:
            return ""
        if len(known) < len(self._ahead):
            return f", {len(self._ahead)} to go"
        pace = self._taken / self._expected if self._expected else 1.0
        return f", about {duration(pace * sum(known) / self._jobs)} left"
