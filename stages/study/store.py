"""Finished cells as a small file: one row of numbers each, and what each made of every test row.

The texts stay where they are; of a test row only its number, its label, its length and whether it negates are kept, so
that the answer page can be built again from these two files alone.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.foundation.errors import StudyError
from stages.foundation.files import write_text
from stages.foundation.split import Split
from stages.methods.method import Computation
from stages.study.cells import Cell

FOLDER = Path("metrics/study")
NEGATION = re.compile(r"\b(?:not|no|never|nothing|nobody|none|neither|nor|without|hardly|cannot)\b|n't\b")
TEXTS = (  # digests and versions of libraries may look like numbers
    *("key", "commit", "contrast", "data", "params_digest", "weights_sha256", "claim"),
    *("python", "torch", "transformers", "peft", "scikit_learn"),
)
IDENTITY = [
    *(
        "dataset",
        "model",
        "method",
        "protocol",
        "contrast",
        "samples",
        "seed",
        "max_steps",
        "validation_share",
        "tuned",
    ),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One finished cell."""

    cell: Cell
    key: str  # of its identity
    numbers: Mapping[str, Any]  # scores (fractions, nats), cost, provenance, overlap, steps, temperature; flat
    logits: NDArray[np.float32]  # (N, C) of the test rows; class 0 is 0, which changes no probability

    @property
    def precision(self) -> str:
        """The number format that it was computed in."""
        return str(self.numbers["precision_used"])

    @property
    def computation(self) -> Computation:
        """What it was computed with."""
        engine, device = (str(self.numbers[name]) for name in ("engine_used", "device_used"))
        weights = str(self.numbers.get("weights_sha256", ""))  # cells of before it was recorded have none
        return Computation(precision=self.precision, engine=engine, device=device, weights=weights)

    @property
    def commit(self) -> str:
        """The commit of the code that trained it."""
        return str(self.numbers["commit"])

    @property
    def told(self) -> str:
        """Where it came from, for people: commit and number format."""
        return f"{self.commit[:7]}, {self.precision}"

    @property
    def versions(self) -> dict[str, int]:
        """The numerical versions that it was computed with, by room or method."""
        rooms = {room: self.numbers.get(f"{room}_version") for room in ("corpus", "training", "scoring")}
        named = rooms | {self.cell.method: self.numbers["method_version"]}
        return {room: int(number) for room, number in named.items() if number not in (None, "")}

    @property
    def kind(self) -> tuple[str, ...]:
        """What the cells of one method share in a study: model, data, params and numerical versions."""
        return (
            self.cell.base_model,
            *(str(self.numbers[name]) for name in ("data", "params_digest")),
            str(self.versions),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RowFacts:
    """The N test rows that all cells share, without their texts."""

    row_ids: NDArray[np.int64]  # (N,)
    labels: NDArray[np.int64]  # (N,) class index
    num_words: NDArray[np.int64]  # (N,)
    negates: NDArray[np.bool_]  # (N,) holds a word of negation
    label_names: tuple[str, ...]

    @classmethod
    def of(cls, test: Split) -> Self:
        """What is kept of a test split."""
        return cls(
            row_ids=test.row_ids,
            labels=test.labels,
            num_words=np.array([len(text.split()) for text in test.quoted], dtype=np.int64),
            negates=np.array([bool(NEGATION.search(text.lower())) for text in test.quoted]),
            label_names=test.label_names,
        )

    def are(self, other: "RowFacts") -> bool:
        """Whether these are the same rows with the same labels."""
        return np.array_equal(self.row_ids, other.row_ids) and np.array_equal(self.labels, other.labels)


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """Finished cells of one data set, by their key."""

    rows: RowFacts | None  # None: no cell yet
    by_key: Mapping[str, Result]

    def join(self, rows: RowFacts, result: Result) -> Self:
        """These and one more.

        Raises:
            StudyError: If the cell was tested on other rows.
        """
        if self.rows is not None and not self.rows.are(rows):
            raise StudyError(
                f"{result.cell.name} was tested on other rows than the cells before it; `dvc exp remove` it"
            )
        return type(self)(rows=rows, by_key={**self.by_key, result.key: result})


def relative(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (N, C) less those of class 0: the same probabilities and the same predicted class."""
    difference: NDArray[np.float32] = (logits - logits[:, :1]).astype(np.float32)
    return difference


def files_of(dataset: str) -> tuple[Path, Path]:
    """Where the results of a data set are recorded: numbers, and predictions."""
    return FOLDER / f"{dataset}.csv", FOLDER / f"{dataset}.parquet"


def claim_file(dataset: str, model: str) -> Path:
    """Where the claim about a data set and a model stands (`stages/study/claim.py`)."""
    name = re.sub(r"[^A-Za-z0-9-]+", "-", f"{dataset}-{model}").strip("-")
    return FOLDER / f"{name}.claim.yaml"


def claim_digest(text: str) -> str:
    """Of a claim file, the beginning of what `sha256sum` prints; empty where there is none."""
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else ""


def require_same_record(dataset: str, results: Results) -> None:
    """Refuse to write results that leave recorded cells out: those of other data would be lost.

    Raises:
        StudyError: If cells are recorded that are not among these.
    """
    if lost := read_results(dataset).by_key.keys() - results.by_key.keys():
        table, predictions = files_of(dataset)
        raise StudyError(
            f"{len(lost)} cells of other data are recorded in {table} and {predictions}, and would be lost: "
            "move both files away first, or take the data back"
        )


def write_results(dataset: str, results: Results) -> None:
    """Write both files, cells in the order of the grid."""
    if results.rows is None:
        return
    table, predictions = files_of(dataset)
    ordered = sorted(results.by_key.values(), key=lambda result: _order(result.cell))
    # As objects: a whole number stays one where other cells have none.
    records = pd.DataFrame([_record(result) for result in ordered], dtype=object)
    write_text(table, records.to_csv(index=False, lineterminator="\n"))
    rows = results.rows
    columns: dict[str, NDArray[Any]] = {
        "row_id": rows.row_ids,
        "label": rows.labels,
        "words": rows.num_words,
        "negates": rows.negates,
    }
    for result in ordered:
        columns |= {f"{result.key}:{at}": result.logits[:, at] for at in range(1, result.logits.shape[1])}
    frame = pd.DataFrame(columns)
    frame.attrs["label_names"] = list(rows.label_names)
    partial = predictions.with_name(f"{predictions.name}.partial")
    frame.to_parquet(partial, index=False, compression="zstd")
    partial.replace(predictions)


def read_results(dataset: str) -> Results:
    """Read what was recorded; nothing where nothing was.

    Raises:
        StudyError: If the two files do not belong together.
    """
    table, predictions = files_of(dataset)
    if not table.is_file() or not predictions.is_file():
        return Results(rows=None, by_key={})
    frame = pd.read_parquet(predictions)
    rows = RowFacts(
        row_ids=frame["row_id"].to_numpy(np.int64),
        labels=frame["label"].to_numpy(np.int64),
        num_words=frame["words"].to_numpy(np.int64),
        negates=frame["negates"].to_numpy(np.bool_),
        label_names=tuple(frame.attrs["label_names"]),
    )
    records = pd.read_csv(table, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False)
    if missing := [key for key in records["key"] if f"{key}:1" not in frame]:
        raise StudyError(
            f"{predictions} has no predictions of {missing[0]}, which {table} lists: take both files from one commit, "
            "or delete both and run `python -m stages.study report`"
        )
    found = [_result(record, frame, len(rows.label_names)) for record in records.to_dict(orient="records")]
    return Results(rows=rows, by_key={result.key: result for result in found})


def _order(cell: Cell) -> tuple[Any, ...]:
    return (cell.model, cell.protocol, cell.contrast, cell.method, cell.max_steps or 0, cell.samples, cell.seed)


def _record(result: Result) -> dict[str, Any]:
    cell = {name: getattr(result.cell, name) for name in IDENTITY}
    return cell | {"key": result.key} | dict(result.numbers)


def _result(record: Mapping[Any, Any], frame: pd.DataFrame, num_classes: int) -> Result:
    key = record["key"]
    logits = np.zeros((len(frame), num_classes), dtype=np.float32)
    for at in range(1, num_classes):
        logits[:, at] = frame[f"{key}:{at}"]
    max_steps = record["max_steps"]
    share = record.get("validation_share", "")  # cells of before it was a choice have none
    return Result(
        cell=Cell(
            dataset=record["dataset"],
            model=record["model"],
            method=record["method"],
            protocol=record["protocol"],
            contrast=record["contrast"],
            samples=int(record["samples"]),
            seed=int(record["seed"]),
            max_steps=None if max_steps == "" else int(float(max_steps)),
            validation_share=None if share == "" else float(share),
            tuned=None if record["tuned"] == "" else float(record["tuned"]),
        ),
        key=key,
        numbers={name: value for name, value in record.items() if name not in (*IDENTITY, "key")},
        logits=logits,
    )
