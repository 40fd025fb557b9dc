import json
import subprocess
from dataclasses import replace

import pytest

from stages.foundation.errors import StudyError
from stages.methods import METHODS
from stages.methods.method import Computation
from stages.study import resolve
from stages.study.resolve import resolved

SCIKIT_LEARN = Computation(precision="fp64", engine="scikit-learn", device="cpu")
FOUND = {"precision": "bf16", "engine": "packed", "device": "cpu"}


@pytest.fixture
def engine(monkeypatch):
    """An engine that answers for every method; gives what it was asked."""
    asked = []

    def run(words, **_):
        asked.append(words)
        methods = words[words.index("--model") + 2 :]
        said = "device cpu: as params.yaml says\n" + json.dumps(dict.fromkeys(methods, FOUND)) + "\n"
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
