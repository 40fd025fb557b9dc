"""The trained model that is asked for, its validation rows, and what was recorded when it was made."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.engine.models.record import read_record
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, read_yaml
from stages.foundation.split import Split, read_split
from stages.predict.experiments import fetched

LOCK = Path("dvc.lock")
CLASS_SCORES = Path("metrics/classes.json")
CALIBRATION = "calibration.json"  # in the model's folder
RECORDED = (paths.POOL_METRICS, paths.SUBSET_METRICS, paths.SCORES, paths.PROVENANCE_METRICS)
NEEDED = (LOCK, paths.HELD_OUT, paths.DATA_CARD, paths.MODEL, *RECORDED)  # of an experiment
PERHAPS = (CLASS_SCORES, paths.VALIDATION)  # those of before there was a choice validated with HELD_OUT


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the stages of an experiment recorded of it."""

    params: Mapping[str, Any]  # dotted keys of params.yaml, as the stages read them
    data: Mapping[str, Any]  # the data card
    pool: Mapping[str, Any]
    subset: Mapping[str, Any]
    scores: Mapping[str, Any]
    provenance: Mapping[str, Any]
    classes: Mapping[str, Any]  # scores of each class by split and name; empty where the experiment has none


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A model to be exported."""

    folder: Path  # what `Classifier.save` wrote
    validation: Split  # rows that it was not trained on
    calibration: Mapping[str, Any]  # empty where it has none
    facts: Facts | None  # None: it came as a folder, without its experiment


@contextmanager
def find_trained(experiment: str | None, model: Path | None) -> Iterator[Trained]:
    """The model of an experiment by its name, of a folder, or of the workspace where neither is given.

    Raises:
        StudyError: If there is none, its validation rows are not there, or the workspace's metrics are of another one.
    """
    if experiment is not None:
        with fetched(experiment, NEEDED, perhaps=PERHAPS) as place:
            yield _trained(place, place / paths.MODEL, facts=_facts(place))
    elif model is not None:
        yield _trained(Path(), model, facts=None)
    else:
        _require_own_metrics()
        yield _trained(Path(), paths.MODEL, facts=_facts(Path()))


def _trained(root: Path, folder: Path, *, facts: Facts | None) -> Trained:
    if not folder.is_dir():
        raise StudyError(f"there is no model in {folder}; `dvc repro` trains one, --model names another folder")
    file = root / paths.VALIDATION if (root / paths.VALIDATION).is_file() else root / paths.HELD_OUT
    record, validation = read_record(folder), read_split(file)
    if tuple(record.label_names) != validation.label_names:
        raise StudyError(
            f"{folder} knows the classes {', '.join(record.label_names)}, but {file} has "
            f"{', '.join(validation.label_names)}: prepare the data that it was trained on"
        )
    told = folder / CALIBRATION
    calibration = read_json(told) if told.is_file() else {}
    found = {"validation_rows": len(validation), "reads_pairs": validation.second is not None}
    if any(calibration.get(key, value) != value for key, value in found.items()):
        raise StudyError(
            f"{file} has other rows than those that {folder} was validated on: prepare the data that it was trained on"
        )
    return Trained(folder=folder, validation=validation, calibration=calibration, facts=facts)


def _facts(root: Path) -> Facts:
    stages = read_yaml(root / LOCK)["stages"].values()
    params = [stage.get("params", {}).get(str(paths.PARAMS), {}) for stage in stages]
    pool, subset, scores, provenance = (read_json(root / file) for file in RECORDED)
    return Facts(
        params={key: value for tree in params for key, value in tree.items()},
        data=read_json(root / paths.DATA_CARD),
        pool=pool,
        subset=subset,
        scores=scores,
        provenance=provenance,
        classes=read_json(root / CLASS_SCORES) if (root / CLASS_SCORES).is_file() else {},
    )


def _require_own_metrics() -> None:
    """Refuse numbers that are not of the model in the workspace, by the hashes that DVC keeps."""
    if not paths.MODEL.is_dir():
        raise StudyError(f"there is no model in {paths.MODEL}; `dvc repro` trains one, --model names another folder")
    lock = read_yaml(LOCK)["stages"]
    of_stages = [entry for stage in lock.values() for entry in (*stage.get("deps", []), *stage.get("outs", []))]
    known = {entry["path"]: entry["md5"] for entry in of_stages if "md5" in entry}
    found = {paths.MODEL.as_posix(): _folder_md5(paths.MODEL)}
    told = (*RECORDED, *(file for file in (CLASS_SCORES,) if file.as_posix() in known))
    found |= {file.as_posix(): _md5(file.read_bytes()) for file in told if file.is_file()}
    if other := sorted(path for path, digest in found.items() if known.get(path) != digest):
        raise StudyError(
            f"{', '.join(other)}: not what dvc.lock records, so the metrics may be of another model; run `dvc repro`, "
            f"or export with --model {paths.MODEL}, without metrics in the card"
        )


def _folder_md5(folder: Path) -> str:
    """DVC's hash of a folder: that of the sorted list of its files with theirs."""
    names = sorted((file.relative_to(folder).parts, file) for file in folder.rglob("*") if file.is_file())
    listed = [{"md5": _md5(file.read_bytes()), "relpath": "/".join(parts)} for parts, file in names]
    return _md5(json.dumps(listed, sort_keys=True).encode()) + ".dir"


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
