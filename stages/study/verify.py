"""Recorded cells run again: does today's code still compute what the record says?"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.log import say
from stages.study.collect import Coverage
from stages.study.repository import git, read_outputs
from stages.study.runner import run_once
from stages.study.store import Result, RowFacts, relative

PREFIX = "verify-"  # of the experiments' names; they are removed at the end


@dataclass(frozen=True, kw_only=True, slots=True)
class Deviation:
    """One cell as it was recorded and as it came out again."""

    logit: float  # the largest, of class margins
    classes: int  # test rows that were given another class
    accuracy: float  # fraction, today's less the recorded


def verify(root: Path, coverage: Coverage, *, number: int, seed: int) -> None:
    """Run some recorded cells of the grid again, with their number format and threads, and say how far they are off.

    Raises:
        StudyError: If none of the grid is recorded with today's data, params and versions, or one does not end well.
    """
    recorded = coverage.found()
    rows = coverage.results.rows
    if not recorded or rows is None:
        raise StudyError(
            "no recorded cell of this grid has today's data, params and numerical versions; "
            "`python -m stages.study plan` says what differs"
        )
    chosen = random.Random(seed).sample(sorted(recorded, key=lambda cell: cell.name), min(number, len(recorded)))
    say(f"{len(chosen)} of {len(recorded)} recorded cells, drawn with seed {seed}, run again:")
    found = []
    for cell in chosen:
        again = _deviation(root, recorded[cell], rows)
        found.append(again)
        say(f"{cell.name} ({recorded[cell].told}): {_words(again)}")
    say(f"largest difference: {_words(_largest(found))}")


def _deviation(root: Path, result: Result, rows: RowFacts) -> Deviation:
    name = run_once(root, result.cell, result.computation, prefix=PREFIX, threads=int(result.numbers["threads"]))
    try:
        made = git(root, "for-each-ref", "--format=%(objectname)", _ref(root, name)).split()
        outputs = read_outputs(root, made[0], [paths.TEST_PREDICTIONS]) if made else None
        if outputs is None:
            raise StudyError(f"{name} ended well, and left no predictions: `dvc exp list -A` names what there is")
        frame = pd.read_parquet(BytesIO(outputs[0]))
    finally:
        _remove(root, name)
    if not np.array_equal(frame["row_id"].to_numpy(np.int64), rows.row_ids):
        raise StudyError(f"{name} was tested on other rows than the record; take back the data that it was made from")
    logits = relative(frame.filter(like="logit_").to_numpy(np.float32))
    labels = frame["label"].to_numpy(np.int64)
    before, now = result.logits.argmax(axis=1), logits.argmax(axis=1)
    return Deviation(
        logit=float(np.abs(logits - result.logits).max()),
        classes=int((before != now).sum()),
        accuracy=float((now == labels).mean() - (before == labels).mean()),
    )


def _remove(root: Path, name: str) -> None:
    git(root, "update-ref", "-d", _ref(root, name))


def _ref(root: Path, name: str) -> str:
    """Of an experiment of this commit."""
    head = git(root, "rev-parse", "HEAD").strip()
    return f"refs/exps/{head[:2]}/{head[2:]}/{name}"


def _words(found: Deviation) -> str:
    if found.logit == 0:
        return "the same bit for bit"
    return (
        f"logits off by {found.logit:.1e} at most, another class for {found.classes} test rows, "
        f"accuracy {100 * found.accuracy:+.2f} points"
    )


def _largest(found: Sequence[Deviation]) -> Deviation:
    return Deviation(
        logit=max(one.logit for one in found),
        classes=max(one.classes for one in found),
        accuracy=max((one.accuracy for one in found), key=abs),
    )
