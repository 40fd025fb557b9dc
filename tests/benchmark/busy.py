"""Training beside other work: how much speed stays on a busy machine, and what that costs on an idle one.

    python -m tests.benchmark.busy [--repeats 3] [--steps 60]

One other process that computes without end takes part of a core. Each way to wait trains minilm, in a process of its
own, in turns, first on the idle machine and then beside that process.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import sleep

from stages.foundation.files import write_json, write_text
from stages.foundation.log import say
from tests.benchmark.machine import Machine, describe_machine, headline
from tests.benchmark.models import model_folder
from tests.benchmark.phrases import write_source
from tests.benchmark.task import Task, read_rows, read_settings
from tests.benchmark.worker import in_child

POLITE = "as `train` runs"  # the way that stages/engine/threads.py waits
WAYS: dict[str, dict[str, str]] = {  # what the environment says
    POLITE: {},
    "PyTorch's own way": {},
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
MODEL, WARM_UP_STEPS = "minilm", 3
HOG = "while True: pass"
Rates = Mapping[str, list[float]]  # samples/s of each way, one for each repeat


def train(task: Task, num_rows: int, polite: bool) -> float:  # noqa: FBT001 - a process is given values alone
    """Samples per second of one way, after a warm-up; in the child."""
    from stages.engine.threads import polite_threads
    from tests.benchmark.engine import Engine

    with polite_threads() if polite else nullcontext():
        engine = Engine(task, path="packed")
        engine.train(WARM_UP_STEPS * task.params.batch_size, seed=0)
        return num_rows / engine.train(num_rows, seed=1)


def measure(task: Task, *, repeats: int, steps: int) -> Rates:
    """Every way in turns, another beginning in each repeat."""
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    names = list(WAYS)
    for repeat in range(repeats):
        for at in range(len(names)):
            way = names[(at + repeat) % len(names)]
            with environment(WAYS[way]):
                rates[way].append(in_child(train, task, steps * task.params.batch_size, way == POLITE))
    return rates


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Variables for the child: OpenMP reads them once, as it is loaded."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def other_work() -> Iterator[None]:
    """One process that computes without end."""
    hog = subprocess.Popen([sys.executable, "-c", HOG])
    try:
        sleep(0.5)
        yield
    finally:
        hog.kill()
        hog.wait()


def page(machine: Machine, idle: Rates, busy: Rates) -> str:
    """A Markdown page."""
    own = median(idle["PyTorch's own way"])
    lines = [
        "# Training beside other work",
        "",
        headline(machine),
        "",
        f"`python -m tests.benchmark.busy`: {MODEL}, LoRA, samples/s, median [range], and as a share of PyTorch's own "
        "way on the idle machine. Busy: beside one other process that computes without end.",
        "",
        "| how threads wait for each other | idle | share | busy | share |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for way in WAYS:
        cells = [cell for rates in (idle[way], busy[way]) for cell in (spread(rates), f"{median(rates) / own:.0%}")]
        lines.append(f"| {' | '.join([way, *cells]).replace('%', ' %')} |")
    return "\n".join(lines) + "\n"


def spread(rates: list[float]) -> str:
    """Median and range of the repeats."""
    return f"{median(rates):.0f} [{min(rates):.0f}, {max(rates):.0f}]"


def main(arguments: list[str]) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser("python -m tests.benchmark.busy", description="Train beside other work.")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each way, idle and busy")
    parser.add_argument("--steps", type=int, default=60, help="optimizer steps in a turn")
    parser.add_argument("--out", type=Path, default=Path("metrics/busy"), help="written as .md and as .json")
    args = parser.parse_args(arguments)
    params = read_settings()
    with TemporaryDirectory() as scratch:
        write_source(Path(scratch) / "rows", args.steps * params.batch_size)
        rows = read_rows(Path(scratch) / "rows/train.tsv", args.steps * params.batch_size)
        task = Task(folder=model_folder(MODEL, params, Path(scratch)), params=params, rows=rows)
        idle = measure(task, repeats=args.repeats, steps=args.steps)
        with other_work():
            busy = measure(task, repeats=args.repeats, steps=args.steps)
    machine = in_child(describe_machine)
    told = page(machine, idle, busy)
    say(told)
    write_text(args.out.with_suffix(".md"), told)
    write_json(args.out.with_suffix(".json"), {"idle": dict(idle), "busy": dict(busy)})


if __name__ == "__main__":
    main(sys.argv[1:])
