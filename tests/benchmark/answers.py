"""What `study answer` foretells from few labels, beside what came with more of them.

    python -m tests.benchmark.answers --name sst2-500 --rows ~/SST-2 --first 500 --minutes 30
    python -m tests.benchmark.answers --name trec --rows ~/TREC --first 1300 --validation-rows 300

In a clone of the last commit: `answer` sees the first rows of train.tsv and all of the test table. Then the method that
it chose is trained, with three seeds and the same validation rows as ever, on twice and four times as many labels as
its largest size, out of all rows; that is what came. What is done is kept in the scratch folder, so the same command
goes on. The page holds every case that was measured.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_json, write_text
from stages.foundation.log import say
from stages.study.store import files_of, read_results
from tests.benchmark.machine import Machine, describe_machine, headline
from tests.benchmark.time_to_accuracy import REPOSITORY, call
from tests.benchmark.worker import in_child

NUMBER = r"([+\N{MINUS SIGN}]?[\d.]+)"
CHOICE = re.compile(rf"Train with (\w+) now: {NUMBER}.% \(95.% interval {NUMBER} to {NUMBER}\).*? with ([\d,]+) labels")
CHANCE = re.compile(r"How sure: (\d+).%")
GAIN = re.compile(rf"([\d,]+) more \(([\d,]+) in all\) {NUMBER} \[{NUMBER}, {NUMBER}\] points")
SEEDS = (42, 43, 44)
HEAD = ["case", "minutes", "use", "with so many labels", "foretold: right, %", "chance to be the best"]
HEAD += ["labels then", "foretold gain, points", "what came, points"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ahead:
    """What so many labels were to bring, in points of accuracy."""

    samples: int  # training rows
    gain: float
    low: float
    high: float
    came: float | None  # None: not measured, for there are not so many rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One answer and what came of it."""

    name: str
    commit: str  # of the code
    minutes: int
    method: str  # that it said to use
    samples: int  # training rows
    accuracy: tuple[float, float, float]  # percent, with its interval
    chance: int | None  # percent; None: nothing to choose from
    ahead: tuple[Ahead, ...]


def told(text: str) -> tuple[str, int, tuple[float, float, float], int | None, list[Ahead]]:
    """Method, training rows, accuracy, chance and gains that an answer tells.

    Raises:
        StudyError: If it tells no choice.
    """
    plain = " ".join(text.split())
    choice, chance = CHOICE.search(plain), CHANCE.search(plain)
    if choice is None:
        raise StudyError(f"this answer tells no choice: {plain[-500:]}")
    gains = [
        Ahead(samples=_whole(every), gain=_signed(gain), low=_signed(low), high=_signed(high), came=None)
        for _, every, gain, low, high in GAIN.findall(plain)
    ]
    accuracy = (float(choice[2]), float(choice[3]), float(choice[4]))
    return choice[1], _whole(choice[5]), accuracy, int(chance[1]) if chance else None, gains


def _whole(text: str) -> int:
    return int(text.replace(",", ""))


def _signed(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


class Bench:
    """A clone where the answer is asked, and all rows are at hand beside the first ones."""

    def __init__(self, scratch: Path, args: argparse.Namespace) -> None:
        self.commit = call(REPOSITORY, "git", "rev-parse", "--short=12", "HEAD").strip()
        self.clone = scratch.resolve() / f"{self.commit}-{args.name}"
        self.few, self.all = args.name, f"{args.name}-all"
        if not self.clone.is_dir():
            self._prepare(args)

    def answer(self, minutes: int) -> str:
        """What it says; kept, so that it is asked once."""
        kept = self.clone.with_suffix(".answer.txt")
        if not kept.is_file():
            asked = ["answer", "--dataset", self.few, "--minutes", str(minutes)]
            write_text(kept, call(self.clone, sys.executable, "-m", "stages.study", *asked))
            call(self.clone, "git", "add", "-A")
            call(self.clone, "git", "commit", "-qm", "what the answer wrote", "--allow-empty")
        return kept.read_text(encoding="utf-8")

    def came(self, method: str, sizes: Sequence[int]) -> dict[int, float]:
        """Test accuracy of the method on more labels, percent, mean over the seeds; of the sizes that there are."""
        words = ["--dataset", self.all, "--methods", method, "--seeds", ",".join(map(str, SEEDS)), "--sizes"]
        there = [size for size in sizes if self._has(size)]
        if there:
            listed = ",".join(map(str, there))
            call(self.clone, sys.executable, "-m", "stages.study", "run", *words, listed)
            call(self.clone, sys.executable, "-m", "stages.study", "report", *words, listed)
        found: dict[int, list[float]] = {}
        for result in in_child(_results, self.clone, self.all):
            found.setdefault(result[0], []).append(result[1])
        return {size: 100 * fmean(values) for size, values in found.items()}

    def _has(self, size: int) -> bool:
        table = self.clone / paths.SOURCES / self.all / "train.tsv"
        return size <= 0.9 * (len(table.read_text(encoding="utf-8").splitlines()) - 1)  # the rest validates

    def _prepare(self, args: argparse.Namespace) -> None:
        partial = self.clone.with_name(f"{self.clone.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        call(REPOSITORY, "git", "clone", "--quiet", str(REPOSITORY), str(partial))
        for name, value in (("user.name", "benchmark"), ("user.email", "benchmark@example.org")):
            call(partial, "git", "config", name, value)
        head, *rows = (args.rows / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
        test = next(file for name in ("test.tsv", "dev.tsv") if (file := args.rows / name).is_file())
        for dataset, kept in ((self.few, rows[: args.first]), (self.all, rows)):
            folder = partial / paths.SOURCES / dataset
            write_text(folder / "train.tsv", "".join([head, *kept]))
            shutil.copy(test, folder / "test.tsv")
            if args.label_names:
                write_text(folder / "dataset.yaml", f"label_names: [{', '.join(args.label_names)}]\n")
        params = (partial / paths.PARAMS).read_text(encoding="utf-8")
        rows_key = f"validation_rows: {args.validation_rows} "
        write_text(partial / paths.PARAMS, re.sub(r"validation_rows: \d+ ", rows_key, params))
        partial.rename(self.clone)
        call(self.clone, "git", "add", "-A")
        call(self.clone, "git", "commit", "-qm", "rows")
        call(self.clone, "dvc", "repro", "prepare")


def _results(clone: Path, dataset: str) -> list[tuple[int, float]]:
    """Size and accuracy of each recorded cell, in the child."""
    import os

    os.chdir(clone)
    if not files_of(dataset)[0].is_file():
        return []
    found = read_results(dataset).by_key.values()
    return [(result.cell.samples, float(result.numbers["test_accuracy"])) for result in found]


def measure(args: argparse.Namespace) -> Case:
    """Ask, then look at what came."""
    bench = Bench(args.scratch, args)
    method, samples, accuracy, chance, gains = told(bench.answer(args.minutes))
    came = bench.came(method, [samples, *(each.samples for each in gains)])
    base = came.get(samples)
    ahead = tuple(
        Ahead(
            samples=each.samples,
            gain=each.gain,
            low=each.low,
            high=each.high,
            came=came[each.samples] - base if base is not None and each.samples in came else None,
        )
        for each in gains
    )
    return Case(
        name=args.name,
        commit=bench.commit,
        minutes=args.minutes,
        method=method,
        samples=samples,
        accuracy=accuracy,
        chance=chance,
        ahead=ahead,
    )


def page(machine: Machine, cases: Sequence[Case]) -> str:
    """A Markdown page with one table."""
    lines = [
        "# What was foretold, and what came",
        "",
        headline(machine),
        "",
        "`python -m stages.study answer` saw the first rows of each data set alone. What came: the same method with "
        "three seeds on twice and four times as many labels, out of all rows, less the same on as many as it had.",
        "",
        f"| {' | '.join(HEAD)} |",
        f"| --- | ---: | --- |{' ---: |' * (len(HEAD) - 3)}",
    ]
    return "\n".join([*lines, *(line for case in cases for line in _lines(case))]) + "\n"


def _lines(case: Case) -> list[str]:
    value, low, high = case.accuracy
    chance = "-" if case.chance is None else f"{case.chance} %"
    first = [case.name, str(case.minutes), case.method, f"{case.samples:,}", f"{value} [{low}, {high}]", chance]
    lines = []
    for each in case.ahead:
        came = "not so many rows" if each.came is None else f"{each.came:+.1f}"
        inside = "" if each.came is None else " (inside)" if each.low <= each.came <= each.high else " (outside)"
        foretold = f"{each.gain:+.1f} [{each.low:+.1f}, {each.high:+.1f}]"
        lines.append(f"| {' | '.join([*first, f'{each.samples:,}', foretold, came + inside])} |")
        first = [""] * len(first)
    return lines or [f"| {' | '.join([*first, '-', 'no curve', '-'])} |"]


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; every default stands here."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.answers",
        description="Hold an answer from few labels against what came with more.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--name", required=True, help="of the case; asked again under the same name it goes on")
    add("--rows", type=Path, required=True, help="a folder with train.tsv and test.tsv or dev.tsv")
    add("--first", type=int, required=True, help="rows of train.tsv that the answer may see")
    add("--label-names", nargs="*", help="of classes that the tables give by their index")
    add("--validation-rows", type=int, default=100, help="prepare.validation_rows, of both")
    add("--minutes", type=int, default=30, help="for the answer")
    add("--scratch", type=Path, default=Path(".dvc/tmp/answers"), help="clones and finished answers")
    add("--out", type=Path, default=Path("metrics/answers"), help="written as .md and as .json")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measure, print, write."""
    args = parse(arguments)
    kept = args.out.with_suffix(".json")
    before = [_case(plain) for plain in read_json(kept)["cases"]] if kept.is_file() else []
    case = measure(args)
    cases = [*(one for one in before if one.name != case.name), case]
    machine = in_child(describe_machine)
    write_json(kept, {"machine": asdict(machine), "cases": [asdict(one) for one in cases]})
    write_text(args.out.with_suffix(".md"), page(machine, cases))
    say(page(machine, cases))


def _case(plain: dict[str, object]) -> Case:
    ahead = tuple(Ahead(**each) for each in plain["ahead"])
    return Case(**plain | {"ahead": ahead, "accuracy": tuple(plain["accuracy"])})


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except StudyError as error:
        sys.exit(str(error))
