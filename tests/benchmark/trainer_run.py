"""One training with transformers.Trainer from the command to the accuracy, as a script of a user of it would run.

    python -m tests.benchmark.trainer_run --folder MODEL --train train.parquet --test test.parquet

The last line that it prints is the accuracy on the test rows.
"""

import argparse
import sys
from pathlib import Path

from stages.foundation.log import say
from stages.foundation.split import read_split
from tests.benchmark.contestants import TRAINERS
from tests.benchmark.peers import HFTrainer
from tests.benchmark.task import Task, read_settings


def main(arguments: list[str]) -> None:
    """Train once, predict once."""
    parser = argparse.ArgumentParser("python -m tests.benchmark.trainer_run", description="Train once with Trainer.")
    parser.add_argument("--contestant", choices=TRAINERS, default="trainer-tuned")
    parser.add_argument("--folder", type=Path, required=True, help="of the base model")
    parser.add_argument("--train", type=Path, required=True, help="rows to train on, as stages write them")
    parser.add_argument("--test", type=Path, required=True, help="rows to predict")
    parser.add_argument("--epochs", type=int, default=1, help="passes over the rows")
    parser.add_argument("--seed", type=int, default=0, help="of head, adapter and batches")
    args = parser.parse_args(arguments)

    rows = read_split(args.train)
    task = Task(folder=args.folder, params=read_settings(), rows=rows)
    trainer = HFTrainer(task, **TRAINERS[args.contestant], epochs=args.epochs, seed=args.seed)
    trainer.train(len(rows), args.seed)
    say(str(trainer.accuracy(read_split(args.test))))


if __name__ == "__main__":
    main(sys.argv[1:])
