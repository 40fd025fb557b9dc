"""Training throughput: this engine, its plain reference, Hugging Face's Trainer and the seed study's loop.

    python -m tests.benchmark.throughput --rows ~/SST-2/train.tsv

Every contestant has a process of its own. They take turns, only one computes at a time, and each turn is repeated
after a warm-up, so that what else the machine does meets all of them alike. A time excludes imports, loading and
tokenising. `OMP_NUM_THREADS` sets the threads of all.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import write_json, write_text
from stages.foundation.log import say
from tests.benchmark.contestants import CONTESTANTS
from tests.benchmark.machine import describe_machine, product_rates
from tests.benchmark.models import BERT_BASE, PUBLISHED, model_folder
from tests.benchmark.table import Measurement, Result, page, plain
from tests.benchmark.task import Task, mean_tokens, read_rows, read_settings, read_shape
from tests.benchmark.worker import Worker, in_child

MODELS_HELP = f"{', '.join(PUBLISHED)}, or as `model` in params.yaml"


@dataclass(frozen=True, slots=True)
class Turns:
    """A contestant at work, and what it has done so far."""

    worker: Worker
    train_rates: list[float] = field(default_factory=list)  # samples/s
    predict_rates: list[float] = field(default_factory=list)  # rows/s

    def train(self, num_rows: int, seed: int) -> None:
        self.train_rates.append(num_rows / self.worker.ask("train", num_rows=num_rows, seed=seed))
        say(f"  {self.worker.name}: {self.train_rates[-1]:.2f} samples/s")

    def predict(self, num_rows: int) -> None:
        self.predict_rates.append(num_rows / self.worker.ask("predict", num_rows=num_rows))
        say(f"  {self.worker.name}: {self.predict_rates[-1]:.2f} rows/s predicted")

    def measurement(self) -> Measurement:
        return Measurement(
            contestant=self.worker.name,
            precision=self.worker.precision,
            train_rates=self.train_rates,
            predict_rates=self.predict_rates,
            peak_memory_mib=self.worker.ask("peak_memory_mib"),
        )


def compare(model: str, task: Task, contestants: Sequence[str], args: argparse.Namespace) -> Result:
    """All contestants on one model."""
    num_rows = args.steps * task.params.batch_size
    shape, tokens = read_shape(task.folder), mean_tokens(task, num_rows)
    measured = {name: time_once(name, task, args) for name in contestants if CONTESTANTS[name].is_timed_once}
    rates: dict[str, float] = {}
    with ExitStack() as stack:
        names = [name for name in contestants if name not in measured]
        turns = [Turns(stack.enter_context(Worker(name, task))) for name in names]
        warm_up(turns, args.warm_up_steps * task.params.batch_size)
        for repeat in range(args.repeats):
            say(f"{model}, repeat {repeat + 1} of {args.repeats}")
            rates = faster(rates, in_child(product_rates, shape, round(tokens * task.params.batch_size)))
            take_turns(turns, num_rows, repeat)
        measured |= {one.worker.name: one.measurement() for one in turns}
    return Result(
        model=model,
        encoder_parameters=shape.parameters,
        mean_tokens=tokens,
        product_rates=rates,
        measurements=[measured[name] for name in contestants],
    )


def time_once(name: str, task: Task, args: argparse.Namespace) -> Measurement:
    """A contestant so slow that a few cold steps must do; nobody waits for it with memory taken."""
    task = replace(task, params=replace(task.params, batch_size=args.seed_batch))
    with Worker(name, task) as worker:
        turns = Turns(worker)
        turns.train(args.seed_steps * args.seed_batch, 0)
        return turns.measurement()


def warm_up(turns: list[Turns], num_rows: int) -> None:
    """Untimed: the first steps take memory and choose kernels."""
    for one in turns:
        one.worker.ask("train", num_rows=num_rows, seed=0)
        if CONTESTANTS[one.worker.name].predicts:
            one.worker.ask("predict", num_rows=num_rows)


def take_turns(turns: list[Turns], num_rows: int, repeat: int) -> None:
    """Each trains on the same rows, then predicts them; another begins in each repeat."""
    first = repeat % max(len(turns), 1)
    for one in turns[first:] + turns[:first]:
        one.train(num_rows, seed=repeat)
        if CONTESTANTS[one.worker.name].predicts:
            one.predict(num_rows)


def faster(rates: dict[str, float], again: dict[str, float]) -> dict[str, float]:
    """Matrix-product rates of two measurements: of the whole run the best counts."""
    return {name: max(rate, rates.get(name, 0.0)) for name, rate in again.items()}


def settings(args: argparse.Namespace, batch_size: int) -> list[str]:
    """What was done, in words for the page."""
    lines = [
        f"Rows: {args.rows}. {args.steps} steps of {batch_size} rows, after {args.warm_up_steps} to warm up; "
        f"{args.repeats} repeats in turn. Prediction is of the same rows, 128 at a time.",
        "The share is that of the matrix-product rate, in the contestant's own number format, which does needed work: "
        "4 operations per weight and token, padding not counted.",
    ]
    if "seed" in args.contestants:
        lines.append(
            f"The seed loop is too slow for that: {args.seed_steps} cold step(s) of {args.seed_batch} rows, once. "
            "Its memory grows with the rows of a step."
        )
    return lines


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; every default stands here."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.throughput",
        description="Compare training throughput.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--models", nargs="+", default=[BERT_BASE, "minilm"], help=MODELS_HELP)
    add(
        "--contestants",
        nargs="+",
        default=list(CONTESTANTS),
        choices=CONTESTANTS,
        metavar="NAME",
        help=", ".join(CONTESTANTS),
    )
    add("--repeats", type=int, default=5, help="turns of each contestant")
    add("--steps", type=int, default=20, help="optimizer steps in a turn")
    add("--warm-up-steps", type=int, default=3, help="untimed steps before the first turn")
    add("--seed-steps", type=int, default=1, help="steps of the seed loop, which has one turn and no warm-up")
    add(
        "--seed-batch",
        type=int,
        default=8,
        help="rows of such a step; 32 take four times the memory, some 25 GB for BERT-base",
    )
    add(
        "--precision", choices=("auto", "fp32", "bf16"), help="of this engine's own contestants, else as in params.yaml"
    )
    add("--rows", type=Path, default=paths.SUBSET, help="table with the columns sentence and label")
    add("--out", type=Path, default=Path("metrics/throughput"), help="written as .md and as .json")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measure, print, write."""
    args = parse(arguments)
    params = read_settings()
    params = replace(params, precision=args.precision or params.precision)
    most_steps = max(args.steps, args.warm_up_steps)
    rows = read_rows(args.rows, max(most_steps * params.batch_size, args.seed_steps * args.seed_batch))
    with TemporaryDirectory() as scratch:
        folders = {model: model_folder(model, params, Path(scratch)) for model in args.models}
        results = [
            compare(model, Task(folder=folder, params=params, rows=rows), args.contestants, args)
            for model, folder in folders.items()
        ]
    machine, said = in_child(describe_machine), settings(args, params.batch_size)
    say(page(machine, said, results))
    write_text(args.out.with_suffix(".md"), page(machine, said, results))
    write_json(args.out.with_suffix(".json"), plain(machine, said, results))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except StudyError as error:
        sys.exit(str(error))
