"""A folder in which the pages run, as the repository's root is one."""

import json
import shutil
import subprocess
import sys

import pytest

from stages.foundation import paths
from stages.foundation.files import read_yaml, write_text
from stages.foundation.stage import run_stage

HEAVY = {"torch", "transformers", "peft", "datasets", "matplotlib", "scipy"}
WORDS = [f"{word}{number}" for number in range(12) for word in ("good", "bad", "odd", "dry", "warm")]


def make_study_folder(repository, **changes):
    """Write dvc.yaml and params.yaml into the current folder; a change `prepare__split_seed=1` sets one key."""
    shutil.copy(repository / paths.PIPELINE, paths.PIPELINE)
    params = read_yaml(repository / paths.PARAMS)
    for key, value in changes.items():
        *sections, name = key.split("__")
        section = params
        for inner in sections:
            section = section[inner]
        section[name] = value
    write_text(paths.PARAMS, json.dumps(params))


def make_own_data(name="mine", num_sentences=120):
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


def complaint(stage, main):
    """What `python -m stages.<stage>` says on its way out with exit code 1."""
    with pytest.raises(SystemExit) as left:
        run_stage(stage, main)
    said = left.value.code
    assert "\n" not in said
    return said


def run_as_program(repository, stage):
    """Run a page as DVC does; the last line on stdout lists the heavy modules it has imported."""
    watched = (
        "import atexit, runpy, sys\n"
        f"atexit.register(lambda: print(sorted(set(sys.modules) & {HEAVY!r})))\n"
        f"runpy.run_module('stages.{stage}', run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", watched], env={"PYTHONPATH": str(repository)}, capture_output=True, text=True
    )
