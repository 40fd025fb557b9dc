"""Where a fault is made: a project just before it, commands given in it, and what becomes of their messages."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.project import (
    OUTPUTS,
    call,
    digests_of_files,
    digests_of_lock,
    environment,
    make_project,
    steps_file,
)

LIMIT_SECONDS = 900  # for one command, on a busy machine, too
TRIES = 4  # of the same command after a fault, with no other change
DISK = "900m"  # of a project on a disk of its own; a training wants 500 MiB to be free
TRACEBACK = "Traceback (most recent call last)"
FINISHED, FRESH = "finished", "prepare"  # projects to begin from, beside those that are just before a stage


class LostWork(Exception):  # noqa: N818 - what a try ends with, no fault of the program
    """What the same command does not bring back."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault."""

    name: str
    happen: Callable[["Scene"], None]  # makes it, and does what its message says
    begins: str = FINISHED  # just before this stage, or when all is done
    compared: tuple[str, ...] = tuple(OUTPUTS)  # the stages whose outputs must be those of an undisturbed run
    params: Mapping[str, object] = field(default_factory=lambda: {"method": "tfidf"})
    hindrance: Callable[[], str] = str  # why it can't be made on this machine; empty: it can
    disk: bool = False  # the project lies on a small disk of its own


@dataclass(kw_only=True)
class Outcome:
    """What became of the tries of one kind."""

    tries: int = 0
    lost: list[str] = field(default_factory=list)  # what is gone or other than it should be, a line each
    unclear: list[str] = field(default_factory=list)  # messages
    hindrance: str = ""


class Ground:
    """Makes the projects that faults begin from, each once, and what undisturbed runs make of them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def project(self, fault: Fault) -> Path:
        """To be copied and left as it is."""
        name = _named(fault.params)
        if not (self._root / f"{name}-{FINISHED}").exists():
            self._make_all(name, fault.params)
        return self._root / f"{name}-{fault.begins}"

    def _make_all(self, name: str, params: Mapping[str, object]) -> None:
        """One project, run stage by stage, and a copy of it from before each."""
        project = self._root / name
        make_project(project, **params)
        for stage in OUTPUTS:
            shutil.copytree(project, self._root / f"{name}-{stage}", symlinks=True)
            call(project, "dvc", "repro", stage)
            shutil.rmtree(project / ".checkpoints", ignore_errors=True)
        project.rename(self._root / f"{name}-{FINISHED}")

    def undisturbed(self, fault: Fault) -> Path:
        """The same project when all is done."""
        return self.project(replace(fault, begins=FINISHED))


def _named(params: Mapping[str, object]) -> str:
    return "-".join(re.sub(r"\W+", "", str(value)) for value in params.values())


def digests(folder: Path, stages: tuple[str, ...]) -> dict[str, str]:
    """SHA-256 of each output of these stages; a file that is not there has none."""
    found: dict[str, str] = {}
    for stage in stages:
        try:
            found |= digests_of_files(folder, stage)
        except FileNotFoundError as error:
            found[str(Path(str(error.filename)).relative_to(folder))] = "missing"
    return found


class Scene:
    """One try: a project of its own."""

    def __init__(self, folder: Path, undisturbed: Path, fault: Fault, chance: random.Random) -> None:
        self.folder, self.chance = folder, chance
        self.expected = digests(undisturbed, fault.compared)  # of outputs
        self.lock = digests_of_lock((undisturbed / "dvc.lock").read_text())
        self.unclear: list[str] = []
        self.complaints: list[str] = []  # all that was said by commands that did not end well
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str, **variables: str) -> "Running":
        """Give a command, and go on meanwhile."""
        log = self.folder.with_name(f"{self.folder.name}-{len(self._running)}.log")
        with log.open("wb") as stream:
            process = subprocess.Popen(
                words,
                cwd=self.folder,
                env=environment(self.folder) | variables,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self._running.append(process)
        return Running(process, log)

    def give(self, *words: str, tells: str = "", **variables: str) -> bool:
        """Give a command; True if it ends well.

        Args:
            words: The command.
            tells: Regular expression that a message must match which comes with another end; it says what to do.
            variables: Of its environment, beside the usual ones.
        """
        running = self.start(*words, **variables)
        return self.judge(running, tells)

    def judge(self, running: "Running", tells: str) -> bool:
        """Wait for the end of a command, and look at what it says if that is no good one."""
        status, text = running.end()
        is_well = status == 0 and "failed to transfer" not in text  # of DVC, which ends with 0
        if not is_well:
            self.complaints.append(text)
        if not is_well and (TRACEBACK in text or not re.search(tells or "(?!)", text)):
            self.unclear.append(f"{' '.join(running.process.args[:5])}: {_tail(text)}")  # type: ignore[index]
        return is_well

    def again(self, *words: str, **variables: str) -> None:
        """Give the same command until it ends well.

        Raises:
            LostWork: If it does not.
        """
        for _ in range(TRIES):
            running = self.start(*words, **variables)
            status, text = running.end()
            if status == 0 and "failed to transfer" not in text:
                return
        raise LostWork(f"{' '.join(words)} does not end well any more: {_tail(text)}")

    def forget_outputs(self) -> None:
        """Leave DVC nothing but its cache to restore them from."""
        for names in OUTPUTS.values():
            for path in (self.folder / name for name in names if name.startswith("data/")):
                self.remove(path)

    @staticmethod
    def remove(path: Path) -> None:
        """A file or a folder, if it is there."""
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def objects(self) -> list[Path]:
        """Those of DVC's cache."""
        return sorted(file for file in (self.folder / ".dvc/cache/files/md5").glob("*/*") if file.is_file())

    def stop(self) -> None:
        """End what still runs."""
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@dataclass(frozen=True)
class Running:
    """A command that was given."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, words: str) -> bool:
        """Until it says these; False if it ends without."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            has_ended = self.process.poll() is not None
            if words in self.text():
                return True
            if has_ended:
                return False
            time.sleep(0.01)
        return False

    def text(self) -> str:
        """What it has said."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def end(self) -> tuple[int, str]:
        """Its exit status, and all that it said.

        Raises:
            LostWork: If it never ends.
        """
        try:
            status = self.process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise LostWork(f"{self.process.args} did not end: {_tail(self.text())}") from None
        return status, self.text()


def _tail(text: str) -> str:
    return " / ".join(line.strip() for line in text.strip().splitlines()[-4:])[-600:]


def damage(file: Path, chance: random.Random) -> None:
    """Turn one bit; neither size nor time nor rights tell, as when a disk fails."""
    before, content = file.stat(), bytearray(file.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.chmod(0o600)
    file.write_bytes(content)
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def no_mounts() -> str:
    """Why no disk can be mounted; empty if one can."""
    folder = Path("/proc/self/mounts")
    if os.geteuid() != 0 or not folder.exists() or shutil.which("mount") is None:
        return "not possible here: mounting takes Linux and root"
    with TemporaryDirectory() as probe:
        done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", probe], capture_output=True, text=True, check=False)
        if done.returncode:
            return f"not possible here: {' '.join(done.stderr.split())}"
        subprocess.run(["umount", probe], check=True)
    return ""


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk in memory, mounted there."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize_disk(folder: Path, size: str) -> None:
    """Give the disk that is mounted there so many bytes."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def bytes_used(folder: Path) -> int:
    """Of the disk that is mounted there."""
    return shutil.disk_usage(folder).used


def play(fault: Fault, tries: int, root: Path, ground: Ground, seed: int) -> Outcome:
    """Make a fault so many times, each in a project of its own."""
    outcome = Outcome(hindrance=fault.hindrance())
    if outcome.hindrance:
        return outcome
    before, undisturbed = ground.project(fault), ground.undisturbed(fault)
    for number in range(tries):
        folder = root / f"{fault.name.replace(' ', '-')}-{number}"
        with small_disk(folder) if fault.disk else nullcontext():
            shutil.copytree(before, folder, symlinks=True, dirs_exist_ok=True)
            scene = Scene(folder, undisturbed, fault, random.Random(f"{seed} {fault.name} {number}"))
            outcome.tries += 1
            try:
                fault.happen(scene)
                if complaint := _difference(scene.expected, digests(folder, fault.compared)):
                    raise LostWork(complaint)
            except LostWork as loss:
                outcome.lost.append(f"{fault.name}, try {number}: {loss}")
            finally:
                scene.stop()
            outcome.unclear += [f"{fault.name}, try {number}: {message}" for message in scene.unclear]
        if not outcome.lost and not fault.disk:
            shutil.rmtree(folder)
            steps_file(folder).unlink(missing_ok=True)
    return outcome


def _difference(expected: dict[str, str], found: dict[str, str]) -> str:
    differing = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    return f"other results: {', '.join(differing)}" if differing else ""
