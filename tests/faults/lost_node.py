"""A study on two Ray nodes, one of which is killed half-way and replaced, beside the same study made here.

    python -m tests.faults.lost_node [--sizes 100,200] [--seeds 1,2] [--methods tfidf,head,lora]

Real nodes of Ray on this machine, SIGKILL to one and to all that it has started, as when a machine loses its power.
What must come out: the table of the study made here, bit for bit; every cell once; and no cell begun twice but those of
the killed node. Needs `pip install ray`.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from tests.faults.project import call, environment, git, make_project
from tests.pages.workspace import REPOSITORY

SETTINGS = {
    "dataset": "reviews",
    "model": "minilm",
    "train.max_steps": 40,
    "train.checkpoint_seconds": 1,
    "study.protocol": "seed",
}
EXPERIMENTS = "refs/exps/??/*/*"
AT_WORK = "dvc exp run"  # in the command of an experiment's process
LIMIT_SECONDS = 1200
NO_RESULTS = ("seconds", "per_second", "peak", "output_bytes", "resumed", "commit")  # in names of columns


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of the study whose node was killed."""

    cells: int
    lost: list[str]  # of the study here, and not of the other
    twice: list[str]  # that stand in the repository under two names
    began: dict[str, int]  # how often each cell was begun
    differences: list[str]  # columns of the table, and predictions, that are not the same bits
    on_killed_node: int  # cells that were begun there and not finished

    @property
    def complaints(self) -> list[str]:
        """Why it was not as it must be."""
        again = {name: number for name, number in self.began.items() if number > 1}
        found = [f"lost: {name}" for name in self.lost] + [f"twice in the repository: {name}" for name in self.twice]
        if sum(again.values()) - len(again) > self.on_killed_node:
            found.append(f"begun again, and not for the killed node: {again}")
        return found + [f"differs: {name}" for name in self.differences]


class Cluster:
    """Nodes of Ray that are programs on this machine; the head computes nothing."""

    def __init__(self, folder: Path) -> None:
        import ray.cluster_utils

        os.environ |= environment(folder) | {"RAY_USAGE_STATS_ENABLED": "0"}
        self._cluster = ray.cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self.address = str(self._cluster.address)
        self.logs = Path(self._cluster.head_node.get_session_dir_path()) / "logs"

    def add(self) -> int:
        """A node with one core; returns its process."""
        node = self._cluster.add_node(num_cpus=1)
        return int(node.all_processes["raylet"][0].process.pid)

    def stop(self) -> None:
        """End them all."""
        self._cluster.shutdown()


def below(pid: int) -> dict[psutil.Process, str]:
    """A node's process and all that it has started, with the command of each that still lives."""
    node, found = psutil.Process(pid), {}
    for process in [node, *node.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            found[process] = " ".join(process.cmdline())
    return found


def cells_at_work(pid: int) -> int:
    """How many a node makes at this moment."""
    return sum(AT_WORK in command for command in below(pid).values())


def kill_node(pid: int) -> int:
    """SIGKILL to a node and all below it; returns how many cells were at work there."""
    found = below(pid)
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    return sum(AT_WORK in command for command in found.values())


def experiments(folder: Path) -> list[str]:
    """Names of all that the repository has."""
    refs = git(folder, "for-each-ref", "--format=%(refname)", EXPERIMENTS).split()
    return sorted(ref.rsplit("/", 1)[1] for ref in refs)


def prepare(folder: Path, options: dict[str, list[Any]]) -> None:
    """A repository with the project, its params and its data, with everything committed and nothing run."""
    make_project(folder, **SETTINGS | options)
    shutil.copytree(REPOSITORY / "data/sources/reviews", folder / "data/sources/reviews")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "reviews")


def run_with_a_killed_node(folder: Path, num_cells: int) -> tuple[Path, int]:
    """Make the study on two nodes, kill one when half of the cells are back, add another; where Ray's logs are."""
    cluster = Cluster(folder)
    victim, _ = cluster.add(), cluster.add()
    words = ["-m", "stages.study", "run", "--on", "ray", "--address", cluster.address, "--cpus", "1"]
    study = subprocess.Popen([sys.executable, *words], cwd=folder, env=environment(folder))
    deadline, at_work = time.monotonic() + LIMIT_SECONDS, 0
    try:
        while len(experiments(folder)) < num_cells // 2 and study.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        while not at_work and study.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
            at_work = kill_node(victim) if cells_at_work(victim) else 0
        say(f"killed a node with {at_work} cells at work, {len(experiments(folder))} of {num_cells} being back")
        cluster.add()
        status = study.wait(LIMIT_SECONDS)
    finally:
        study.kill()
        cluster.stop()
    if status:
        raise RuntimeError(f"the study ended with {status} in {folder}")
    return cluster.logs, at_work


def began(logs: Path) -> dict[str, int]:
    """How often workers said that they make a cell, by its name."""
    lines = [line for log in logs.glob("worker-*.out") for line in log.read_text(errors="replace").splitlines()]
    names = [line.removeprefix("makes ") for line in lines if line.startswith("makes ")]
    return {name: names.count(name) for name in names}


def differences(here: Path, there: Path) -> list[str]:
    """Of two recorded studies: columns that are not equal though they hold no seconds, and predictions."""
    tables = [pd.read_csv(folder / "metrics/study/reviews.csv", dtype=str).set_index("key") for folder in (here, there)]
    if sorted(tables[0].index) != sorted(tables[1].index):
        return ["cells"]
    first, second = (table.sort_index() for table in tables)
    kept = [name for name in first if not any(word in name for word in NO_RESULTS)]
    found = [name for name in kept if not first[name].equals(second[name])]
    frames = [pd.read_parquet(folder / "metrics/study/reviews.parquet") for folder in (here, there)]
    return found + [name for name in frames[0] if not frames[0][name].equals(frames[1][name])]


def lose_a_node(root: Path, options: dict[str, list[Any]]) -> Outcome:
    """Both studies, and how they compare."""
    here, there = root / "here", root / "there"
    for folder in (here, there):
        prepare(folder, options)
    number = 1
    for several in ("study.sizes", "study.seeds", "study.methods"):
        number *= len(options[several])
    logs, at_work = run_with_a_killed_node(there, number)
    call(here, "python", "-m", "stages.study", "run", "--jobs", "2")  # each with one thread, as there
    names = experiments(here)
    for folder in (here, there):
        call(folder, "python", "-m", "stages.study", "report")
    made = experiments(there)
    return Outcome(
        cells=len(names),
        lost=[name for name in names if name not in made],
        twice=[name for name in made if name not in names or made.count(name) > 1],
        began=began(logs),
        differences=differences(here, there),
        on_killed_node=at_work,
    )


def say(line: str) -> None:
    """At once, also into a log."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run both and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.lost_node", description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="100,200", help="training rows")
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--methods", default="tfidf,head,lora")
    asked = parser.parse_args()
    options: dict[str, list[Any]] = {
        "study.sizes": [int(size) for size in asked.sizes.split(",")],
        "study.seeds": [int(seed) for seed in asked.seeds.split(",")],
        "study.methods": asked.methods.split(","),
    }
    with tempfile.TemporaryDirectory(prefix="lost-node-") as root:
        found = lose_a_node(Path(root), options)
    again = sum(found.began.values()) - len(found.began)
    say(f"{found.cells} cells, {len(found.lost)} lost, {again} begun again ({found.on_killed_node} were at work)")
    say("the tables are the same bit for bit" if not found.differences else "")
    sys.exit("\n".join(found.complaints))


if __name__ == "__main__":
    main()
