"""Where each cell of the grid stands: recorded, finished as an experiment, or missing; and what no longer counts."""

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.split import Split
from stages.statistics.calibration import fit_temperature
from stages.study.grid import VARIED, Cell
from stages.study.identity import Identity, Workspace
from stages.study.machine import machine_and_versions
from stages.study.repository import Experiment, experiments, read_committed, read_outputs
from stages.study.results import Result, Results, RowFacts, read_results, relative


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """The grid against what there is."""

    cells: Mapping[Cell, str]  # every cell of the grid, and the key that its result must bear
    results: Results  # recorded cells and gathered experiments, of this grid or not
    finished: Mapping[str, Experiment]  # by key: experiments of this grid that were not recorded before
    stale: Sequence[str]  # experiments that look like cells of this grid and are not, and why
    num_test_rows: int | None  # None: no experiment on this data has told it yet

    @property
    def missing(self) -> list[Cell]:
        """Cells to make."""
        return [cell for cell, key in self.cells.items() if key not in self.results.by_key and key not in self.finished]

    def found(self) -> dict[Cell, Result]:
        """Cells whose results are at hand."""
        return {cell: self.results.by_key[key] for cell, key in self.cells.items() if key in self.results.by_key}


def take_stock(root: Path, cells: Iterable[Cell], dataset: str) -> Standing:
    """Hold the grid against the recorded results and against all experiments, by data, params and code."""
    workspace, recorded = Workspace(root), read_results(dataset)
    data = None if workspace.has_source(dataset) else _recorded_data(recorded)
    wanted = {cell: workspace.identity(cell, data=data) for cell in cells}
    stale = _stale_records(recorded, wanted)
    if any(identity.data != _recorded_data(recorded) for identity in wanted.values()):
        recorded = Results(rows=None, by_key={})  # other texts, perhaps other test rows: nothing of it compares
    keys = {identity.key for identity in wanted.values()}
    there = experiments(root)
    finished = {made.identity.key: made for made in there if made.identity.key in keys - set(recorded.by_key)}
    return Standing(
        cells={cell: identity.key for cell, identity in wanted.items()},
        results=recorded,
        finished=finished,
        stale=[*stale, *_stale(there, workspace, wanted)],
        num_test_rows=_num_test_rows(root, recorded, there, {identity.data for identity in wanted.values()}),
    )


def recorded_study(dataset: str) -> Standing:
    """The recorded cells alone, whatever the workspace is now; where they are of several versions, the largest part."""
    recorded = read_results(dataset)
    versions = Counter(_version(result) for result in recorded.by_key.values())
    chosen = versions.most_common(1)[0][0] if versions else None
    kept = {key: result for key, result in recorded.by_key.items() if _version(result) == chosen}
    left_out = [result for key, result in recorded.by_key.items() if key not in kept]
    return Standing(
        cells={result.cell: key for key, result in kept.items()},
        results=Results(rows=recorded.rows, by_key=kept),
        finished={},
        stale=tuple(f"{result.cell.name} ({result.baseline[:7]}): another version" for result in left_out),
        num_test_rows=None if recorded.rows is None else len(recorded.rows.row_ids),
    )


def gather(root: Path, standing: Standing) -> Standing:
    """Read the predictions of the finished experiments; one whose cache is gone is missing again."""
    results = standing.results
    cells = {key: cell for cell, key in standing.cells.items()}
    for key, experiment in standing.finished.items():
        if read := _read(root, experiment, cells[key]):
            results = results.join(*read)
    return replace(standing, results=results, finished={})


def _read(root: Path, experiment: Experiment, cell: Cell) -> tuple[RowFacts, Result] | None:
    files = (paths.TEST, paths.TEST_PREDICTIONS, paths.VALIDATION_PREDICTIONS, paths.DATA_CARD)
    outputs = read_outputs(root, experiment.commit, files)
    if outputs is None:
        return None
    texts, test, validation = (pd.read_parquet(BytesIO(content)) for content in outputs[:3])
    split = Split(
        row_ids=texts["row_id"].to_numpy(np.int64),
        sentences=texts["sentence"].tolist(),
        labels=texts["label"].to_numpy(np.int64),
        label_names=tuple(texts.attrs["label_names"]),
    )
    metrics = (paths.SCORES, paths.COST_METRICS, paths.SUBSET_METRICS)
    small = read_committed(root, [f"{experiment.commit}:{path.as_posix()}" for path in metrics])
    scores, cost, overlaps = (json.loads(text) for text in small)
    if scores["train_rows"] != cell.samples:
        raise StudyError(f"experiment {experiment.name} was trained on {scores['train_rows']} rows, not {cell.samples}")
    numbers = {
        "data": experiment.identity.data,
        "code": experiment.identity.code[:16],
        "protocol": experiment.identity.protocol[:16],
        "synthetic": json.loads(outputs[3])["synthetic"],
        **scores,
        **cost,
        "subset_val_any": overlaps["subset_val_any"],
        "steps": _steps(experiment.params(), scores),
        "temperature": fit_temperature(_logits(validation), validation["label"].to_numpy(np.int64)),
        "output_bytes": experiment.output_bytes(),
        **machine_and_versions(),
    }
    result = Result(
        cell=cell,
        key=experiment.identity.key,
        baseline=experiment.baseline,
        numbers=numbers,
        logits=relative(_logits(test)),
    )
    return RowFacts.of(split), result


def _logits(predictions: pd.DataFrame) -> Any:
    columns = [name for name in predictions if str(name).startswith("logit_")]
    return predictions[columns].to_numpy(np.float32)


def _steps(params: Mapping[str, Any], scores: Mapping[str, Any]) -> int:
    """Optimizer steps that were taken."""
    if params["method"] == "tfidf":
        return 0
    if params["train.max_steps"]:
        return int(params["train.max_steps"] * scores["epochs_run"] // params["train.epochs"])
    return int(ceil(scores["train_rows"] / params["train.batch_size"]) * scores["epochs_run"])


def _version(result: Result) -> tuple[str, ...]:
    """What cells of one study share."""
    return (result.cell.model, *(str(result.numbers[name]) for name in ("data", "code", "protocol")))


def _recorded_data(recorded: Results) -> str:
    """The data that the recorded cells were made from, where their source is not at hand."""
    return next((str(result.numbers["data"]) for result in recorded.by_key.values()), "")


def _num_test_rows(root: Path, recorded: Results, there: Sequence[Experiment], data: Container[str]) -> int | None:
    """What the record or any experiment on the same data says."""
    if recorded.rows is not None:
        return len(recorded.rows.row_ids)
    alike = [f"{made.commit}:{paths.SCORES.as_posix()}" for made in there if made.identity.data in data]
    scores = [json.loads(text) for text in read_committed(root, alike[:1]) if text]
    return int(scores[0]["test_rows"]) if scores else None


def _stale_records(recorded: Results, wanted: Mapping[Cell, Identity]) -> list[str]:
    """Recorded cells of the grid that were made with other code, data or params, in one line for each commit."""
    old = [made for key, made in recorded.by_key.items() if made.cell in wanted and wanted[made.cell].key != key]
    commits = Counter(made.baseline[:7] for made in old)
    return [f"{number} recorded cells ({commit}): another version" for commit, number in commits.items()]


def _stale(there: Sequence[Experiment], workspace: Workspace, wanted: Mapping[Cell, Identity]) -> list[str]:
    """Experiments that ask what a cell of the grid asks, and were made with other code, data or other params."""
    asked = {workspace.varied(cell): identity for cell, identity in wanted.items()}
    said = []
    for made in there:
        params = made.params()
        identity = asked.get(tuple(params.get(name) for name in VARIED))
        if identity and identity.key != made.identity.key:
            said.append(f"{made.name} ({made.baseline[:7]}): other {made.identity.differences(identity)}")
    return said
