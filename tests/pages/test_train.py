import json
import os
import re
import shutil
import signal

import pytest

from stages import train
from stages.engine.training import loop
from stages.engine.training.history import read_history
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.split import write_split
from tests.engine.conftest import opinions
from tests.pages.workspace import complaint, run_as_program, write_params
from tests.tiny_models import save_tiny_bert, save_tiny_deberta

TINY = {"model": "./tiny", "train.epochs": 2, "train.device": "cpu", "train.precision": "fp32"}


@pytest.fixture(autouse=True)
def workspace(empty_folder):
    save_tiny_bert(empty_folder / "tiny")
    write_params(TINY)
    write_split(paths.SUBSET, opinions(64))
    write_split(paths.VALIDATION, opinions(20, seed=1))
    return empty_folder


def trained_files():
    return {file: file.read_bytes() for file in [*sorted(paths.MODEL.iterdir()), paths.HISTORY]}


@pytest.mark.parametrize("method", ["lora", "full", "head", "tfidf"])
def test_the_same_params_give_the_same_bytes(method):
    write_params(TINY | {"method": method})
    train.main()
    first = trained_files()
    shutil.rmtree(paths.MODEL)
    shutil.rmtree(paths.CHECKPOINTS, ignore_errors=True)
    train.main()

    assert trained_files() == first
    assert len(read_history(paths.HISTORY)) == (1 if method == "tfidf" else 2)


@pytest.mark.parametrize("method", ["lora", "full", "head"])
def test_a_second_run_takes_the_result_of_the_first(method, capsys):
    """DVC was killed before it recorded the outputs, or its cache was full."""
    write_params(TINY | {"method": method})
    train.main()
    first = trained_files() | {paths.COST: json.loads(paths.COST.read_text())["train_seconds"]}
    shutil.rmtree(paths.MODEL)
    train.main()

    assert trained_files() | {paths.COST: json.loads(paths.COST.read_text())["train_seconds"]} == first
    assert "its result was kept: nothing is trained" in capsys.readouterr().out


def test_a_signal_is_one_line_that_says_what_to_do(monkeypatch, capsys):
    step, steps = loop._train_step, iter(range(9))
    monkeypatch.setattr(
        loop, "_train_step", lambda *given: step(*given) or next(steps) != 2 or os.kill(os.getpid(), signal.SIGTERM)
    )

    assert complaint("train", train.main) == "train: interrupted at step 3 of 4; the same command goes on from there"
    assert not paths.MODEL.exists()
    train.main()
    assert "goes on at step 3 of 4 from a checkpoint of " in capsys.readouterr().out
    assert json.loads(paths.COST.read_text())["resumed"] == 1


def test_checkpoints_lie_in_the_repository_also_when_dvc_works_on_a_copy_of_it(workspace, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(workspace / "repository"))
    train.main()

    assert list((workspace / "repository" / paths.CHECKPOINTS).glob("*/*-finished-*.safetensors"))
    assert not paths.CHECKPOINTS.exists()


def test_a_budget_in_steps_ends_with_a_learning_rate_of_0_whatever_the_number_of_rows():
    write_params(TINY | {"train.max_steps": 5, "train.patience": 2})
    train.main()

    half, end = (epoch.learning_rate for epoch in read_history(paths.HISTORY))
    assert half == pytest.approx(5e-4 * 3 / 5)
    assert end == 0


def test_what_cannot_repeat_lies_in_a_file_of_its_own():
    train.main()

    cost = json.loads(paths.COST.read_text())
    assert cost["samples_per_second"] > 0
    assert cost["peak_memory_mib"] > 1
    assert set(cost) == {"train_seconds", "samples_per_second", "peak_memory_mib", "resumed"}
    assert {"processor", "threads", "torch", "commit"} <= set(json.loads(paths.PROVENANCE.read_text()))


def test_what_was_chosen_and_what_came_of_it_is_said(capsys):
    train.main()

    said = capsys.readouterr().out
    assert "device cpu: as params.yaml says; precision fp32: as params.yaml says\n" in said
    assert "lora, 64 rows\n" in said
    assert "  epoch 1: train loss 0." in said
    assert " parameters trained, engine packed\n" in said
    assert "epoch 2 is kept (the validation loss fell to the end: more epochs may help)" in said


def test_a_model_that_only_the_plain_engine_knows_is_trained_with_it_and_said_so(workspace, capsys):
    save_tiny_deberta(workspace / "other")
    write_params(TINY | {"model": "./other"})
    train.main()

    assert "the packed one does not know models of type deberta-v2\n" in capsys.readouterr().out


def test_an_engine_that_does_not_know_the_model_is_one_clear_line(workspace):
    save_tiny_deberta(workspace / "other")
    write_params(TINY | {"model": "./other", "method": "full", "train.engine": "packed"})

    said = complaint("train", train.main)
    assert said.startswith("train: train.engine: packed does not know models of type deberta-v2; auto or plain")


@pytest.mark.parametrize("method", ["lora", "full", "head"])
def test_a_device_that_is_not_there_is_one_clear_line(method, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    write_params(TINY | {"method": method, "train.device": "cuda"})

    assert complaint("train", train.main).startswith("train: there is no cuda device here; `device: cpu` needs none")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train.lora.learning_rate": 0}, r"train\.lora\.learning_rate must be above 0, got 0"),
        ({"train.lora.learning_rate": float("nan")}, r"train\.lora\.learning_rate must be a finite number, got nan"),
        ({"train.lora.learning_rate": "nan"}, r"train\.lora\.learning_rate must be a number, got 'nan'"),
        ({"train.full.learning_rate": -1}, r"train\.full\.learning_rate must be above 0, got -1"),
        ({"train.head.learning_rate": 0}, r"train\.head\.learning_rate must be above 0, got 0"),
        ({"train.tfidf.max_ngram": 0}, r"train\.tfidf\.max_ngram must be at least 1, got 0"),
        ({"train.tfidf.inverse_regularization": 0}, r"train\.tfidf\.inverse_regularization must be above 0, got 0"),
        ({"train.checkpoint_seconds": -1}, r"train\.checkpoint_seconds must be at least 0, got -1"),
        ({"train.max_steps": 1}, r"train\.max_steps must be at least train\.epochs, 2, got 1"),
        ({"train.max_steps": "all"}, r"train\.max_steps must be a whole number, got 'all'"),
        ({"train.engine": "fast"}, r"train\.engine must be auto or packed or plain, got 'fast'"),
        ({"train.device": "tpu"}, r"train\.device must be auto or cpu or cuda or mps, got 'tpu'"),
        ({"train.epochs": 0}, r"train\.epochs must be at least 1, got 0"),
        ({"train.epochs": 2.5}, r"train\.epochs must be a whole number, got 2\.5"),
        ({"train.batch_size": "many"}, r"train\.batch_size must be a whole number, got 'many'"),
        ({"train.precision": "fp8"}, r"train\.precision must be auto or bf16 or fp32, got 'fp8'"),
        ({"train.lora.dropout": 1.0}, r"train\.lora\.dropout must be in \[0, 1\), got 1\.0"),
        (
            {"train.engine": "packed", "train.lora.use_dora": True},
            r"train\.lora\.use_dora: true is computed by train\.engine",
        ),
        (
            {"train.engine": "packed", "train.lora.bias": "all"},
            r"train\.engine: packed does not know weights or biases that are trained beside an adapter",
        ),
        ({"train.pooling": "max"}, r"train\.pooling must be first or mean, got 'max'"),
        ({"train.pooler": "mine"}, r"train\.pooler must be own or none, got 'mine'"),
        ({"train.lora.target_modules": ["nowhere"]}, "no layers named nowhere"),
        ({"method": "qlora"}, "method must be full or head or lora or tfidf, got 'qlora'"),
        ({"model": "megabert"}, "unknown model 'megabert': known are minilm, mpnet, bert-base-uncased"),
        ({"model": "./nowhere"}, "there is no model folder nowhere"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_a_value_that_makes_no_sense_is_one_clear_line(changes, expected):
    write_params(TINY | changes)

    assert re.search(expected, complaint("train", train.main))
    assert not paths.MODEL.exists()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_model_that_transformers_reads_otherwise_is_said_to_be_one(method, capsys):
    write_params(TINY | {"method": method, "train.pooling": "mean"})
    train.main()

    assert (
        "data/model is for stages.methods.load: the classifier of Transformers reads the first"
        in capsys.readouterr().out
    )


def test_pickled_weights_are_never_loaded(workspace):
    (workspace / "tiny/model.safetensors").rename(workspace / "tiny/pytorch_model.bin")

    with pytest.raises(StudyError, match="pickled weights"):
        train.main()


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("config.json", None, r"has no config\.json"),
        ("config.json", '{"model_type": ["x"]}', "is not known to transformers"),
        ("config.json", '{"model_type": "bert", "hidden_size": "abc"}', "cannot be loaded as a text classifier"),
        ("tokenizer.json", None, "has no tokenizer"),
        ("tokenizer.json", '{"model": {"type": "None"}}', r"tokenizer\.json is damaged"),
    ],
)
def test_a_folder_that_is_no_model_is_one_clear_line(workspace, file, content, expected):
    (workspace / "tiny" / file).unlink()
    if content is not None:
        (workspace / "tiny" / file).write_text(content)

    with pytest.raises(StudyError, match=expected):
        train.main()


def test_a_damaged_model_is_one_clear_line(workspace):
    weights = workspace / "tiny/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])

    with pytest.raises(StudyError, match="damaged"):
        train.main()


def test_too_little_room_is_told_before_training(monkeypatch):
    monkeypatch.setattr(train, "NEEDED_MIB", 2**40)

    with pytest.raises(StudyError, match="MiB are free"):
        train.main()


def test_as_a_program_a_fault_is_one_line_and_exit_code_1():
    write_params(TINY | {"train.lora.learning_rate": 0})

    ended = run_as_program("train")

    assert ended.returncode == 1
    assert ended.stderr == "train: params.yaml: train.lora.learning_rate must be above 0, got 0.0\n"
