"""Learning rates by validation: the same number of trials for every method and size, on seeds that never count.

A trial is a cell like any other, made as a DVC experiment. What is kept of it are its validation numbers alone, in a
small file beside the study's record, so that no test row can choose anything.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml, write_text
from stages.foundation.params import value_at
from stages.methods import METHODS
from stages.reporting.study.findings import Sensitivity
from stages.study.cells import Cell, StudyParams, tuned_key
from stages.study.repository import Experiment
from stages.study.store import FOLDER


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One value of what a method tunes, tried at one size with one seed."""

    model: str  # empty where the method has no base model
    method: str
    protocol: str
    samples: int  # training rows
    seed: int
    value: float  # learning rate, or inverse regularization
    key: str  # of the cell's identity
    val_loss: float  # nats, of the kept epoch
    val_accuracy: float  # fraction
    best_epoch: int
    epochs_run: int
    precision_used: str
    commit: str  # of the code

    @property
    def of(self) -> tuple[str, str, str, int]:
        """What it is a trial for: model, method, protocol and size."""
        return (self.model, self.method, self.protocol, self.samples)


def trial_cells(study: StudyParams, *, dataset: str, model: str) -> list[Cell]:
    """Every trial of the grid: each method and size with each value and seed, small sizes first."""
    params = read_yaml(paths.PARAMS)
    cells = []
    for samples in sorted(study.sizes):
        for method in study.methods:
            usual = float(value_at(params, tuned_key(method)))
            for factor in study.tuning.factors:
                for seed in study.tuning.seeds:
                    cell = Cell(
                        dataset=dataset,
                        model=model,
                        method=method,
                        protocol=study.protocol if METHODS[method].by_steps else "seed",
                        samples=samples,
                        seed=seed,
                        tuned=float(f"{usual * factor:.6g}"),  # as a person would write it
                    )
                    cells.append(cell)
    return cells


def trial_of(cell: Cell, experiment: Experiment) -> Trial:
    """What is kept of a finished trial."""
    scores, provenance = experiment.metrics[paths.SCORES], experiment.metrics[paths.PROVENANCE_METRICS]
    assert cell.tuned is not None
    return Trial(
        model=cell.base_model,
        method=cell.method,
        protocol=cell.protocol,
        samples=cell.samples,
        seed=cell.seed,
        value=cell.tuned,
        key=experiment.identity.key,
        val_loss=scores["val_loss"],
        val_accuracy=scores["val_accuracy"],
        best_epoch=scores["best_epoch"],
        epochs_run=scores["epochs_run"],
        precision_used=provenance["precision_used"],
        commit=provenance["commit"],
    )


def chosen(trials: Iterable[Trial], study: StudyParams, *, model: str) -> dict[tuple[str, int], float]:
    """For each method and size the value with the lowest mean validation loss; of equals the smallest.

    A method and size of which a value lacks a seed has chosen nothing yet.
    """
    losses: dict[tuple[str, int], dict[float, dict[int, float]]] = {}
    for trial in trials:
        protocol = study.protocol if METHODS[trial.method].by_steps else "seed"
        if trial.of == (model if METHODS[trial.method].has_base_model else "", trial.method, protocol, trial.samples):
            by_value = losses.setdefault((trial.method, trial.samples), {})
            by_value.setdefault(trial.value, {})[trial.seed] = trial.val_loss
    found = {}
    for of, by_value in losses.items():
        seeds = set(study.tuning.seeds)
        if len(by_value) >= len(study.tuning.factors) and all(seeds <= tried.keys() for tried in by_value.values()):
            means = {value: fmean(tried[seed] for seed in seeds) for value, tried in by_value.items()}
            found[of] = min(sorted(means), key=means.__getitem__)
    return found


def sensitivities(trials: Sequence[Trial], study: StudyParams, *, model: str) -> list[Sensitivity]:
    """What was tried for each method and size, in the order of the methods; `chosen` says what came of it."""
    of_methods = {method: model if METHODS[method].has_base_model else "" for method in study.methods}
    tried: dict[tuple[str, int], dict[float, list[float]]] = {}
    for trial in trials:
        protocol = study.protocol if METHODS[trial.method].by_steps else "seed"
        if (trial.protocol, trial.model) == (protocol, of_methods.get(trial.method)):
            tried.setdefault((trial.method, trial.samples), {}).setdefault(trial.value, []).append(trial.val_loss)
    found = chosen(trials, study, model=model)
    rank = list(study.methods)
    return [
        Sensitivity(
            method=method,
            samples=samples,
            tuned=METHODS[method].tuned.replace("_", " "),
            values=tuple(sorted(losses)),
            losses=tuple(fmean(losses[value]) for value in sorted(losses)),
            num_seeds=min(len(each) for each in losses.values()),
            chosen=found.get((method, samples)),
        )
        for (method, samples), losses in sorted(tried.items(), key=lambda one: (rank.index(one[0][0]), one[0][1]))
    ]


def require_chosen(
    found: Mapping[tuple[str, int], float], study: StudyParams, *, dataset: str
) -> Mapping[tuple[str, int], float]:
    """The choices, if every method and size of the grid has one.

    Raises:
        StudyError: If one has none; says what makes it.
    """
    missing = [(method, size) for method in study.methods for size in study.sizes if (method, size) not in found]
    if missing:
        methods = ",".join(dict.fromkeys(method for method, _ in missing))
        sizes = ",".join(str(size) for size in sorted({size for _, size in missing}))
        method, size = missing[0]
        raise StudyError(
            f"study.tuned: true, and nothing is chosen yet for {method} at {size:,} rows; `python -m stages.study tune "
            f"--dataset {dataset} --methods {methods} --sizes {sizes}` does that"
        )
    return found


def at_the_edge(trials: Sequence[Trial], found: Mapping[tuple[str, int], float]) -> list[str]:
    """Methods and sizes whose choice is the smallest or the largest value tried, in words: the best may lie beyond."""
    told = []
    for (method, samples), value in sorted(found.items()):
        tried = [trial.value for trial in trials if (trial.method, trial.samples) == (method, samples)]
        if value in (min(tried), max(tried)):
            end = "smallest" if value == min(tried) else "largest"
            told.append(f"{method} at {samples:,} rows: {value:g} is the {end} that was tried")
    return told


def file_of(dataset: str) -> Path:
    """Where the trials of a data set are recorded."""
    return FOLDER / f"{dataset}-tuning.csv"


def read_trials(dataset: str) -> list[Trial]:
    """Read what was recorded; nothing where nothing was."""
    file = file_of(dataset)
    if not file.is_file():
        return []
    texts = {field.name: str for field in fields(Trial) if field.type is str}
    records: list[dict[str, Any]] = pd.read_csv(file, dtype=texts, keep_default_na=False).to_dict(orient="records")
    return [Trial(**record) for record in records]


def write_trials(dataset: str, trials: Collection[Trial]) -> None:
    """Write all trials, in the order of the grid."""
    ordered = sorted(trials, key=lambda trial: (*trial.of, trial.value, trial.seed))
    frame = pd.DataFrame([asdict(trial) for trial in ordered], dtype=object)
    write_text(file_of(dataset), frame.to_csv(index=False, lineterminator="\n"))
