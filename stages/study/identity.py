"""What makes two experiments the same cell: the data they read, the params they declare, the code they ran.

The four stages that make a result count; `report` draws it and changes nothing.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dvc.dependency.base import Dependency
from dvc.repo import Repo

from stages.foundation import paths
from stages.foundation.files import read_yaml
from stages.study.grid import VARIED, Cell

STAGES = ("prepare", "subsample", "train", "evaluate")
ASPECTS = ("data", "params", "code")


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """A cell's data, params and code, each as a digest."""

    data: str  # DVC's hash of the source folder
    params: str
    code: str
    protocol: str  # of the params, what all cells of one study share

    @property
    def key(self) -> str:
        """Data, params and code in one."""
        return _digest([self.data, self.params, self.code])[:16]

    def differences(self, other: "Identity") -> str:
        """Which of the three differ, for people."""
        return ", ".join(name for name in ASPECTS if getattr(self, name) != getattr(other, name))


def identity_of_lock(lock: Mapping[str, Any]) -> Identity | None:
    """The identity of what a dvc.lock records; None where a stage is missing, or has read what no other one wrote.

    The latter is what a run of some stages alone leaves (`dvc exp run -S samples=8000 train`): its scores are older.
    """
    stages = lock.get("stages", {})
    if not all(name in stages for name in STAGES):
        return None
    written = {out["path"]: out["md5"] for name in STAGES for out in stages[name].get("outs", [])}
    if any(dep["md5"] != written.get(dep["path"], dep["md5"]) for name in STAGES for dep in stages[name]["deps"]):
        return None
    code, params, data = {}, {}, ""
    for name in STAGES:
        entry = stages[name]
        hashes = {dep["path"]: dep["md5"] for dep in entry["deps"]}
        code[name] = [entry["cmd"], {path: value for path, value in hashes.items() if _is_code(path)}]
        params[name] = entry.get("params", {}).get(str(paths.PARAMS), {})
        data += "".join(value for path, value in hashes.items() if path.startswith(f"{paths.SOURCES}/"))
    return _identity(data, params, code=_digest(code))


class Workspace:
    """What a cell run here and now would be: params.yaml, the code and the sources as they lie in the workspace."""

    def __init__(self, root: Path) -> None:
        self._repo = Repo(str(root))
        self._params = read_yaml(root / paths.PARAMS)
        self._pipeline = read_yaml(root / paths.PIPELINE)["stages"]
        self._root = root

    def identity(self, cell: Cell, *, data: str | None = None) -> Identity:
        """The identity that this cell would have; `data` stands in for a source folder that is not at hand."""
        changed = cell.overrides()
        params = {
            name: {key: changed.get(key, _value(self._params, key)) for key in self._pipeline[name].get("params", [])}
            for name in STAGES
        }
        source = self.source_hash(cell.dataset) if data is None else data
        return _identity(source, params, code=self._code)

    def varied(self, cell: Cell) -> tuple[Any, ...]:
        """The values of the keys that cells set, of this cell."""
        changed = cell.overrides()
        return tuple(changed.get(key, _value(self._params, key)) for key in VARIED)

    def has_source(self, dataset: str) -> bool:
        """Whether the data set's folder holds data: one that is made or fetched needs its dataset.yaml alone."""
        return (self._root / paths.SOURCES / dataset).is_dir()

    def source_hash(self, dataset: str) -> str:
        """DVC's hash of a data set's folder."""
        return self._hash(f"{paths.SOURCES}/{dataset}")

    @cached_property
    def _code(self) -> str:
        code = {}
        for name in STAGES:
            entry = self._pipeline[name]
            hashes = {path: self._hash(path) for path in entry["deps"] if _is_code(path)}
            code[name] = [entry["cmd"], dict(sorted(hashes.items()))]
        return _digest(code)

    def _hash(self, path: str) -> str:
        stage = next(stage for stage in self._repo.index.stages if getattr(stage, "name", None) == "prepare")
        return str(Dependency(stage, str(self._root / path)).get_hash().value)


def _identity(data: str, params: Mapping[str, Mapping[str, Any]], *, code: str) -> Identity:
    shared = [{key: value for key, value in read.items() if key not in VARIED} for _, read in sorted(params.items())]
    return Identity(data=data, params=_digest(params), code=code, protocol=_digest(shared))


def _is_code(path: str) -> bool:
    return path.startswith("stages/")


def _value(tree: Any, key: str) -> Any:
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def _digest(content: Any) -> str:
    """The same for 5e-4 and 0.0005, and for any order of keys."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
