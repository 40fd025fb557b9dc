import hashlib
import json
import subprocess
from dataclasses import replace

import pytest

from stages.foundation.errors import StudyError
from stages.methods import METHODS
from stages.methods.method import Computation
from stages.study import resolve
from stages.study.resolve import resolved
from tests.tiny_models import save_tiny_bert

SCIKIT_LEARN = Computation(precision="fp64", engine="scikit-learn", device="cpu")
FOUND = {"precision": "bf16", "engine": "packed", "device": "cpu"}
PARAMS = """\
train:
  base_models:
    minilm: {source: package, location: a/b, pin: a1}
    newest: {source: hub, location: owner/name, pin: main}
"""


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """An engine that answers for every method; gives what it was asked."""
    asked = []
    (tmp_path / "params.yaml").write_text(PARAMS)

    def run(words, **_):
        asked.append(words)
        methods = words[words.index("--model") + 2 :]
        model = words[words.index("--model") + 1]
        told = FOUND | {"weights": "a1", "commit": "" if model in ("minilm", "./mine") else "c" * 40}
        said = "device cpu: as params.yaml says\n" + json.dumps(dict.fromkeys(methods, told)) + "\n"
        return subprocess.CompletedProcess(words, 0, said, "")

    monkeypatch.setattr(resolve.subprocess, "run", run)
    return asked


def test_auto_is_resolved_once_for_the_whole_study(engine, tmp_path):
    found = resolved(tmp_path, ["lora", "tfidf", "full"], model="minilm", precisions=["auto"])

    assert found == {"lora": [Computation(**FOUND)], "tfidf": [SCIKIT_LEARN], "full": [Computation(**FOUND)]}
    assert [words[-2:] for words in engine] == [["lora", "full"]]


def test_named_formats_keep_their_order_and_the_rest_is_resolved(engine, tmp_path):
    found = resolved(tmp_path, ["lora"], model="minilm", precisions=["fp32", "bf16"])

    assert [one.precision for one in found["lora"]] == ["fp32", "bf16"]
    assert {one.engine for one in found["lora"]} == {"packed"}


def test_a_method_without_a_choice_asks_nobody(engine, tmp_path):
    assert resolved(tmp_path, ["tfidf"], model="none", precisions=["auto"]) == {"tfidf": [SCIKIT_LEARN]}
    assert engine == []


def test_the_weights_in_a_folder_are_known_by_their_digest_and_pinned_ones_by_their_pin(engine, tmp_path):
    for model, weights in (("./mine", "a1"), ("minilm", ""), (f"owner/name@{'c' * 40}", "")):
        (found,) = resolved(tmp_path, ["lora"], model=model, precisions=["auto"])["lora"]
        assert found == Computation(**FOUND, weights=weights)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("owner/name", f"`model: owner/name@{'c' * 40}`"),
        ("owner/name@main", f"`model: owner/name@{'c' * 40}`"),
        ("newest", f"`train.base_models.newest.pin: {'c' * 40}`"),
    ],
)
def test_a_model_of_the_hub_without_a_commit_is_refused_with_the_line_that_names_it(engine, tmp_path, model, line):
    with pytest.raises(StudyError) as refused:
        resolved(tmp_path, ["lora"], model=model, precisions=["auto"])

    assert str(refused.value).endswith(f"a study needs their commit, {line}")
    assert resolved(tmp_path, ["tfidf"], model=model, precisions=["auto"]) == {"tfidf": [SCIKIT_LEARN]}


def test_the_engine_tells_the_digest_of_a_folders_weights(repository, tmp_path):
    folder = save_tiny_bert(tmp_path / "tiny")
    (found,) = resolved(repository, ["head"], model=str(folder), precisions=["fp32"])["head"]

    assert found.weights == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_a_model_that_is_not_there_is_told_in_the_engines_own_line(repository):
    with pytest.raises(StudyError, match=r"^train: unknown model 'megabert': known are "):
        resolved(repository, ["lora"], model="megabert", precisions=["auto"])


def test_the_engine_itself_answers_as_asked(repository):
    (found,) = resolved(repository, ["head"], model="minilm", precisions=["fp32"])["head"]

    assert found == Computation(precision="fp32", engine="packed", device=found.device)


def test_a_method_computes_with_what_its_own_file_declares(engine, tmp_path, monkeypatch):
    counting = replace(METHODS["tfidf"], computation=Computation(precision="fp32", engine="numpy", device="cpu"))
    monkeypatch.setattr(resolve, "METHODS", {**METHODS, "counting": counting})

    found = resolved(tmp_path, ["counting", "tfidf"], model="none", precisions=["bf16"])

    assert found == {"counting": [counting.computation], "tfidf": [SCIKIT_LEARN]}
    assert engine == []


def test_a_method_that_declares_nothing_is_asked_about_though_it_takes_no_steps(engine, tmp_path, monkeypatch):
    nearest = replace(METHODS["head"], by_steps=False)
    monkeypatch.setattr(resolve, "METHODS", {**METHODS, "nearest": nearest})

    assert resolved(tmp_path, ["nearest"], model="minilm", precisions=["auto"]) == {"nearest": [Computation(**FOUND)]}
