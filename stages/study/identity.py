"""What makes two experiments the same cell: all that decides its numbers, and nothing else.

    data         the digest of the source's files
    params       those that its method reads: tfidf's do not touch a cell of lora
    computation  precision, engine and device it really ran with; `auto` is resolved, never stored; and the digest of
                 the base weights, where no param pins them
    versions     the numerical versions of the rooms and of the method that computed it

Not the code: a comment, a new name or a faster way to the same numbers leaves every recorded cell as it is, and the
golden record (`tests/golden`) holds each version to what it computes. Not what only draws, reports or waits.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dvc.dependency.base import Dependency
from dvc.repo import Repo

from stages.corpus.sources.settings import HubSettings, read_settings
from stages.foundation import paths, versions
from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml
from stages.methods import METHODS
from stages.methods.method import READ_UNDER, Computation
from stages.study.cells import VARIED, Cell

STAGES = ("prepare", "subsample", "train", "evaluate")
# What every method's numbers depend on; the data set is known by its digest, whatever its folder is called.
COMMIT = re.compile("[0-9a-f]{40}")  # of the Hub; a branch or a tag moves
READ_BY_ALL = ("samples", "seed", "method", "prepare", "subsample")
# Params of the data that came later, with the values that earlier results were made with; of training: Method.implied.
IMPLIED = {"prepare.validation_ratio": "balanced", "subsample.validation_share": 0}
OTHER_WEIGHTS = "other base weights"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """A cell's data, params, computation and versions."""

    data: str  # DVC's hash of the source folder
    params: Mapping[str, Any]  # by dotted key; one that is null is left out, so that a new one may mean "as before"
    computation: Computation
    versions: Mapping[str, int]  # by room or method

    @property
    def key(self) -> str:
        """All four in one, 16 hexadecimal digits."""
        used = {name: value for name, value in asdict(self.computation).items() if value}  # as params: none is none
        return _digest([self.data, self.params, used, self.versions])

    @property
    def params_digest(self) -> str:
        """What all cells of one method share: params, and the base weights where no param pins them."""
        shared = {key: value for key, value in self.params.items() if key not in VARIED}
        return _digest(shared | ({"weights": self.computation.weights} if self.computation.weights else {}))

    def differences(self, other: "Identity") -> str:
        """Which of the four differ, for people: `other params (train.epochs), bf16 not fp32`."""
        keys = sorted(
            key for key in self.params.keys() | other.params.keys() if self.params.get(key) != other.params.get(key)
        )
        ours, theirs = asdict(self.computation), asdict(other.computation)
        has_other_weights = ours.pop("weights") != theirs.pop("weights")
        return ", ".join(
            [
                *(["other data"] if self.data != other.data else []),
                *([f"other params ({', '.join(keys)})"] if keys else []),
                *([OTHER_WEIGHTS] if has_other_weights else []),
                *(f"{value} not {theirs[name]}" for name, value in ours.items() if value != theirs[name]),
                *([_version_words(self.versions, other.versions)] if self.versions != other.versions else []),
            ]
        )


def versions_of(method: str) -> dict[str, int]:
    """The numerical versions that a cell of this method is computed with here and now."""
    found = METHODS[method]
    training = {"training": versions.TRAINING} if found.by_steps else {}
    return {"corpus": versions.CORPUS, **training, method: found.version, "scoring": versions.SCORING}


def deciding_params(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Of all params, by dotted key, those that decide the numbers of the method that they name."""
    values = dict(leaves(tree))
    method = METHODS[values["method"]]
    read = [*READ_BY_ALL, *method.reads, f"train.{method.name}"]
    if "model" in method.reads:
        read.append(f"train.base_models.{values['model']}")
    unread = [key for name, keys in READ_UNDER.items() if name != values.get("train.protocol", "seed") for key in keys]
    kept = {key: value for key, value in values.items() if _lies_under(key, read) and not _lies_under(key, unread)}
    implied = {**IMPLIED, **method.implied}
    return {
        key: sorted(set(value)) if isinstance(value, list) else value  # of layers, whose order decides nothing
        for key, value in sorted(kept.items())
        if value is not None and (key not in implied or value != implied[key])
    }


def _lies_under(key: str, sections: Sequence[str]) -> bool:
    return any(f"{key}.".startswith(f"{section}.") for section in sections)


def pins_weights(params: Mapping[str, Any]) -> bool:
    """Whether the params, by dotted key, say which base weights are meant.

    A commit of the Hub does, and a SHA-256, which they are held against whenever they are loaded. A folder or a branch
    of the Hub may hold others tomorrow.
    """
    entry = f"train.base_models.{params.get('model')}"
    pin = str(params.get(f"{entry}.pin") or "")
    if f"{entry}.source" not in params:
        model = str(params.get("model"))
        return not model.startswith((".", "/")) and bool(COMMIT.fullmatch(model.partition("@")[2]))
    return bool(COMMIT.fullmatch(pin) if params[f"{entry}.source"] == "hub" else pin)


def identity_of_experiment(lock: Mapping[str, Any], metrics: Mapping[str, Any]) -> Identity | None:
    """The identity of a finished experiment; None where a stage is missing, or has read what no other one wrote.

    Also None for a method that is not known here. What no other one wrote is what a run of some stages alone
    leaves (`dvc exp run -S samples=8000 train`): its scores are older.

    Args:
        lock: Its dvc.lock.
        metrics: What its stages say of themselves: engine, precision, device, weights, versions, under flat names.
    """
    stages = lock.get("stages", {})
    if not all(name in stages for name in STAGES):
        return None
    written = {out["path"]: out["md5"] for name in STAGES for out in stages[name].get("outs", [])}
    if any(dep["md5"] != written.get(dep["path"], dep["md5"]) for name in STAGES for dep in stages[name]["deps"]):
        return None
    params: dict[str, Any] = {}
    for name in STAGES:
        params |= stages[name].get("params", {}).get(str(paths.PARAMS), {})
    if params.get("method") not in METHODS:
        return None
    hashes = [dep["md5"] for dep in stages["prepare"]["deps"] if dep["path"].startswith(f"{paths.SOURCES}/")]
    names = {room: f"{room}_version" for room in ("corpus", "training", "scoring")}
    names[params["method"]] = "method_version"
    return Identity(
        data="".join(hashes),
        params=deciding_params(params),
        computation=Computation(
            precision=str(metrics.get("precision_used")),
            engine=str(metrics.get("engine_used")),
            device=str(metrics.get("device_used")),
            weights="" if pins_weights(dict(leaves(params))) else str(metrics.get("weights_sha256", "")),
        ),
        versions={room: int(metrics[key]) for room, key in names.items() if metrics.get(key)},
    )


class Workspace:
    """What a cell run here and now would be: params.yaml, the sources and the versions as they lie in the workspace."""

    def __init__(self, root: Path) -> None:
        self._repo = Repo(str(root))
        self._params = read_yaml(root / paths.PARAMS)
        self._root = root

    def identity(self, cell: Cell, computation: Computation, *, data: str | None = None) -> Identity:
        """The identity that this cell would have; `data` stands in for a source folder that is not at hand."""
        return Identity(
            data=self.source_hash(cell.dataset) if data is None else data,
            params=deciding_params(self._with(cell)),
            computation=computation,
            versions=versions_of(cell.method),
        )

    def varied(self, cell: Cell) -> tuple[Any, ...]:
        """The values of the keys that cells set, of this cell."""
        values = self._with(cell)
        return tuple(values.get(key) for key in VARIED)

    def has_source(self, dataset: str) -> bool:
        """Whether there is a folder of this name, which leads nowhere else: `..` and `/etc` are read by nobody."""
        return any(folder.name == dataset and folder.is_dir() for folder in (self._root / paths.SOURCES).glob("*"))

    def require_pinned_source(self, dataset: str) -> None:
        """Refuse a data set of the Hub without a commit: when its data change, its folder here stays the same.

        Raises:
            StudyError: If its dataset.yaml names none, or a branch or a tag.
        """
        folder = self._root / paths.SOURCES / dataset
        settings = read_settings(folder)
        if isinstance(settings, HubSettings) and not COMMIT.fullmatch(settings.revision or ""):
            raise StudyError(
                f"the data of {settings.repo} may change on the Hub from one cell to the next: a study needs their "
                f"commit, `revision: <40 hexadecimal digits>` in {folder / 'dataset.yaml'} ({paths.DATA_CARD} tells "
                "the one that `dvc repro` fetched)"
            )

    def source_hash(self, dataset: str) -> str:
        """DVC's hash of a data set's folder."""
        stage = next(stage for stage in self._repo.index.stages if getattr(stage, "name", None) == "prepare")
        folder = self._root / paths.SOURCES / dataset
        return str(Dependency(stage, str(folder)).get_hash().value)

    def _with(self, cell: Cell) -> dict[str, Any]:
        return dict(leaves(self._params)) | cell.overrides()


def leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no section, by its dotted key."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{name}.")
        else:
            is_whole = isinstance(value, float) and value.is_integer()  # 0 and 0.0 are one choice
            yield f"{path}{name}", int(value) if is_whole else value


def _version_words(ours: Mapping[str, int], theirs: Mapping[str, int]) -> str:
    if not ours:
        return "made before numerical versions were recorded"
    told = [f"{room} {ours.get(room, '-')} not {number}" for room, number in theirs.items() if ours.get(room) != number]
    return f"numerical version {', '.join(told)}"


def _digest(content: Any) -> str:
    """The same for 5e-4 and 0.0005, and for any order of keys."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
