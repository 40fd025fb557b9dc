"""Cost against size: the stages prepare and subsample, and training per row.

    python -m tests.benchmark.growth --rows ~/SST-2/train.tsv

The stages run as DVC runs them, each a program of its own, in a temporary folder on synthetic phrases.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml, write_json, write_text
from stages.foundation.log import say
from tests.benchmark.machine import describe_machine, headline, mebibytes
from tests.benchmark.models import model_folder
from tests.benchmark.phrases import write_source
from tests.benchmark.task import Task, mean_tokens, read_rows, read_settings
from tests.benchmark.worker import Worker, in_child

REPOSITORY = Path(__file__).resolve().parents[2]
DATASET = "phrases"
STAGES = ("prepare", "subsample")
LIMIT_ROWS, LIMIT_SECONDS, LIMIT_MIB = 1_000_000, 60, 2048  # what is promised
WARM_UP_ROWS = 96


@dataclass(frozen=True, kw_only=True, slots=True)
class StageCost:
    """One run of one stage."""

    stage: str
    rows: int  # of the source
    wall_seconds: float
    peak_memory_mib: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainCost:
    """One epoch."""

    rows: int
    mean_tokens: float
    train_seconds: float
    peak_memory_mib: float

    @property
    def milliseconds_per_row(self) -> float:
        """Should not depend on the number of rows."""
        return 1000 * self.train_seconds / self.rows


def stage_costs(num_rows: int) -> list[StageCost]:
    """Run the stages on so many source rows; the subset is half of them."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_source(folder / paths.SOURCES / DATASET, num_rows)
        write_text(folder / paths.PIPELINE, paths.PIPELINE.read_text(encoding="utf-8"))
        params = read_yaml(paths.PARAMS) | {"dataset": DATASET, "samples": num_rows // 4 * 2}
        write_text(folder / paths.PARAMS, json.dumps(params))
        return [run_stage(stage, folder, num_rows) for stage in STAGES]


def run_stage(stage: str, folder: Path, num_rows: int) -> StageCost:
    """Seconds and peak memory of one program."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", f"stages.{stage}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)  # the usage of this child and of no other
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise StudyError(f"stage {stage} failed on {num_rows:,} rows")
    cost = StageCost(stage=stage, rows=num_rows, wall_seconds=seconds, peak_memory_mib=mebibytes(usage.ru_maxrss))
    say(f"{stage}, {num_rows:,} rows: {cost.wall_seconds:.1f} s, {cost.peak_memory_mib:,.0f} MiB")
    return cost


def train_cost(num_rows: int, args: argparse.Namespace) -> TrainCost:
    """One epoch of this engine in a process of its own, after a warm-up."""
    params = read_settings()
    with TemporaryDirectory() as scratch:
        folder = model_folder(args.model, params, Path(scratch))
        task = Task(folder=folder, params=params, rows=read_rows(args.rows, num_rows))
        with Worker("engine", task) as worker:
            worker.ask("train", num_rows=min(WARM_UP_ROWS, num_rows), seed=0)
            seconds = worker.ask("train", num_rows=num_rows, seed=0)
            peak = worker.ask("peak_memory_mib")
    cost = TrainCost(
        rows=num_rows, mean_tokens=mean_tokens(task, num_rows), train_seconds=seconds, peak_memory_mib=peak
    )
    say(f"training, {num_rows:,} rows: {seconds:.1f} s, {cost.milliseconds_per_row:.2f} ms a row")
    return cost


def page(intro: str, stages: list[StageCost], training: list[TrainCost]) -> str:
    """A Markdown page with a table for the stages and one for training, where there are any."""
    lines = ["# Cost against size", "", intro]
    if stages:
        lines += ["", "| source rows | stage | wall time | peak memory |", "| ---: | --- | ---: | ---: |"]
        lines += [
            f"| {one.rows:,} | {one.stage} | {one.wall_seconds:.1f} s | {one.peak_memory_mib:,.0f} MiB |"
            for one in stages
        ]
    if largest := [one for one in stages if one.rows == LIMIT_ROWS]:
        lines += ["", verdict(largest)]
    if training:
        lines += ["", "| training rows | tokens a row | one epoch | a row | peak memory |", "| ---: |" + " ---: |" * 4]
        lines += [
            f"| {one.rows:,} | {one.mean_tokens:.1f} | {one.train_seconds:.1f} s | {one.milliseconds_per_row:.2f} ms "
            f"| {one.peak_memory_mib:,.0f} MiB |"
            for one in training
        ]
    return "\n".join(lines) + "\n"


def verdict(largest: list[StageCost]) -> str:
    """Whether the promise for a million rows is kept, both stages together."""
    seconds, peak = sum(one.wall_seconds for one in largest), max(one.peak_memory_mib for one in largest)
    kept = seconds < LIMIT_SECONDS and peak < LIMIT_MIB
    return (
        f"{LIMIT_ROWS:,} rows: {seconds:.1f} s together, at most {peak:,.0f} MiB. Promised: under {LIMIT_SECONDS} s "
        f"and {LIMIT_MIB:,} MiB. {'Kept' if kept else 'NOT KEPT'}."
    )


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; every default stands here."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.growth",
        description="Measure cost against size.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="source rows of the stages")
    add("--train-sizes", type=int, nargs="*", default=[1_000, 8_000, 56_000], help="training rows")
    add("--model", default="minilm", help="bert-base, or as `model` in params.yaml")
    add("--rows", type=Path, default=paths.POOL, help="table with the columns sentence and label, to train on")
    add("--out", type=Path, default=Path("metrics/growth"), help="written as .md and as .json")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measure, print, write."""
    args = parse(arguments)
    stages = [cost for num_rows in args.sizes for cost in stage_costs(num_rows)]  # first, while this process is small
    training = [train_cost(num_rows, args) for num_rows in args.train_sizes]
    machine = in_child(describe_machine)
    said = page(f"{headline(machine)} Training: {args.model} on {args.rows}.", stages, training)
    say(said)
    write_text(args.out.with_suffix(".md"), said)
    costs = {"stages": [asdict(one) for one in stages], "training": [asdict(one) for one in training]}
    write_json(
        args.out.with_suffix(".json"),
        {"machine": asdict(machine), "model": args.model, "rows": str(args.rows), **costs},
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except StudyError as error:
        sys.exit(str(error))
