"""`python -m stages.export` as a stranger types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stages.export.__main__ import main
from tests.faults.project import call, make_project
from tests.hub_server import HubServer, use_hub

REPOSITORY = Path(__file__).resolve().parents[2]


def run(folder, *words):
    """What it says, and its exit code."""
    command = [sys.executable, "-m", "stages.export", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def complaint(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["export", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    assert "\n" not in str(left.value.code)
    return str(left.value.code)


def test_a_folder_is_pushed_by_its_name(experiment, tmp_path, monkeypatch, capsys):
    experiment()
    monkeypatch.setattr(sys, "argv", ["export", "merged", "--out", str(tmp_path / "out")])
    main()
    with HubServer() as hub:
        use_hub(hub.url, tmp_path / "home", monkeypatch)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        monkeypatch.setattr(sys, "argv", ["export", "push", str(tmp_path / "out"), "owner/name"])
        main()
        repository = hub.repositories["models", "owner/name"]

    assert f"is at {hub.url}/owner/name/commit/" in capsys.readouterr().out
    pushed = repository.commits[repository.branches["main"]]
    assert pushed["README.md"] == (tmp_path / "out" / "README.md").read_bytes()
    assert {"model.safetensors", "config.json", "tokenizer.json"} < set(pushed)


def test_what_cannot_be_pushed_is_refused_in_a_line(experiment, tmp_path, monkeypatch):
    experiment()
    monkeypatch.setattr(sys, "argv", ["export", "adapter", "--out", str(tmp_path / "out")])
    main()

    assert complaint(monkeypatch, "push", tmp_path / "out", "owner/name").startswith("export: an adapter on the Hub")
    assert "is no export: it has no README.md" in complaint(monkeypatch, "push", tmp_path, "owner/name")


def test_what_can_be_mended_is_one_line(experiment, tmp_path, monkeypatch):
    experiment()

    assert complaint(monkeypatch, "merged", "--out", tmp_path).startswith(f"export: {tmp_path} is already there")
    assert "no model in nowhere" in complaint(monkeypatch, "merged", "--out", tmp_path / "out", "--model", "nowhere")


def test_the_help_needs_no_model_and_no_second(repository):
    code, said = run(repository, "--help")

    assert code == 0
    for command in ("adapter", "merged", "onnx", "files", "push"):
        assert f"python -m stages.export {command}" in said


@pytest.mark.slow
def test_an_experiment_is_exported_by_name_and_the_workspace_by_what_dvc_recorded(tmp_path):
    project = tmp_path / "project"
    make_project(project)
    call(project, "dvc", "exp", "run", "-q", "-n", "first")
    code, said = run(project, "merged", "--out", str(tmp_path / "workspace"))
    assert code == 0, said

    call(project, "dvc", "exp", "run", "-q", "-n", "second", "-S", "method=tfidf", "-S", "seed=7")
    code, said = run(project, "merged", "--out", str(tmp_path / "first"), "--experiment", "first")
    assert code == 0, said
    for file in ("model.safetensors", "config.json", "README.md"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "workspace" / file).read_bytes()
    assert json.loads((tmp_path / "first" / "config.json").read_text())["id2label"] == {"0": "0", "1": "1"}
    assert "seed 42" in (tmp_path / "first" / "README.md").read_text()

    code, said = run(project, "files", "--out", str(tmp_path / "second"), "--experiment", "second")
    assert code == 0, said
    assert "seed 7" in (tmp_path / "second" / "README.md").read_text()
    code, said = run(project, "merged", "--out", str(tmp_path / "none"), "--experiment", "nobody")
    assert code == 1
    assert said.splitlines()[-1].startswith("export: no experiment, branch or commit is called nobody")
