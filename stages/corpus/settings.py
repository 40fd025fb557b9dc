"""dataset.yaml, read strictly: what a data set is and where its texts and labels stand."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml

SPLITS = ("train", "validation", "test")
TYPES = {
    "text": str,
    "label": str,
    "group": str,
    "label_names": list,
    "splits": dict,
    "repo": str,
    "config": str,
    "revision": str,
    "seed": int,
    "train_rows": int,
    "test_rows": int,
}
TYPE_NAMES = {str: "text (put it into quotation marks)", list: "a list", dict: "keys and values", int: "a whole number"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnSettings:
    """Where texts and labels stand."""

    text: str | None = None  # None: `sentence`, else `text`
    label: str = "label"
    group: str | None = None  # rows of one group never stand on both sides of the partition
    label_names: list[Any] | None = None  # name of each class, in the order of their indices
    splits: dict[str, str] | None = None  # file, or the Hub's name, of train, test and perhaps validation


@dataclass(frozen=True, kw_only=True, slots=True)
class FilesSettings(ColumnSettings):
    """Kind `files`: tables in the data set's folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HubSettings(ColumnSettings):
    """Kind `hub`: a data set of the Hugging Face Hub."""

    repo: str  # owner/name
    config: str | None = None  # which of the repository's data sets
    revision: str | None = None  # commit, tag or branch


@dataclass(frozen=True, kw_only=True, slots=True)
class PhraseBankSettings:
    """Kind `phrase_banks`: texts that the project makes up."""

    label_names: list[Any]
    seed: int  # of the corpus itself
    train_rows: int
    test_rows: int


Settings = FilesSettings | HubSettings | PhraseBankSettings
KINDS: dict[str, type[Settings]] = {"files": FilesSettings, "hub": HubSettings, "phrase_banks": PhraseBankSettings}


def read_settings(folder: Path) -> Settings:
    """Read a data set's dataset.yaml; without one it is plain files with GLUE's columns.

    Raises:
        StudyError: For a key that is unknown, missing or ill-typed.
    """
    file = folder / "dataset.yaml"
    if not file.exists():
        return FilesSettings()
    content = read_yaml(file)
    kind = content.pop("kind", "files")
    if kind not in KINDS:
        raise StudyError(f"{file}: kind must be {', '.join(KINDS)}, got {kind!r}")
    known = {field.name: field.default is MISSING for field in fields(KINDS[kind])}
    for key, value in content.items():
        if key not in known:
            raise StudyError(f"{file}: unknown key {key} ({value!r}); kind {kind} knows {', '.join(known)}")
        if not isinstance(value, TYPES[key]) or isinstance(value, bool):
            raise StudyError(f"{file}: {key} must be {TYPE_NAMES[TYPES[key]]}, got {value!r}")
    for key, is_required in known.items():
        if is_required and key not in content:
            raise StudyError(f"{file}: missing key {key}, which kind {kind} needs")
    _check_splits(file, content.get("splits"))
    return KINDS[kind](**content)


def _check_splits(file: Path, splits: Mapping[str, Any] | None) -> None:
    if splits is None:
        return
    for key, value in splits.items():
        if key not in SPLITS or not isinstance(value, str):
            raise StudyError(f"{file}: splits gives {', '.join(SPLITS)} a name each, got {key}: {value!r}")
    for key in ("train", "test"):
        if key not in splits:
            raise StudyError(f"{file}: splits must name {key}, too")
