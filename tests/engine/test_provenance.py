import json

import pytest
import torch

from stages.engine import provenance
from stages.engine.models.record import BaseRecord
from stages.engine.provenance import commit_of_code, cpu_name, write_provenance
from stages.study.repository import git
from tests.engine.conftest import made_record


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commit(folder):
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=n", "-c", "user.email=e@x.y", "commit", "-qm", "m")
    return git(folder, "rev-parse", "HEAD").strip()


def test_it_names_what_was_used_where_and_with_what(empty_folder):
    write_provenance(empty_folder / "provenance.json", made_record(), "auto", {"method_version": 3}, processes=3)

    told = json.loads((empty_folder / "provenance.json").read_text())
    assert (told["precision_used"], told["engine_used"], told["device_used"]) == ("fp64", "scikit-learn", "cpu")
    assert told["method_version"] == 3
    assert told["weights_sha256"] == ""
    assert told["processes_used"] == 3
    assert told["threads"] == 3 * torch.get_num_threads()
    assert told["processor"] == cpu_name() != ""
    assert {"torch", "transformers", "peft", "scikit_learn", "python", "cores"} <= set(told)
    assert told["commit"] == ""


def test_it_tells_the_digest_of_the_base_weights(empty_folder):
    base = BaseRecord(name="./mine", source="folder", location="./mine", pin="", weights_sha256="a1")
    write_provenance(empty_folder / "provenance.json", made_record(base=base), "cpu", {}, processes=1)

    assert json.loads((empty_folder / "provenance.json").read_text())["weights_sha256"] == "a1"


def test_the_commit_is_that_of_the_code_and_says_where_the_code_differs(empty_folder):
    git(empty_folder, "init", "-q")
    (empty_folder / "stages").mkdir()
    (empty_folder / "stages/train.py").write_text("")
    (empty_folder / "params.yaml").write_text("samples: 1")
    head = commit(empty_folder)

    assert commit_of_code() == head
    (empty_folder / "params.yaml").write_text("samples: 2")
    assert commit_of_code() == head, "params are no code: every experiment changes them"
    (empty_folder / "stages/train.py").write_text("print()")
    assert commit_of_code() == f"{head}-changed"


def test_without_git_there_is_no_commit_and_no_complaint(monkeypatch):
    monkeypatch.setenv("PATH", "")

    assert commit_of_code() == ""


def test_a_processor_that_lists_no_name_has_one_all_the_same(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "CPU_LISTING", tmp_path / "none")

    assert cpu_name()
