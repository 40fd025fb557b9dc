"""What the record keeps of a finished experiment: its metrics, and what is measured of its texts and its predictions.

What is measured here is held by numerical versions, as the stages are: of texts by CORPUS, of predictions by SCORING.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.corpus.overlap import count_sources
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.split import Split
from stages.methods import METHODS
from stages.scoring.calibration import fit_temperature
from stages.study.cells import Cell
from stages.study.repository import Experiment, read_committed, read_outputs
from stages.study.store import Result, RowFacts, claim_digest, claim_file, relative

FILES = (paths.TEST, paths.SUBSET, paths.TEST_PREDICTIONS, paths.VALIDATION_PREDICTIONS, paths.DATA_CARD)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What no stage has written down."""

    rows: RowFacts  # of the N test rows
    sources: int  # source sentences of the training rows
    logits: NDArray[np.float32]  # (N, C) less those of class 0
    temperature: float  # fitted on validation
    steps: int  # optimizer steps that were taken
    synthetic: bool  # whether the project made the texts up


def gather(root: Path, experiment: Experiment, cell: Cell) -> tuple[RowFacts, Result] | None:
    """One cell for the record; None where the cache no longer holds its outputs.

    Raises:
        StudyError: If it was trained on another number of rows.
    """
    outputs = read_outputs(root, experiment.commit, FILES)
    if outputs is None:
        return None
    metrics, identity = experiment.metrics, experiment.identity
    scores = metrics[paths.SCORES]
    params = experiment.params()
    validates_inside = params.get("subsample.validation_share", 0) > 0
    drawn = scores["train_rows"] + (scores["val_rows"] if validates_inside else 0)
    if drawn != cell.samples:
        raise StudyError(
            f"experiment {experiment.name} was trained on {drawn} rows, not {cell.samples}; `dvc exp remove` it"
        )
    measured = measure(outputs, params, scores)
    numbers = {
        "data": identity.data,
        "params_digest": identity.params_digest,
        "synthetic": measured.synthetic,
        "corpus_version": metrics[paths.POOL_METRICS]["corpus_version"],
        **scores,
        **metrics[paths.COST_METRICS],
        **metrics[paths.PROVENANCE_METRICS],
        "weights_sha256": identity.computation.weights,  # empty where a param pins them, as in the cell's identity
        "pool_rows": metrics[paths.POOL_METRICS]["pool_balanced_max"],  # the largest subset that there could be
        "sources": measured.sources,
        "subset_val_any": metrics[paths.SUBSET_METRICS]["subset_val_any"],
        "steps": measured.steps,
        "temperature": measured.temperature,
        "output_bytes": experiment.output_bytes(),
        "claim": digest_at(root, experiment.commit, cell),  # of the claim file that it was made under; empty: of none
    }
    return measured.rows, Result(cell=cell, key=identity.key, numbers=numbers, logits=measured.logits)


def digest_at(root: Path, commit: str, cell: Cell) -> str:
    """The digest of the claim file that a commit holds for a cell; empty where it holds none."""
    (text,) = read_committed(root, [f"{commit}:{claim_file(cell.dataset, cell.model).as_posix()}"])
    return claim_digest(text)


def measure(outputs: Sequence[bytes], params: Mapping[str, Any], scores: Mapping[str, Any]) -> Measured:
    """Read an experiment's outputs and measure what is kept of them.

    Args:
        outputs: The content of each of FILES.
        params: Of the experiment, by dotted key.
        scores: What evaluate said of it.
    """
    test, subset = (_split(pd.read_parquet(BytesIO(content))) for content in outputs[:2])
    predicted, validation = (pd.read_parquet(BytesIO(content)) for content in outputs[2:4])
    return Measured(
        rows=RowFacts.of(test),
        sources=count_sources(subset),
        logits=relative(_logits(predicted)),
        temperature=fit_temperature(_logits(validation), validation["label"].to_numpy(np.int64)),
        steps=_steps(params, scores),
        synthetic=json.loads(outputs[4])["synthetic"],
    )


def _split(frame: pd.DataFrame) -> Split:
    return Split(
        row_ids=frame["row_id"].to_numpy(np.int64),
        sentences=frame["sentence"].tolist(),
        labels=frame["label"].to_numpy(np.int64),
        label_names=tuple(frame.attrs["label_names"]),
        second=frame["second"].tolist() if "second" in frame else None,
    )


def _logits(predictions: pd.DataFrame) -> Any:
    columns = [name for name in predictions if str(name).startswith("logit_")]
    return predictions[columns].to_numpy(np.float32)


def _steps(params: Mapping[str, Any], scores: Mapping[str, Any]) -> int:
    if not METHODS[params["method"]].by_steps:
        return 0
    of_pass = ceil(scores["train_rows"] / params["train.batch_size"])
    if params.get("train.protocol") == "trained":
        whole = max(params["train.trained.min_steps"], of_pass * params["train.epochs"])
        return int(whole * scores["epochs_run"] // params["train.trained.validations"])
    if params["train.max_steps"]:
        return int(params["train.max_steps"] * scores["epochs_run"] // params["train.epochs"])
    return int(of_pass * scores["epochs_run"])
