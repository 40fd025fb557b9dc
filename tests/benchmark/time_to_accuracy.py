"""Seconds from the command to an accuracy on GLUE dev, start-up and all: this pipeline beside Trainer tuned.

    python -m tests.benchmark.time_to_accuracy --rows ~/SST-2

Ours is `dvc exp run evaluate` in a clone of the last commit, with its stages subsample, train and evaluate; `prepare`,
which all experiments share, has run before. Trainer is a script that finds the same rows drawn already. Both read the
same labels and adapt the layers of the roles in params.yaml, for as many epochs as were fixed before, at the learning
rate of params.yaml falling to 0, and predict GLUE dev once, at the end. So the accuracy is where either ends after that
much training, and dev chooses nothing.

A run that is done is kept in the scratch folder, so the same command goes on after an interruption. Models that are not
asked for keep their lines of the page, if the same kind of machine measured them.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from stages.corpus.subsets import nested_subset
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_json, write_text
from stages.foundation.log import say
from stages.foundation.split import read_split, write_split
from tests.benchmark.contestants import CONTESTANTS, TRAINERS
from tests.benchmark.machine import Machine, describe_machine, headline
from tests.benchmark.task import read_settings
from tests.benchmark.worker import in_child

REPOSITORY = Path(__file__).resolve().parents[2]
TABLES = ("train.tsv", "dev.tsv")
DATASET = "rows"  # of the clone
FORGOTTEN = (paths.CHECKPOINTS, Path(".dvc/cache/runs"))  # where a run could find its own result
PIPELINE = "pipeline"
TITLES = {PIPELINE: "this pipeline, `dvc exp run`"} | {name: CONTESTANTS[name].title for name in TRAINERS}
BASELINE = "trainer-tuned"
COLUMNS = ["model", "labels", "epochs", "contestant", "seconds", "times Trainer tuned", "accuracy, %", "target reached"]
COLUMNS += ["commit"]
PREPARED = "prepared"  # a tag of the clone


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """An accuracy, and the training that is to reach it."""

    model: str  # as `model` in params.yaml
    samples: int  # labels
    epochs: int
    target: float  # accuracy on GLUE dev, a fraction


GOALS = {
    "mpnet": Goal(model="mpnet", samples=1000, epochs=3, target=0.90),
    "minilm": Goal(model="minilm", samples=16_000, epochs=3, target=0.85),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One training from the command to its end."""

    commit: str  # of the code
    contestant: str  # key in TITLES
    model: str
    samples: int
    epochs: int
    seed: int
    seconds: float  # wall time
    accuracy: float  # on GLUE dev, a fraction

    @property
    def what(self) -> tuple[object, ...]:
        """All that was fixed before."""
        return (self.commit, self.contestant, self.model, self.samples, self.epochs, self.seed)


class Bench:
    """A scratch folder: a clone where experiments run, the rows that Trainer is given, and what was measured."""

    def __init__(self, scratch: Path, tables: Path) -> None:
        self.commit = call(REPOSITORY, "git", "rev-parse", "--short=12", "HEAD").strip()
        self.clone = scratch.resolve() / self.commit
        self._kept = scratch.resolve() / "runs.json"
        if not self.clone.is_dir():
            prepare_clone(self.clone, tables)

    def runs(self) -> list[Run]:
        """What was measured so far, of this commit or others."""
        return [Run(**run) for run in read_json(self._kept)] if self._kept.is_file() else []

    def measure(self, contestant: str, goal: Goal, seed: int) -> Run:
        """One run, taken from what is kept if it was made before."""
        what = (self.commit, contestant, goal.model, goal.samples, goal.epochs, seed)
        for run in self.runs():
            if run.what == what:
                return run
        call(self.clone, "git", "checkout", "--quiet", "--force", "-B", "runs", PREPARED)  # whatever was broken off
        seconds, accuracy = (
            self._experiment(goal, seed) if contestant == PIPELINE else self._script(contestant, goal, seed)
        )
        run = Run(
            commit=self.commit,
            contestant=contestant,
            model=goal.model,
            samples=goal.samples,
            epochs=goal.epochs,
            seed=seed,
            seconds=seconds,
            accuracy=accuracy,
        )
        write_json(self._kept, [asdict(one) for one in [*self.runs(), run]])
        say(f"{contestant}, {goal.model}, seed {seed}: {seconds:.1f} s, accuracy {accuracy:.1%}")
        return run

    def _experiment(self, goal: Goal, seed: int) -> tuple[float, float]:
        """Seconds and accuracy of a run of the pipeline, which finds nothing that another has left."""
        for folder in FORGOTTEN:
            shutil.rmtree(self.clone / folder, ignore_errors=True)
        changes = {
            "model": goal.model,
            "samples": goal.samples,
            "seed": seed,
            "train.epochs": goal.epochs,
            "train.patience": goal.epochs,
        }
        settings = [word for key, value in changes.items() for word in ("--set-param", f"{key}={value}")]
        started = time.perf_counter()
        call(self.clone, "dvc", "exp", "run", "evaluate", *settings)
        seconds = time.perf_counter() - started
        return seconds, read_json(self.clone / paths.SCORES)["test_accuracy"]

    def _script(self, contestant: str, goal: Goal, seed: int) -> tuple[float, float]:
        """Seconds and accuracy of a run of Trainer."""
        rows = self.clone.with_name(f"{goal.samples}-{seed}.parquet")
        in_child(draw_rows, self.clone, rows, goal.samples, seed)
        folder = in_child(find_folder, self.clone, goal.model)
        places = ["--folder", str(folder), "--train", str(rows), "--test", str(self.clone / paths.TEST)]
        sizes = ["--epochs", str(goal.epochs), "--seed", str(seed), "--contestant", contestant]
        started = time.perf_counter()
        said = call(self.clone, sys.executable, "-m", "tests.benchmark.trainer_run", *places, *sizes)
        return time.perf_counter() - started, float(said.split()[-1])


def prepare_clone(clone: Path, tables: Path) -> None:
    """A clone of the last commit in which `prepare` has run on the tables; whole or not there.

    Raises:
        StudyError: If a table is missing.
    """
    if missing := [name for name in TABLES if not (tables / name).is_file()]:
        raise StudyError(f"{tables} has no {' and '.join(missing)}; give GLUE's folder SST-2 with --rows")
    partial = clone.with_name(f"{clone.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    call(REPOSITORY, "git", "clone", "--quiet", str(REPOSITORY), str(partial))
    for name, value in (("user.name", "benchmark"), ("user.email", "benchmark@example.org")):
        call(partial, "git", "config", name, value)
    for name in TABLES:
        target = partial / paths.SOURCES / DATASET / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tables / name, target)
    write_text(target.with_name("dataset.yaml"), "label_names: [negative, positive]\n")
    partial.rename(clone)  # before DVC remembers the place
    try:
        call(clone, "git", "add", "-A")
        call(clone, "git", "commit", "-qm", "rows")
        call(clone, "dvc", "exp", "run", "prepare", "--set-param", f"dataset={DATASET}")
        call(clone, "git", "commit", "-qam", "prepared")
        call(clone, "git", "tag", PREPARED)
    except BaseException:
        shutil.rmtree(clone)
        raise


def call(folder: Path, *words: str) -> str:
    """What a command prints, run as a person would; this Python goes before others.

    Raises:
        StudyError: If it fails.
    """
    kept = {name: value for name, value in os.environ.items() if name not in ("DVC_ROOT", "PYTHONPATH")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = kept | {"PATH": path, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StudyError(f"{' '.join(words)} failed in {folder}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout


def draw_rows(clone: Path, target: Path, samples: int, seed: int) -> None:
    """The rows that the stage subsample draws, in the child."""
    pool = read_split(clone / paths.POOL)
    write_split(target, pool.take(nested_subset(pool.labels, samples=samples, seed=seed, class_ratio="balanced")))


def find_folder(clone: Path, model: str) -> Path:
    """Of the base model that the clone uses, in the child."""
    from stages.engine.models.base_model import find_base_model

    os.chdir(clone)
    return find_base_model(model, read_settings().base_models).folder.resolve()


def page(machine: Machine, goals: Sequence[Goal], runs: Sequence[Run]) -> str:
    """A Markdown page with one table."""
    lines = [
        "# Time to accuracy",
        "",
        headline(machine),
        "",
        "Wall seconds from the command to the prompt, on GLUE dev, 872 sentences, whose labels choose nothing: Python "
        "and its libraries, tokenising, training, prediction. Median [range] over seeds, the same for all. Ours is "
        "`dvc exp run evaluate` with the stages subsample, train and evaluate, after `prepare`: it draws the rows, "
        "validates after each epoch and keeps the best, scores validation and dev with intervals, and records the "
        "experiment in DVC and Git. Trainer finds the same rows drawn, and trains and predicts alone.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | --- | --- |",
    ]
    lines += [line for goal in goals for line in rows_of(goal, runs)]
    return "\n".join(lines) + "\n"


def rows_of(goal: Goal, runs: Sequence[Run]) -> list[str]:
    """Of the table, one for each contestant of a model."""
    by_contestant = {
        name: own
        for name in TITLES
        if (own := [run for run in runs if run.contestant == name and run.model == goal.model])
    }
    baseline = [run.seconds for run in by_contestant.get(BASELINE, [])]
    lines = []
    for name, own in by_contestant.items():
        seconds, accuracies = [run.seconds for run in own], [100 * run.accuracy for run in own]
        reached = sum(run.accuracy >= goal.target for run in own)
        cells = [
            goal.model,
            f"{goal.samples:,}",
            str(goal.epochs),
            TITLES[name],
            spread(seconds),
            f"{median(baseline) / median(seconds):#.3g}" if baseline else "-",
            spread(accuracies),
            f"{goal.target:.0%} by {reached} of {len(own)} seeds".replace("%", " %"),
            ", ".join(sorted({run.commit for run in own})),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def of_other_models(file: Path, machine: Machine, models: Collection[str]) -> tuple[list[Goal], list[Run]]:
    """What the last page told of models that were not asked for now, if this machine measured it."""
    kept = read_json(file) if file.is_file() else {}
    if kept.get("machine") != asdict(machine):
        return [], []
    goals = [Goal(**goal) for goal in kept["goals"] if goal["model"] not in models]
    others = {goal.model for goal in goals}
    return goals, [Run(**run) for run in kept["runs"] if run["model"] in others]


def spread(values: Sequence[float]) -> str:
    """`47.1 [46.0, 48.3]`: median and range."""
    return f"{median(values):.1f} [{min(values):.1f}, {max(values):.1f}]"


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; every default stands here."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.time_to_accuracy",
        description="Measure the time from the command to an accuracy.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--rows", type=Path, required=True, help="GLUE's folder SST-2, with train.tsv and dev.tsv")
    add("--models", nargs="+", default=list(GOALS), choices=GOALS, metavar="MODEL", help=", ".join(GOALS))
    add(
        "--contestants", nargs="+", default=[PIPELINE, BASELINE], choices=TITLES, metavar="NAME", help=", ".join(TITLES)
    )
    add("--seeds", type=int, nargs="+", default=[42, 43, 44, 45, 46], help="one run of each contestant with each")
    add("--samples", type=int, help="labels, else as the model needs for its target")
    add("--epochs", type=int, help="passes over them, likewise")
    add("--scratch", type=Path, default=Path(".dvc/tmp/time_to_accuracy"), help="clone and finished runs")
    add("--out", type=Path, default=Path("metrics/time_to_accuracy"), help="written as .md and as .json")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measure, print, write."""
    args = parse(arguments)
    goals = [
        replace(GOALS[model], samples=args.samples or GOALS[model].samples, epochs=args.epochs or GOALS[model].epochs)
        for model in args.models
    ]
    bench = Bench(args.scratch, args.rows)
    for goal in goals:
        in_child(find_folder, bench.clone, goal.model)  # unpacks it, where it has to be, once
    runs = []
    for goal in goals:
        for at, seed in enumerate(args.seeds):
            first = at % len(args.contestants)  # another begins each time
            for name in args.contestants[first:] + args.contestants[:first]:
                runs.append(bench.measure(name, goal, seed))
    machine = in_child(describe_machine)
    other_goals, other_runs = of_other_models(args.out.with_suffix(".json"), machine, args.models)
    goals, runs = [*other_goals, *goals], [*other_runs, *runs]
    told = page(machine, goals, runs)
    say(told)
    write_text(args.out.with_suffix(".md"), told)
    plain = {
        "machine": asdict(machine),
        "goals": [asdict(goal) for goal in goals],
        "runs": [asdict(run) for run in runs],
    }
    write_json(args.out.with_suffix(".json"), plain)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except StudyError as error:
        sys.exit(str(error))
