"""What checkpoints cost: the share of a training's time that goes into writing them.

    python -m tests.benchmark.checkpoints [--rows 4000] [--every 2] [--methods lora,full,head]

The times of the writings themselves are added up, since the difference of two trainings is lost in their noise; then
the share at the interval of params.yaml follows, as the rule of stages/engine/training/checkpoint.py spaces them.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from stages.engine.training.checkpoint import LARGEST_SHARE, Checkpoints
from stages.foundation.log import say
from stages.foundation.params import read_params
from stages.methods import METHODS, TrainView, build
from tests.benchmark.engine import silence
from tests.engine.conftest import opinions

VALIDATION_ROWS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointCost:
    """Of one training."""

    method: str
    train_seconds: float
    write_seconds: list[float]  # of each checkpoint, the finished training's included
    look_seconds: float  # all looks at the clock that found none due, together
    mebibytes: float  # of the largest

    def share(self, every: float) -> float:
        """Fraction of the time that writing takes, one every so many seconds or as the rule stretches it."""
        longest = max(self.write_seconds)
        between = max(every, LARGEST_SHARE * longest)
        return longest / (between + longest) + self.look_seconds / self.train_seconds


def measure(view: TrainView, num_rows: int, every: float) -> CheckpointCost:
    """Train once, with a checkpoint every so many seconds."""
    params = replace(view.train, checkpoint_seconds=every, epochs=1, max_steps=None)
    writes: list[float] = []
    looks, sizes = [0.0], [0]
    write, offer = Checkpoints._write, Checkpoints.offer

    def timed_write(self, folder, state):
        started = time.perf_counter()
        written = write(self, folder, state)
        writes.append(time.perf_counter() - started)
        sizes.append(max(file.stat().st_size for file in folder.iterdir()))
        return written

    def timed_offer(self, state):
        started, before = time.perf_counter(), len(writes)
        offer(self, state)
        looks[0] += (time.perf_counter() - started) * (len(writes) == before)

    with (
        TemporaryDirectory(dir=Path.cwd()) as scratch,  # the disk of the repository, where they will lie
        patch.object(Checkpoints, "_write", timed_write),
        patch.object(Checkpoints, "offer", timed_offer),
        silence(),
    ):
        train, validation = opinions(num_rows), opinions(VALIDATION_ROWS, seed=1)
        classifier = build(replace(view, train=params), train.label_names)
        result = classifier.fit(train, validation, params, seed=view.seed, checkpoints=Path(scratch))
    return CheckpointCost(
        method=view.method,
        train_seconds=result.train_seconds,
        write_seconds=writes,
        look_seconds=looks[0],
        mebibytes=max(sizes) / 2**20,
    )


def line(cost: CheckpointCost, every: float) -> str:
    """For people."""
    return (
        f"{cost.method}: {cost.train_seconds:.1f} s, {len(cost.write_seconds)} checkpoints of up to "
        f"{cost.mebibytes:.1f} MiB, the slowest took {1000 * max(cost.write_seconds):.0f} ms; "
        f"{cost.share(every):.2%} of the time at one every {every:g} s"
    )


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(
        "python -m tests.benchmark.checkpoints", description="Say which share of a training goes into checkpoints."
    )
    parser.add_argument("--rows", type=int, default=4000, help="training rows, synthetic (4000)")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between checkpoints while measuring (2)")
    parser.add_argument("--methods", default="lora,full,head", help="which trainings (%(default)s)")
    asked = parser.parse_args(words)
    known = [name for name, method in METHODS.items() if method.by_steps]
    if unknown := [name for name in asked.methods.split(",") if name not in known]:
        parser.error(f"{unknown[0]!r} is none of {', '.join(known)}, which keep checkpoints")
    view = read_params("train", TrainView)
    for method in asked.methods.split(","):
        cost = measure(replace(view, method=method), asked.rows, asked.every)
        say(line(cost, view.train.checkpoint_seconds))


if __name__ == "__main__":
    main()
