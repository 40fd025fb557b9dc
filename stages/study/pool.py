"""Which of the grid's sizes the data set at hand can give: told, or refused, before any cell is made."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.corpus.params import ClassRatio
from stages.corpus.subsets import impossible, largest, smallest
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml
from stages.foundation.log import say
from stages.study.cells import StudyParams


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """What may be trained on, before it is prepared."""

    rows: Mapping[str, NDArray[np.int64]]  # by partition of the grid: (C,) rows of each class
    class_ratio: ClassRatio
    num_test_rows: int
    validation_share: float = 0.0  # the largest of the grid: part of the samples that validates

    @property
    def largest(self) -> int:
        """The largest size that each partition gives."""
        return min(largest(sizes, self.class_ratio) for sizes in self.rows.values())

    @property
    def smallest(self) -> int:
        """The smallest size that each partition gives."""
        return max(smallest(sizes, self.class_ratio, self.validation_share) for sizes in self.rows.values())

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(next(iter(self.rows.values())))

    def fault(self, size: int) -> str:
        """Why this size cannot be, going on from the size; empty if it can.

        Where part of the samples validates, sources that must not be torn apart may leave fewer: `subsample` tells.
        """
        faults = (impossible(size, sizes, self.class_ratio, self.validation_share) for sizes in self.rows.values())
        return next((fault for fault in faults if fault), "")

    def nearest(self, size: int) -> int:
        """The largest size up to this one that the pool gives; the smallest that there is where it is below all."""
        step = self.num_classes if self.class_ratio == "balanced" else 1
        most = min(size, self.largest)
        return max(self.smallest, most - most % step)

    def __str__(self) -> str:
        told = (
            f"{kind}: {sizes.sum():,} rows, of which at most {largest(sizes, 'balanced'):,} are balanced"
            for kind, sizes in self.rows.items()
        )
        return f"training pool, {'; '.join(told)}"


def find_pool(root: Path, dataset: str, contrasts: Sequence[str], *, inside_share: float = 0.0) -> Pool | None:
    """Read and carve the data set as `prepare` would, in a process of its own; None where its source is not at hand.

    Args:
        root: The repository.
        dataset: A folder in data/sources.
        contrasts: Of the grid; `random` has a pool of its own.
        inside_share: Of the contrast `inside`, whose smallest size is larger.

    Raises:
        StudyError: If `prepare` would refuse, with what it would say.
    """
    if not (root / paths.SOURCES / dataset).is_dir():
        return None
    params: dict[str, Any] = read_yaml(root / paths.PARAMS)
    partitions = dict.fromkeys([params["prepare"]["partition"], *(name for name in contrasts if name == "random")])
    words = [sys.executable, "-m", "stages.corpus.pools", "--dataset", dataset, *partitions]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StudyError(" ".join(done.stderr.split()[-120:]))
    told = json.loads(done.stdout.splitlines()[-1])
    return Pool(
        rows={kind: np.array(sizes) for kind, sizes in told["pools"].items()},
        class_ratio=params["subsample"]["class_ratio"],
        num_test_rows=told["test_rows"],
        validation_share=max(params["subsample"]["validation_share"], inside_share if "inside" in contrasts else 0.0),
    )


def fit(study: StudyParams, pool: Pool, *, asked: bool) -> StudyParams:
    """The grid with sizes that the pool gives.

    A size of params.yaml that it does not give becomes the next below that it does, the largest for those beyond it,
    and this is said. Sizes that were asked for on the command line are taken as they are or refused.

    Raises:
        StudyError: If a size that was asked for cannot be.
    """
    faults = {size: fault for size in study.sizes if (fault := pool.fault(size))}
    if not faults:
        return study
    fault = next(iter(faults.values()))
    sizes = sorted({pool.nearest(size) for size in study.sizes})
    listed = ",".join(str(each) for each in sizes)
    if asked:
        beside = "samples " if fault.startswith(("must", "cannot")) else ""
        raise StudyError(f"--sizes: {beside}{fault}. What can be done: --sizes {listed}")
    before, now = (", ".join(f"{each:,}" for each in listing) for listing in (study.sizes, sizes))
    say(f"sizes {now} instead of {before} (study.sizes in params.yaml): {fault}")
    return replace(study, sizes=sizes)
