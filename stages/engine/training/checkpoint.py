"""Checkpoints: a training that is killed goes on where it stood, to the last bit.

They lie in `.checkpoints/<fingerprint>/` of the repository itself, also for `dvc exp run --temp` and DVC's queue, whose
copies are deleted: DVC empties the outputs of a stage before it runs. One file each, safetensors, with its serial
number and its SHA-256 in its name. It is written beside its place, synced and then renamed, so that a file with a
checkpoint's name is whole unless the disk fails; the checksum tells.

What is kept, and how long:
- of a training that runs, the two newest. One is written when `train.checkpoint_seconds` have passed, and not before
  100 times the duration of the last writing, so that writing takes less than 1 % of the time, however large the model;
- of a training that ended, one with its result alone, so that giving the same command again costs nothing (DVC killed
  before it recorded the outputs, a full cache); those of the newest 3 trainings stay. It counts for the very code that
  made it: after an edit `dvc repro` trains anew, as everywhere in DVC;
- an unfinished training's for 30 days, and the newest 20 GiB of all together.
What these rules no longer keep is removed when the next training starts.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stages.engine.training.fingerprint import HALF, code_digest
from stages.engine.training.interrupts import Interrupts
from stages.engine.training.team import ALONE, Team
from stages.foundation.errors import StudyError
from stages.foundation.locks import alone
from stages.foundation.log import say
from stages.foundation.workers import WorkerLostError

SUFFIX, PARTIAL = ".safetensors", ".partial"
FINISHED = "finished"  # in the name of the one file of a training that ended
LOCK = "lock"
NAMED = 8  # digits of each half of a fingerprint, in the name of a training's folder
KEPT = 2  # of a running training
KEPT_FINISHED = 3  # trainings
KEPT_DAYS = 30
KEPT_BYTES = 20 * 2**30
LARGEST_SHARE = 100  # the inverse of the share of the time that writing may take
SECONDS_A_DAY = 24 * 60 * 60


class Savable(Protocol):
    """What can be kept between two steps."""

    @property
    def progress(self) -> str:
        """For people."""

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors and floats."""

    def facts(self) -> dict[str, Any]:
        """Its whole numbers and texts, as JSON can hold them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """One that was read."""

    path: Path
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]
    age: float  # seconds since it was written


class Damaged(Exception):  # noqa: N818 - not a fault of the user's, and told in a line
    """A checkpoint that is not what was written."""


def write_checkpoint(folder: Path, serial: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Write one; it is there as a whole or not at all.

    Raises:
        OSError: If the folder cannot be written, or is full.
    """
    kind = f"{FINISHED}-" if facts.get(FINISHED) else ""
    partial = folder / f"{serial:06d}{PARTIAL}"
    try:
        _save(partial, tensors, facts)
        with partial.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            os.fsync(stream.fileno())
        path = folder / f"{serial:06d}-{kind}{digest}{SUFFIX}"
        partial.replace(path)
        _sync_folder(folder)
    finally:
        partial.unlink(missing_ok=True)
    return path


def read_checkpoint(path: Path, fingerprint: str) -> Checkpoint:
    """Read what `write_checkpoint` wrote.

    Raises:
        Damaged: If it is cut short or altered, or belongs to another training.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != path.stem.rpartition("-")[2]:
            raise Damaged("its checksum is another one: it is cut short or altered")
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["facts"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise Damaged(" ".join(str(error).split())) from error
    if facts["fingerprint"] != fingerprint:
        raise Damaged("it belongs to another training")
    return Checkpoint(path=path, tensors=tensors, facts=facts, age=max(0.0, time.time() - path.stat().st_mtime))


class Checkpoints:
    """Those of one training, or of none: then nothing is kept, and a signal is obeyed where it comes."""

    def __init__(self, folder: Path | None, *, seconds: float, fingerprint: str, interrupts: Interrupts) -> None:
        self._folder, self._seconds, self._fingerprint = folder, seconds, fingerprint
        self._interrupts = interrupts
        self._serial = 0
        self._due = time.monotonic() + seconds
        self._complained = False
        self.resumed = 0  # how many times this training was taken up again
        self.found: Checkpoint | None = None  # what to go on from
        self.finished = False  # ended before: its result is there
        self.go_on_from(self._newest())

    def go_on_from(self, found: Checkpoint | None) -> None:
        """Have the training take this one up."""
        self.found, self.finished = found, found is not None and found.facts[FINISHED]

    def offer(self, state: Savable) -> None:
        """Keep the state if it is time to; if a signal asked to stop, keep it and leave.

        Raises:
            StudyError: If a signal asked to stop; says how the training can go on.
        """
        if self._interrupts.asked:
            self._leave(state, "interrupted")
        if self._folder is not None and time.monotonic() >= self._due:
            self._write(self._folder, state)

    def finish(self, state: Savable) -> None:
        """Keep the result, and nothing else."""
        if self._folder is not None:
            self._write(self._folder, state)

    @contextmanager
    def kept_if_lost(self, state: Savable) -> Iterator[None]:
        """For work that takes all workers: where one of them is gone, the state, which it leaves as it is, is kept.

        Raises:
            StudyError: As `offer`; says which worker, unless a signal asked to stop, which then was its end as well.
        """
        try:
            yield
        except WorkerLostError as lost:
            self._leave(state, "interrupted" if self._interrupts.asked else str(lost))

    @contextmanager
    def undisturbed(self, state: Savable) -> Iterator[None]:
        """For work that takes long and leaves the state as it is: a signal breaks it off at once.

        Raises:
            StudyError: As `offer`.
        """
        try:
            with self._interrupts.obeyed():
                yield
        except KeyboardInterrupt:
            self.offer(state)
            raise

    def _leave(self, state: Savable, why: str) -> NoReturn:
        written = self._folder is not None and self._write(self._folder, state)
        place = "there" if written else "the checkpoint before" if self._serial else "the start"
        raise StudyError(f"{why} at {state.progress}; the same command goes on from {place}")

    def _write(self, folder: Path, state: Savable) -> bool:
        """Whether it could be written; a training is not lost for want of a checkpoint."""
        started, written = time.monotonic(), False
        facts = {**state.facts(), "fingerprint": self._fingerprint, "code": code_digest(), "resumed": self.resumed}
        try:
            path = write_checkpoint(folder, self._serial + 1, state.tensors(), facts)
            self._serial, written = self._serial + 1, True
            kept = [path] if facts[FINISHED] else sorted(_files(folder))[-KEPT:]
            for file in _files(folder):
                if file not in kept:
                    file.unlink()
        except OSError as error:
            if not self._complained:
                _complain(error)
            self._complained = True
        took = time.monotonic() - started
        self._due = time.monotonic() + max(self._seconds, LARGEST_SHARE * took)
        return written

    def _newest(self) -> Checkpoint | None:
        """The newest that is whole; those that are not are named and removed."""
        if self._folder is None:
            return None
        for partial in self._folder.glob(f"*{PARTIAL}"):
            partial.unlink()
        for path in sorted(_files(self._folder), reverse=True):
            try:
                found = read_checkpoint(path, self._fingerprint)
            except Damaged as reason:
                say(f"{path} is not used: {reason}")
                path.unlink(missing_ok=True)
                continue
            if found.facts[FINISHED] and found.facts["code"] != code_digest():
                say("the kept result of this training is not used: the code has changed since")
                path.unlink()
                continue
            self._serial = int(path.name.partition("-")[0])
            self.resumed = found.facts["resumed"] + (not found.facts[FINISHED])
            return found
        return None


def told_age(seconds: float) -> str:
    """For people, e.g. `12 s`, `5 min`, `3 h`."""
    for unit, length in (("d", SECONDS_A_DAY), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


@contextmanager
def open_checkpoints(root: Path | None, seconds: float, fingerprint: str, team: Team = ALONE) -> Iterator[Checkpoints]:
    """Hold the checkpoints of one training, which no other process can hold meanwhile.

    Args:
        root: Folder of all trainings' checkpoints; None keeps none.
        seconds: Wall time between two; 0 keeps none.
        fingerprint: Of all that decides the training's numbers, SHA-256 in hexadecimal digits.
        team: Who trains; worker 0 alone writes, and all go on from what it found.

    Raises:
        StudyError: If the same training runs already, or the workers were given different ones.
    """
    interrupts = Interrupts()
    checkpoints = Checkpoints(None, seconds=seconds, fingerprint=fingerprint, interrupts=interrupts)
    with ExitStack() as held:
        if root is not None and seconds > 0 and team.number == 0:
            folder = root / f"{fingerprint[:NAMED]}{fingerprint[HALF : HALF + NAMED]}"
            try:
                held.enter_context(alone(folder / LOCK, "the same training"))
                remove_stale(root, keep=folder)
                checkpoints = Checkpoints(folder, seconds=seconds, fingerprint=fingerprint, interrupts=interrupts)
                if checkpoints.found is None:
                    _tell_of_others(folder)
            except OSError as error:
                _complain(error)
            held.enter_context(interrupts)
        _go_on_alike(checkpoints, fingerprint, team)
        yield checkpoints


def _go_on_alike(checkpoints: Checkpoints, fingerprint: str, team: Team) -> None:
    """Have all workers take up what worker 0 has found."""
    found = checkpoints.found
    theirs, _, path = team.told(f"{fingerprint} {'' if found is None else found.path}").partition(" ")
    if theirs != fingerprint:
        raise StudyError("params.yaml, the data or the code changed while the workers began, or their devices differ")
    if team.number and path:
        checkpoints.go_on_from(read_checkpoint(Path(path), fingerprint))


def _tell_of_others(folder: Path) -> None:
    """Say which checkpoints of the same training are of no use, since they were made by more or fewer."""
    for other in folder.parent.glob(f"{folder.name[:NAMED]}*"):
        if other != folder and any(f"-{FINISHED}-" not in file.name for file in _files(other)):
            say(f"begins anew: {other} is of this training with another number of processes or threads")


def remove_stale(root: Path, keep: Path) -> None:
    """Remove what the rules above no longer keep, and say so; never what a running training holds."""
    slots = [_Slot.of(folder) for folder in root.iterdir() if folder.is_dir() and folder != keep]
    others = [slot for slot in slots if slot is not None]
    others.sort(key=lambda slot: slot.written, reverse=True)
    ended = [slot for slot in others if slot.finished][KEPT_FINISHED:]
    for slot in ended:
        slot.remove("of a training that ended, and newer ones are kept")
    size = 0
    for slot in others:
        if slot in ended:
            continue
        size += slot.size
        if time.time() - slot.written > KEPT_DAYS * SECONDS_A_DAY:
            slot.remove(f"older than {KEPT_DAYS} days")
        elif size > KEPT_BYTES:
            slot.remove(f"all together take more than {KEPT_BYTES // 2**30} GiB")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Slot:
    """The checkpoints of another training."""

    folder: Path
    written: float  # seconds since 1970
    size: int  # bytes
    finished: bool

    @classmethod
    def of(cls, folder: Path) -> "_Slot | None":
        """None if another training, which starts at the same time, has just removed it or replaced a file of it."""
        try:
            files = _files(folder)
            stats = [file.stat() for file in files]
            written = max((stat.st_mtime for stat in stats), default=folder.stat().st_mtime)
        except FileNotFoundError:
            return None
        size, finished = sum(stat.st_size for stat in stats), any(f"-{FINISHED}-" in file.name for file in files)
        return cls(folder=folder, written=written, size=size, finished=finished)

    def remove(self, reason: str) -> None:
        try:
            with alone(self.folder / LOCK, "another training"):
                shutil.rmtree(self.folder)
        except (StudyError, FileNotFoundError):  # it runs, or another training removes it at this moment
            return
        except OSError as error:  # no reason to train without checkpoints
            say(f"{self.folder} could not be removed: {error.strerror or error}")
            return
        say(f"removed the checkpoint {self.folder}: {reason}")


def _complain(error: OSError) -> None:
    say(f"no checkpoint can be written, the training goes on without: {error.strerror or error}")


def _files(folder: Path) -> list[Path]:
    return list(folder.glob(f"*{SUFFIX}"))


def _save(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    metadata = {"facts": json.dumps(facts, allow_nan=False)}
    try:
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, path, metadata)
    except SafetensorError as error:  # of the disk: tensors of these kinds can always be written
        raise OSError(f"{error}") from error


def _sync_folder(folder: Path) -> None:
    """So that the new name outlives a loss of power, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
