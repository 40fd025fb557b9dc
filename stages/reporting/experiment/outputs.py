"""What the earlier stages put out, as one object."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.engine.lengths import TextLengths, read_lengths
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json
from stages.foundation.split import Split, read_split

Numbers = Mapping[str, Any]  # a flat metrics file: fractions, nats, counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """One experiment, finished."""

    card: Mapping[str, Any]  # what the data is
    pool: Numbers  # cleaning, and overlaps with the training pool
    subset: Numbers  # overlaps with the rows trained on
    scores: Numbers
    lengths: Mapping[str, TextLengths]  # of the texts of train, val and test, in tokens
    classes: Mapping[str, Mapping[str, Numbers]]  # by split (train, test, val) and class name
    cost: Numbers  # seconds, throughput, memory: never the same twice
    provenance: Numbers  # number format and engine, machine, libraries, commit
    history: pd.DataFrame  # a row per epoch: epoch, {train,val}_{loss,accuracy}, learning_rate
    test: Split  # N rows
    predicted: NDArray[np.int64]  # (N,) class index
    logits: NDArray[np.float64]  # (N, C)


def read_outputs() -> Outputs:
    """Read the outputs of every earlier stage.

    Raises:
        StudyError: If one is missing, or the predictions are not those of the test split.
    """
    test = read_split(paths.TEST)
    predictions = pd.read_parquet(_present(paths.TEST_PREDICTIONS))
    if predictions["row_id"].tolist() != test.row_ids.tolist():
        raise StudyError(f"{paths.TEST_PREDICTIONS} belongs to another test split; run `dvc repro`")
    return Outputs(
        card=read_json(paths.DATA_CARD),
        pool=read_json(paths.POOL_METRICS),
        subset=read_json(paths.SUBSET_METRICS),
        scores=read_json(paths.SCORES),
        lengths=read_lengths(paths.LENGTHS),
        classes=read_json(paths.CLASS_SCORES),
        cost=read_json(paths.COST_METRICS),
        provenance=read_json(paths.PROVENANCE_METRICS),
        history=pd.read_csv(_present(paths.HISTORY_PLOT)),
        test=test,
        predicted=predictions["predicted"].to_numpy(np.int64),
        logits=predictions[[f"logit_{index}" for index in range(test.num_classes)]].to_numpy(np.float64),
    )


def _present(path: Path) -> Path:
    if not path.is_file():
        raise StudyError(f"{path} is missing; run `dvc repro`")
    return path
