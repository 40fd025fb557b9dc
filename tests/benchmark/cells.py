"""Cost against the number of cells: seconds of our own work in `plan` and `report`, and of `dvc exp show`.

    python -m tests.benchmark.cells [--cells 10,100,1000] [--out metrics/cells]

One cell of the quickest method is made for real in a small repository of its own; all others are copies of its commit
under other names, with another size and seed in what they record, so that only reading and reckoning is measured. Each
command is a program of its own, and its start is in its seconds.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.foundation import paths
from stages.foundation.files import write_json, write_text
from stages.foundation.log import say
from tests.benchmark.machine import describe_machine, headline
from tests.benchmark.worker import in_child
from tests.faults.project import call, environment, git, make_project

SIZES = [20, 24, 28, 32, 36, 40, 44, 48, 52, 56]  # training rows; each with as many seeds as it takes
COMMANDS = {
    "plan": ["python", "-m", "stages.study", "plan"],
    "report, first": ["python", "-m", "stages.study", "report"],
    "plan, all recorded": ["python", "-m", "stages.study", "plan"],
    "report, all recorded": ["python", "-m", "stages.study", "report"],
    "run, nothing to make": ["python", "-m", "stages.study", "run"],
    "dvc exp show": ["dvc", "exp", "show", "--csv"],
    "dvc exp list": ["dvc", "exp", "list"],
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """One command in a repository of so many finished cells."""

    command: str
    cells: int
    seconds: float


def measure(num_cells: int, scratch: Path) -> list[Cost]:
    """The commands in a repository of so many finished cells, in the order in which one gives them."""
    folder = scratch / f"cells-{num_cells}"
    seeds = list(range(1, num_cells // len(SIZES) + 1))
    grid = {"study.sizes": SIZES, "study.seeds": seeds, "study.methods": ["tfidf"]}
    make_project(folder, method="tfidf", **grid)
    call(folder, "python", "-m", "stages.study", "run", "--sizes", str(SIZES[0]), "--seeds", "1")
    multiply(folder, seeds)
    return [_timed(name, words, num_cells, folder) for name, words in COMMANDS.items()]


def _timed(name: str, words: list[str], num_cells: int, folder: Path) -> Cost:
    started = time.perf_counter()
    call(folder, *words)
    cost = Cost(command=name, cells=num_cells, seconds=time.perf_counter() - started)
    say(f"{name}, {num_cells:,} cells: {cost.seconds:.1f} s")
    return cost


def multiply(folder: Path, seeds: list[int]) -> None:
    """Add a copy of the one experiment for every other size and seed."""
    (line,) = git(folder, "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps/??/*/*").splitlines()
    ref, commit = line.split()
    texts = {name: git(folder, "show", f"{commit}:{name}") for name in ("dvc.lock", "params.yaml", str(paths.SCORES))}
    stream = "".join(_commits(texts, ref, git(folder, "log", "-1", "--format=%P %T", commit).split(), seeds))
    words = ["git", "fast-import", "--quiet"]
    subprocess.run(words, cwd=folder, env=environment(folder), input=stream.encode(), check=True)


def _commits(texts: dict[str, str], ref: str, parent_and_tree: list[str], seeds: list[int]) -> Iterator[str]:
    """What `git fast-import` reads."""
    parent, tree = parent_and_tree
    first = f"n{SIZES[0]}-s1"
    for size, seed in product(SIZES, seeds):
        name = f"n{size}-s{seed}"
        if name == first:
            continue
        yield f"commit {ref.replace(first, name)}\ncommitter n <e@x.y> 1700000000 +0000\n"
        yield f'data {len(name)}\n{name}\nfrom {parent}\nM 040000 {tree} ""\n'
        for file, text in _told(texts, size, seed).items():
            yield f"M 100644 inline {file}\ndata {len(text.encode())}\n{text}\n"


def _told(texts: dict[str, str], size: int, seed: int) -> dict[str, str]:
    """What the experiment of this size and seed would have committed, all else being that of the first."""
    scores = texts[str(paths.SCORES)].replace(f'"train_rows": {SIZES[0]}', f'"train_rows": {size}')
    before, now = (hashlib.md5(text.encode()).hexdigest() for text in (texts[str(paths.SCORES)], scores))
    told = {str(paths.SCORES): scores}
    for name in ("dvc.lock", "params.yaml"):
        text = re.sub(rf"\bsamples: {SIZES[0]}\b", f"samples: {size}", texts[name])
        told[name] = re.sub(r"(?<![\w.])seed: 1\b", f"seed: {seed}", text).replace(before, now)
    return told


def page(intro: str, costs: list[Cost]) -> str:
    """A Markdown page: seconds of each command by number of cells, and what a further cell takes."""
    numbers = list(dict.fromkeys(cost.cells for cost in costs))
    heads = [*(f"{number:,} cells" for number in numbers), "each further cell"]
    lines = ["# Cost against the number of cells", "", intro, "", f"| command | {' | '.join(heads)} |"]
    lines.append("| --- |" + " ---: |" * len(heads))
    for command in dict.fromkeys(cost.command for cost in costs):
        seconds = [cost.seconds for cost in costs if cost.command == command]
        further = (seconds[-1] - seconds[-2]) / (numbers[-1] - numbers[-2]) if len(numbers) > 1 else 0.0
        told = [*(f"{one:.1f} s" for one in seconds), f"{1000 * further:.1f} ms"]
        lines.append(f"| {command} | {' | '.join(told)} |")
    return "\n".join(lines) + "\n"


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; every default stands here."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.cells",
        description="Measure cost against the number of cells.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--cells", default="10,100,1000", help=f"of a study; multiples of {len(SIZES)}")
    parser.add_argument("--out", type=Path, default=Path("metrics/cells"), help="written as .md and as .json")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measure, print, write."""
    args = parse(arguments)
    with TemporaryDirectory() as scratch:
        costs = [cost for number in args.cells.split(",") for cost in measure(int(number), Path(scratch))]
    machine = in_child(describe_machine)
    said = page(f"{headline(machine)} One method, {len(SIZES)} sizes.", costs)
    say(said)
    write_text(args.out.with_suffix(".md"), said)
    write_json(args.out.with_suffix(".json"), {"machine": asdict(machine), "costs": [asdict(one) for one in costs]})


if __name__ == "__main__":
    main(sys.argv[1:])
