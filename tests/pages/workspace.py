"""A place to run pages in: the repository's pipeline and params, and a few rows."""

import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.foundation import paths
from stages.foundation.files import write_text
from stages.foundation.stage import run_stage

REPOSITORY = Path(__file__).resolve().parents[2]
CODE = (
    "stages",
    "metrics/live",
    ".dvcignore",
    ".gitignore",
    "data/.gitignore",
)  # what an experiment needs beside params and data
HEAVY = {"torch", "transformers", "peft", "datasets", "matplotlib", "scipy", "sklearn"}
WORDS = [f"{word}{number}" for number in range(12) for word in ("good", "bad", "odd", "dry", "warm")]


def write_params(changes: dict[str, Any]) -> None:
    """Copy dvc.yaml and params.yaml into the current folder; change keys, dotted, as `dvc exp run -S` does."""
    shutil.copy(REPOSITORY / paths.PIPELINE, paths.PIPELINE)
    yaml = YAML()
    tree = yaml.load(REPOSITORY / paths.PARAMS)
    for key, value in changes.items():
        *sections, name = key.split(".")
        section = tree
        for inner in sections:
            section = section[inner]
        assert name in section, f"params.yaml has no {key}"
        section[name] = value
    yaml.dump(tree, paths.PARAMS)


def write_own_data(name="mine", num_sentences=120):
    """A small data set: sentences of two clauses, which are rows as well, with alternating labels."""
    rows = {}
    for at in range(num_sentences):
        first, second = WORDS[at % len(WORDS)], WORDS[(7 * at + at // len(WORDS)) % len(WORDS)]
        sentence = f"the {first} part number {at} and a {second} ending"
        for text in (sentence, f"the {first} part number {at}", f"a {second} ending"):
            rows.setdefault(text, at % 2)
    lines = [f"{text}\t{label}" for text, label in rows.items()]
    write_text(paths.SOURCES / name / "train.tsv", "\n".join(["sentence\tlabel", *lines]) + "\n")
    test = [f"a new {word} text\t{at % 2}" for at, word in enumerate(WORDS)]
    write_text(paths.SOURCES / name / "dev.tsv", "\n".join(["sentence\tlabel", *test]) + "\n")


def copy_project(folder: Path, changes: dict[str, Any]) -> None:
    """This project with other params and a small data set of its own; not under version control yet."""
    for name in CODE:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    with chdir(folder):
        write_params(changes)
        write_own_data()


def complaint(stage, main) -> str:
    """What `python -m stages.<stage>` says on its way out with exit code 1."""
    with pytest.raises(SystemExit) as left:
        run_stage(stage, main)
    said = left.value.code
    assert isinstance(said, str)
    assert "\n" not in said
    return said


def run_as_program(stage):
    """Run a page as DVC does; the last line on stdout lists the heavy modules it has imported."""
    watched = (
        "import atexit, runpy, sys\n"
        f"atexit.register(lambda: print(sorted(set(sys.modules) & {HEAVY!r})))\n"
        f"runpy.run_module('stages.{stage}', run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", watched],
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
