"""What Git and DVC know of experiments: their names, the small files they committed, the large ones in the cache."""

import hashlib
import io
import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.api import DVCFileSystem
from dvc.repo import Repo
from dvc_data.index import DataIndexDirError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.foundation import paths
from stages.foundation.cache import require_intact
from stages.foundation.errors import StudyError
from stages.study.identity import Identity, identity_of_experiment, leaves

EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(.+)")
LOCK = Path("dvc.lock")
METRICS = (paths.POOL_METRICS, paths.SUBSET_METRICS, paths.SCORES, paths.COST_METRICS, paths.PROVENANCE_METRICS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """A finished experiment, made by the study or by hand."""

    name: str  # HEAD: what the current commit holds
    commit: str  # of the experiment itself
    baseline: str  # the commit that it started from, so the version of the code
    identity: Identity
    lock: Mapping[str, Any]  # its dvc.lock
    metrics: Mapping[Path, Mapping[str, Any]]  # what each of its metrics files says, under flat names
    altered: Sequence[Path]  # metrics files that are not what its stages wrote; what these say is not read

    def params(self) -> dict[str, Any]:
        """What its stages read from params.yaml, by dotted key."""
        read = (stage.get("params", {}).get(str(paths.PARAMS), {}) for stage in self.lock["stages"].values())
        return {key: value for tree in read for key, value in leaves(tree)}

    def output_bytes(self) -> int:
        """What it holds in the cache."""
        outs = [out for stage in self.lock["stages"].values() for out in stage.get("outs", [])]
        return sum(out.get("size", 0) for out in outs)


def experiments(root: Path) -> list[Experiment]:
    """Every finished experiment of every baseline, and the one that the current commit holds."""
    listed = [("HEAD", git(root, "rev-parse", "HEAD").strip(), git(root, "rev-parse", "HEAD").strip())]
    refs = git(root, "for-each-ref", "--format=%(refname) %(objectname)", "refs/exps").splitlines()
    for line in refs:
        ref, commit = line.rsplit(" ", 1)
        if match := EXPERIMENT.fullmatch(ref):
            listed.append((match[3], commit, match[1] + match[2]))
    files = (LOCK, *METRICS)
    texts = read_committed(root, [f"{commit}:{file.as_posix()}" for _, commit, _ in listed for file in files])
    found = []
    for at, (name, commit, baseline) in enumerate(listed):
        lock_text, *metric_texts = texts[at * len(files) : (at + 1) * len(files)]
        lock = _lock(lock_text, name)
        by_file = dict(zip(METRICS, metric_texts, strict=True))
        altered = _altered(lock, by_file)
        metrics = {file: json.loads(text) if text and file not in altered else {} for file, text in by_file.items()}
        told = {name: value for content in metrics.values() for name, value in content.items()}
        if identity := identity_of_experiment(lock, told):
            made = Experiment(
                name=name,
                commit=commit,
                baseline=baseline,
                identity=identity,
                lock=lock,
                metrics=metrics,
                altered=altered,
            )
            found.append(made)
    return found


def _lock(text: str, name: str) -> dict[str, Any]:
    """What a dvc.lock holds; one with the marks of a merge in it, or cut short, can be committed as any other."""
    try:
        lock = YAML(typ="safe").load(text) if text else {}
        if not isinstance(lock, dict) or not isinstance(lock.get("stages", {}), dict):
            raise StudyError("it holds no stages")
    except (YAMLError, StudyError) as error:
        way = "`rm dvc.lock && dvc repro`, and commit it" if name == "HEAD" else f"`dvc exp remove {name}`"
        raise StudyError(f"{LOCK} of {name} can't be read: {way} ({' '.join(str(error).split())})") from None
    return lock


def _altered(lock: Mapping[str, Any], texts: Mapping[Path, str]) -> list[Path]:
    """Files whose MD5 is not the one that dvc.lock holds: edited, or another run's. Neither text nor MD5 is none."""
    written = {out["path"]: out["md5"] for stage in lock.get("stages", {}).values() for out in stage.get("outs", [])}
    found = {file: hashlib.md5(text.encode()).hexdigest() if text else None for file, text in texts.items()}
    return [file for file, digest in found.items() if digest != written.get(file.as_posix())]


def read_committed(root: Path, objects: Sequence[str]) -> list[str]:
    """Text of each `commit:path`, empty where there is none, by one call of Git."""
    if not objects:
        return []
    asked = "\n".join(objects).encode() + b"\n"
    answer = subprocess.run(["git", "cat-file", "--batch"], cwd=root, input=asked, capture_output=True, check=True)
    stream, texts = io.BytesIO(answer.stdout), []
    for _ in objects:
        head = stream.readline().split()
        texts.append(stream.read(int(head[2])).decode() if head[-1] != b"missing" else "")
        if texts[-1] or head[-1] != b"missing":
            stream.read(1)
    return texts


def read_outputs(root: Path, commit: str, files: Iterable[Path]) -> list[bytes] | None:
    """Outputs of an experiment, through DVC; None where the cache no longer holds one of them.

    Raises:
        StudyError: If it holds other bytes than were put there.
    """
    system = DVCFileSystem(str(root), rev=commit)
    outputs = []
    try:
        for file in files:
            outputs.append(system.read_bytes(file.as_posix()))
            require_intact(outputs[-1], system.info(file.as_posix()).get("md5"), f"{file} of {commit[:7]}")
    except (FileNotFoundError, DataIndexDirError):
        return None
    return outputs


def cache_folder(root: Path) -> Path:
    """Where DVC keeps what experiments made."""
    return Path(Repo(str(root)).cache.local.path).parents[1]  # it names the folder of MD5s, files/md5


def git(root: Path, *words: str) -> str:
    """What a Git command prints.

    Raises:
        StudyError: If it fails.
    """
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StudyError(f"git {words[0]} failed, and a study needs a Git repository: {' '.join(done.stderr.split())}")
    return done.stdout
