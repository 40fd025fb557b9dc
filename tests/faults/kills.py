"""Kill trainings, stages, DVC and the study at random moments, give the same command again, compare what comes out.

    python -m tests.faults.kills --kills 100 [--seed 0] [--kinds train-lora,dvc-repro] [--warm]

Real signals to real processes, most of them SIGKILL. After each kill the same command is given again, with no cleaning
by hand, until it ends well; where the killed program left another one running behind it, as DVC does, the command is
repeated while that one lasts. What comes out must be, byte for byte, what an undisturbed run makes. After the design of
UKGovernmentBEIS/inspect_ai, tests/checkpoint/resume_kill_harness.py.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.faults.project import (
    OUTPUTS,
    STEPS,
    call,
    digests_of_files,
    digests_of_lock,
    environment,
    git,
    make_project,
    steps_done,
    steps_file,
)
from tests.faults.warm import WarmProcess

SIGNALS = [signal.SIGKILL] * 5 + [signal.SIGTERM, signal.SIGINT]
KILLS_IN_A_ROW = (1, 3)  # of one training, at least and at most
LIMIT_SECONDS = 300  # for one command, and for all that is repeated while an orphan lasts
EXPERIMENTS = "refs/exps/??/*/*"  # beside them lie references of DVC's own
TRIES = 60  # of one command
IN_TRAINING = 0.7  # share of the kills that come at a random optimizer step; the others at any time
WENT_ON = ("goes on at", "nothing is trained")  # what a training says that takes up another one


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is killed, and how."""

    name: str
    command: tuple[str, ...]
    stage: str = ""  # of a stage run by hand: the one whose outputs are compared
    method: str = "lora"
    engine: str = "auto"
    everything: bool = False  # kill all that the command has started, or itself alone

    @property
    def trains(self) -> bool:
        """Whether optimizer steps are done."""
        return self.stage in ("", "train")


def _stage(stage: str, name: str = "", **how: str) -> Kind:
    return Kind(name=name or stage, command=("python", "-m", f"stages.{stage}"), stage=stage, **how)


KINDS = [
    _stage("train", "train-lora"),
    _stage("train", "train-plain", engine="plain"),
    _stage("train", "train-full", method="full"),
    _stage("train", "train-head", method="head"),
    _stage("prepare"),
    _stage("subsample"),
    _stage("evaluate"),
    _stage("report"),
    Kind(name="dvc-repro", command=("dvc", "repro")),
    Kind(name="dvc-repro-all", command=("dvc", "repro"), everything=True),
    Kind(name="dvc-exp-temp", command=("dvc", "exp", "run", "--temp")),
    Kind(name="dvc-exp-temp-all", command=("dvc", "exp", "run", "--temp"), everything=True),
    Kind(name="dvc-exp", command=("dvc", "exp", "run")),
    Kind(name="study-run", command=("python", "-m", "stages.study", "run")),
    Kind(name="study-run-all", command=("python", "-m", "stages.study", "run"), everything=True),
]


@dataclass(kw_only=True)
class Outcome:
    """What became of the kills of one kind."""

    kills: int = 0
    resumed: int = 0  # of them: the next training took the work up
    lost: list[str] = field(default_factory=list)
    steps: int = 0  # optimizer steps that were done
    needed: int = 0  # that an undisturbed run does


class Range:
    """Where projects are made, run undisturbed, copied and shot at."""

    def __init__(self, root: Path, seed: int, *, warm: bool, signals: Sequence[signal.Signals] = SIGNALS) -> None:
        self._root, self._random, self._warm, self._signals = root, random.Random(seed), warm, signals
        self._number = 0
        self._seconds: dict[str, float] = {}  # an undisturbed run of each kind takes

    def shoot(self, kind: Kind, kills: int, outcome: Outcome) -> None:
        """One run of a kind with so many kills, from a fresh project to the comparison."""
        pristine, expected = self._undisturbed(kind)
        self._number += 1
        folder = self._root / f"{kind.name}-{self._number}"
        _copy(pristine, folder)
        target = Target(folder, kind, warm=self._warm)
        killed = 0
        for _ in range(kills):
            target.start()
            moment = self._wait_for_moment(kind, target)
            number = self._random.choice(self._signals)
            if not target.kill(number):
                break
            say(f"  {kind.name}: {number.name} {moment}")
            killed += 1
        outcome.kills += killed
        complaint = target.finish()
        outcome.resumed += min(target.resumed, killed)
        complaint = complaint or _difference(expected, _digests(folder, kind))
        if complaint:
            outcome.lost.append(f"{folder}: {complaint}")
        else:
            shutil.rmtree(folder)
        if kind.trains and not complaint:
            outcome.steps += steps_done(folder)
            outcome.needed += STEPS

    def _wait_for_moment(self, kind: Kind, target: "Target") -> str:
        if kind.trains and self._random.random() < IN_TRAINING:
            step = self._random.randrange(max(1, STEPS - target.steps))
            target.wait_for_step(step)
            time.sleep(self._random.random() * 0.02)
            return f"at step {step:,} of this run"
        seconds = self._random.random() * self._seconds[kind.name]
        target.wait(seconds)
        return f"after {seconds:.1f} s"

    def _undisturbed(self, kind: Kind) -> tuple[Path, dict[str, str]]:
        """A project just before the command, and what the command makes of it."""
        name = f"{kind.method}-{kind.engine}-{kind.stage or 'all'}"
        before, done = self._root / f"{name}-before", self._root / f"{name}-done"
        if not done.exists():
            make_project(before, **{"method": kind.method, "train.engine": kind.engine})
            stages = list(OUTPUTS)
            for stage in stages[: stages.index(kind.stage)] if kind.stage else []:
                call(before, "python", "-m", f"stages.{stage}")
            _forget(before)
            _copy(before, done)
            started = time.monotonic()
            if kind.stage:
                _end(Target(done, kind, warm=self._warm))
            else:
                call(done, "dvc", "repro")
            self._seconds[name] = time.monotonic() - started
        self._seconds[kind.name] = self._seconds[name]
        return before, _digests(done, kind, done / "dvc.lock")


def _end(target: "Target") -> None:
    if complaint := target.finish():
        raise RuntimeError(f"undisturbed, {complaint}")


def _forget(folder: Path) -> None:
    """What earlier stages have left of trainings."""
    shutil.rmtree(folder / ".checkpoints", ignore_errors=True)
    steps_file(folder).unlink(missing_ok=True)


class Target:
    """A command that is started again and again in one project."""

    def __init__(self, folder: Path, kind: Kind, *, warm: bool) -> None:
        self._folder, self._kind, self._warm = folder, kind, warm and kind.stage
        self._log = folder.with_name(folder.name + ".log")
        self._process: subprocess.Popen[bytes] | WarmProcess | None = None
        self._steps_before = 0
        self.resumed = 0

    def start(self) -> None:
        """Give the command."""
        self._steps_before = steps_done(self._folder)
        if self._warm:
            self._process = WarmProcess(self._kind.stage, self._folder, self._log)
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._kind.command,
                cwd=self._folder,
                env=environment(self._folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, seconds: float) -> int | None:
        """Its exit status, if it ended in time."""
        try:
            return self._running.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def wait_for_step(self, number: int) -> None:
        """Until this run has done so many steps, or ended."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while steps_done(self._folder) < self._steps_before + number and time.monotonic() < deadline:
            if self.wait(0.005) is not None:
                return

    def kill(self, number: signal.Signals) -> bool:
        """Send a signal; False if the command had ended well before, so that there is nothing left to kill."""
        if self._running.poll() == 0:
            return False
        for process in self._living() if self._kind.everything else [psutil.Process(self._running.pid)]:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue
        if self.wait(LIMIT_SECONDS) is None:
            raise RuntimeError(f"{self._kind.name} outlived {number.name} in {self._folder}")
        return True

    def finish(self) -> str:
        """Give the command until it ends well, which it may not while an orphan runs.

        Returns what is wrong if it never does.
        """
        deadline = time.monotonic() + LIMIT_SECONDS
        status: int | None = None
        for _ in range(TRIES):
            self.start()
            status = self.wait(LIMIT_SECONDS)
            if status == 0 or time.monotonic() > deadline:
                break
            time.sleep(1)
        self._wait_for_orphans()
        self.resumed = sum(self._log.read_text(errors="replace").count(words) for words in WENT_ON)
        for log in self._folder.glob(".dvc/tmp/study/*.log"):
            self.resumed += sum(log.read_text(errors="replace").count(words) for words in WENT_ON)
        return "" if status == 0 else f"the command never ended well, the last status is {status}"

    @property
    def steps(self) -> int:
        """Optimizer steps so far, those done again included."""
        return steps_done(self._folder)

    @property
    def _running(self) -> "subprocess.Popen[bytes] | WarmProcess":
        assert self._process is not None
        return self._process

    def _living(self) -> list[psutil.Process]:
        """All that works in this project, orphans included."""
        found = []
        for process in psutil.process_iter():
            try:
                if Path(process.cwd()).is_relative_to(self._folder):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def _wait_for_orphans(self) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        while self._living() and time.monotonic() < deadline:
            time.sleep(0.2)


def _digests(folder: Path, kind: Kind, lock: Path | None = None) -> dict[str, str]:
    """Of all that the command made: files, or what DVC recorded, in this dvc.lock or in those of all experiments."""
    if kind.stage:
        return digests_of_files(folder, kind.stage)
    if lock is not None:
        return digests_of_lock(lock.read_text())
    commits = git(folder, "for-each-ref", "--format=%(objectname)", EXPERIMENTS).split()
    texts = [git(folder, "show", f"{commit}:dvc.lock") for commit in dict.fromkeys(commits)]
    if kind.command == ("dvc", "repro"):
        texts = [(folder / "dvc.lock").read_text()]
    locks = [digests_of_lock(text) for text in texts]
    return next((lock for lock in locks if lock != locks[0]), locks[0]) if locks else {}


def _difference(expected: dict[str, str], found: dict[str, str]) -> str:
    differing = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    return f"other results: {', '.join(differing)}" if differing else ""


def _copy(source: Path, to: Path) -> None:
    shutil.copytree(source, to, symlinks=True)


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def shoot_all(kinds: Sequence[Kind], kills: int, root: Path, seed: int, *, warm: bool = False) -> dict[str, Outcome]:
    """Kill in turns until there are so many kills; `warm` stages start from a process that has imported torch."""
    outcomes = {kind.name: Outcome() for kind in kinds}
    place, chance = Range(root, seed, warm=warm), random.Random(seed)
    while (left := kills - sum(outcome.kills for outcome in outcomes.values())) > 0:
        kind = min(kinds, key=lambda kind: outcomes[kind.name].kills)
        place.shoot(kind, min(left, chance.randint(*KILLS_IN_A_ROW)), outcomes[kind.name])
    return outcomes


def table(outcomes: dict[str, Outcome]) -> str:
    """Kills, what became of them, and the work that was done twice."""
    lines = [
        "| kind | kills | resumed | restarted | lost | steps done again |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, one in outcomes.items():
        again = f"{one.steps / one.needed - 1:.0%}" if one.needed else "-"
        restarted = max(0, one.kills - one.resumed)
        lines.append(f"| {name} | {one.kills} | {one.resumed} | {restarted} | {len(one.lost)} | {again} |")
    return "\n".join(lines)


def main() -> None:
    """Shoot, and tell."""
    parser = argparse.ArgumentParser(
        "python -m tests.faults.kills",
        description="Kill a command at random moments, give it again, and compare what comes out with an undisturbed "
        "run. Works in a temporary folder.",
    )
    parser.add_argument("--kills", type=int, default=100, help="in all (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and signals (0)")
    parser.add_argument("--warm", action="store_true", help="start stages from a process that has torch imported")
    parser.add_argument(
        "--kinds", default=",".join(kind.name for kind in KINDS), help="which commands; all: %(default)s"
    )
    asked = parser.parse_args()
    by_name = {kind.name: kind for kind in KINDS}
    if unknown := [name for name in asked.kinds.split(",") if name not in by_name]:
        parser.error(f"{unknown[0]!r} is none of the kinds {', '.join(by_name)}")
    kinds = [by_name[name] for name in asked.kinds.split(",")]
    root = Path(tempfile.mkdtemp(prefix="kills-"))
    say(f"seed {asked.seed}, in {root}")
    outcomes = shoot_all(kinds, asked.kills, root, asked.seed, warm=asked.warm)
    say(table(outcomes))
    lost = [words for outcome in outcomes.values() for words in outcome.lost]
    say("\n".join(lost) or "nothing was lost")
    if lost:
        sys.exit(1)
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
