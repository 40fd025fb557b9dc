"""Finished cells reach a colleague's clone through a DVC remote and a Git remote, and nothing secret goes with them."""

import subprocess
from pathlib import Path

import pytest

from tests.faults.project import call, environment, git, make_project

SECRET = "correct-horse-battery-staple"
CHANGES = {
    "dataset": "mine",
    "method": "tfidf",
    "samples": 20,
    "seed": 1,
    "study.sizes": [20],
    "study.seeds": [1, 2],
    "study.methods": ["tfidf"],
}


def study(folder: Path, *words: str) -> str:
    return call(folder, "python", "-m", "stages.study", *words)


def use_store(folder: Path, store: Path) -> None:
    """As stages/README.md says: what is nobody else's business goes into a file that Git ignores."""
    call(folder, "dvc", "remote", "modify", "--local", "shared", "url", str(store))


def fresh_clone(hub: Path, folder: Path, store: Path) -> Path:
    git(hub.parent, "clone", "-q", str(hub), str(folder))
    use_store(folder, store)
    return folder


def objects_of_git(repository: Path) -> bytes:
    """Every commit, file and message that it holds, of experiments, too."""
    words = ["git", "cat-file", "--batch", "--batch-all-objects"]
    return subprocess.run(words, cwd=repository, env=environment(repository), capture_output=True, check=True).stdout


def files_with(text: str, folder: Path) -> list[str]:
    """Files below a folder that say it: workspace, logs, DVC's cache; Git's own are packed."""
    files = (file for file in folder.rglob("*") if file.is_file() and ".git" not in file.relative_to(folder).parts)
    return [str(file.relative_to(folder)) for file in files if text.encode() in file.read_bytes()]


@pytest.mark.slow
def test_a_colleague_has_the_finished_cells_without_training_and_without_the_owners_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    hub, store, owner = tmp_path / "hub.git", tmp_path / f"store-{SECRET}", tmp_path / "owner"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(hub))
    make_project(owner, **CHANGES)
    call(owner, "dvc", "remote", "add", "-d", "shared", str(tmp_path / "nobody-sees-where"))
    use_store(owner, store)
    git(owner, "commit", "-qam", "A remote")
    git(owner, "remote", "add", "origin", str(hub))
    git(owner, "push", "-q", "origin", "main")

    assert study(owner, "run").startswith("2 cells, 0 finished, 2 to make\n")
    told = study(owner, "report")
    call(owner, "dvc", "exp", "push", "--run-cache", "origin")

    clone = fresh_clone(hub, tmp_path / "clone", store)
    assert study(clone, "plan").startswith("2 cells: 0 finished, 2 missing\n")
    call(clone, "dvc", "exp", "pull", "--run-cache", "origin")

    assert study(clone, "plan").startswith("2 cells: 2 finished, 0 missing\n")
    assert study(clone, "run") == "2 cells, 2 finished, 0 to make\n"
    assert study(clone, "report") == told
    said = call(clone, "dvc", "repro")
    assert "Stage 'train' is cached - skipping run" in said
    assert "Running stage 'train'" not in said

    # A look at the answer takes no models: of each cell `report` fetches what it reads.
    looker = fresh_clone(hub, tmp_path / "looker", store)
    call(looker, "dvc", "exp", "pull", "--no-cache", "origin")
    assert study(looker, "report") == told
    assert not (looker / ".dvc/cache/files").exists()

    for folder in (owner, clone, looker):
        assert files_with(SECRET, folder) == [".dvc/config.local"]
        assert SECRET.encode() not in objects_of_git(folder)
    assert files_with(SECRET, store) == []
    assert b"A remote" in objects_of_git(hub)
    assert SECRET.encode() not in objects_of_git(hub)
