"""A small project of this pipeline, to be run and broken on purpose."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from stages.foundation import paths
from tests.pages.workspace import REPOSITORY, copy_project
from tests.tiny_models import save_tiny_bert

STEPS = 300  # of the optimizer
PARAMS = {
    "dataset": "mine",
    "model": "./tiny",
    "samples": 120,
    "prepare.validation_rows": 40,
    "train.epochs": 3,
    "train.patience": 3,
    "train.max_steps": STEPS,
    "train.batch_size": 8,
    "train.checkpoint_seconds": 0.05,
    "train.device": "cpu",
    "train.precision": "fp32",
    "evaluate.device": "cpu",
    "study.sizes": [120],
    "study.seeds": [42],
    "study.methods": ["lora"],
    "study.protocol": "seed",  # as a run outside of the study, with which its cells are compared
}
OUTPUTS = {  # what must be the same bytes however often a stage was killed; cost.json holds seconds
    "prepare": ["data/prepared", "metrics/pool.json"],
    "subsample": ["data/subset", "metrics/subset.json"],
    "train": ["data/model", "data/history.csv"],
    "evaluate": [
        "data/predictions",
        "metrics/scores.json",
        "metrics/classes.json",
        "plots/history.csv",
        "plots/confusion.csv",
    ],
    "report": ["plots/confusion.png", "plots/loss.pdf", "plots/acc.pdf"],  # the page shows the seconds
}
RECORDED = ("data/prepared", "data/subset", "data/model", "data/history.csv", "data/predictions")


def make_project(folder: Path, **changes: object) -> None:
    """A repository of Git and DVC with everything committed and nothing run."""
    copy_project(folder, PARAMS | changes)
    save_tiny_bert(folder / "tiny")
    for words in (["init", "-q", "-b", "main"], ["config", "user.name", "n"], ["config", "user.email", "e@x.y"]):
        git(folder, *words)
    call(folder, "dvc", "init", "-q")
    shutil.copy(REPOSITORY / ".dvc/.gitignore", folder / ".dvc/.gitignore")
    shutil.copytree(REPOSITORY / ".dvc/plots", folder / ".dvc/plots", dirs_exist_ok=True)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "a project")


def call(folder: Path, *words: str) -> str:
    """What a command says; one that fails is an error."""
    done = subprocess.run(words, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def git(folder: Path, *words: str) -> str:
    """What a Git command prints."""
    return call(folder, "git", *words)


def environment(folder: Path) -> dict[str, str]:
    """This Python first; one thread, since two wait for each other on so small a model; steps are counted."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DVC_ROOT", "STUDY_TRACEBACK")}
    return kept | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": str(Path(__file__).parent / "counted"),
        "STEPS_FILE": str(steps_file(folder)),
        "OMP_NUM_THREADS": "1",
        "DVC_NO_ANALYTICS": "1",
    }


def steps_file(folder: Path) -> Path:
    """Beside the project, a byte for each optimizer step."""
    return folder.with_name(folder.name + ".steps")


def steps_done(folder: Path) -> int:
    """Optimizer steps of all trainings in a project."""
    return steps_file(folder).stat().st_size if steps_file(folder).exists() else 0


def digests_of_files(folder: Path, stage: str) -> dict[str, str]:
    """SHA-256 of each output file of a stage."""
    files = [file for name in OUTPUTS[stage] for file in _files(folder / name)]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def digests_of_lock(text: str) -> dict[str, str]:
    """What a dvc.lock says of the outputs that hold no seconds."""
    stages = YAML(typ="safe").load(text)["stages"]
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    return {out["path"]: out["md5"] for out in outs if out["path"] in (*RECORDED, str(paths.SCORES))}


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
