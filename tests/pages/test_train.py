import json
import shutil
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from stages import train
from stages.engine.history import read_history
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.split import write_split
from tests.engine.conftest import opinions
from tests.pages.workspace import REPOSITORY, make_workspace, set_params
from tests.tiny_bert import save_tiny_bert


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(make_workspace(tmp_path))
    save_tiny_bert(tmp_path / "tiny")
    set_params(tmp_path, {"model": "./tiny", "train.epochs": 2, "train.precision": "fp32"})
    write_split(paths.SUBSET, opinions(64))
    write_split(paths.VALIDATION, opinions(20, seed=1))
    return tmp_path


def trained_files():
    return {file: file.read_bytes() for file in [*sorted(paths.MODEL.iterdir()), paths.HISTORY]}


def test_the_same_params_give_the_same_bytes(workspace):
    train.main()
    first = trained_files()
    shutil.rmtree(paths.MODEL)
    train.main()

    assert trained_files() == first
    assert len(read_history(paths.HISTORY)) == 2


def test_what_cannot_repeat_lies_in_a_file_of_its_own(workspace):
    train.main()

    cost = json.loads(paths.COST.read_text())
    assert cost["samples_per_second"] > 0
    assert cost["peak_memory_mib"] > 1
    assert set(cost) == {"train_seconds", "samples_per_second", "peak_memory_mib", "threads"}


def test_the_choice_of_model_and_number_format_is_said(workspace, capsys):
    train.main()

    assert "lora on ./tiny" in capsys.readouterr().out
    set_params(workspace, {"train.precision": "bf16"})
    train.main()
    assert "cpu, bf16 (bf16 in params.yaml)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"train.learning_rate": 0}, r"train\.learning_rate must be above 0, got 0"),
        ({"train.learning_rate": float("nan")}, r"train\.learning_rate must be a finite number, got nan"),
        ({"train.learning_rate": "nan"}, r"train\.learning_rate must be a number, got 'nan'"),
        ({"train.epochs": 0}, r"train\.epochs must be at least 1, got 0"),
        ({"train.epochs": 2.5}, r"train\.epochs must be a whole number, got 2\.5"),
        ({"train.batch_size": "many"}, r"train\.batch_size must be a whole number, got 'many'"),
        ({"train.precision": "fp8"}, r"train\.precision must be auto or bf16 or fp32, got 'fp8'"),
        ({"train.lora.dropout": 1.0}, r"train\.lora\.dropout must be in \[0, 1\), got 1\.0"),
        ({"train.lora.target_modules": ["nowhere"]}, "no layers named nowhere"),
        ({"method": "qlora"}, "method must be lora, got 'qlora'"),
        ({"model": "megabert"}, "unknown model 'megabert': known are minilm, bert-base-uncased"),
        ({"model": "./nowhere"}, "there is no model folder nowhere"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_a_value_that_makes_no_sense_is_one_clear_line(workspace, changes, complaint):
    set_params(workspace, changes)

    with pytest.raises(StudyError, match=complaint) as caught:
        train.main()
    assert "\n" not in str(caught.value)
    assert not paths.MODEL.exists()


def test_pickled_weights_are_never_loaded(workspace):
    (workspace / "tiny/model.safetensors").rename(workspace / "tiny/pytorch_model.bin")

    with pytest.raises(StudyError, match="pickled weights"):
        train.main()


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("config.json", None, r"has no config\.json"),
        ("config.json", '{"model_type": ["x"]}', "is not known to transformers"),
        ("config.json", '{"model_type": "bert", "hidden_size": "abc"}', "cannot be loaded as a text classifier"),
        ("tokenizer.json", None, "has no tokenizer"),
        ("tokenizer.json", '{"model": {"type": "None"}}', r"tokenizer\.json is damaged"),
    ],
)
def test_a_folder_that_is_no_model_is_one_clear_line(workspace, file, content, complaint):
    (workspace / "tiny" / file).unlink()
    if content is not None:
        (workspace / "tiny" / file).write_text(content)

    with pytest.raises(StudyError, match=complaint):
        train.main()


def test_a_damaged_model_is_one_clear_line(workspace):
    weights = workspace / "tiny/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])

    with pytest.raises(StudyError, match="damaged"):
        train.main()


def test_too_little_room_is_told_before_training(workspace, monkeypatch):
    monkeypatch.setattr(train, "NEEDED_MIB", 2**40)

    with pytest.raises(StudyError, match="MiB are free"):
        train.main()


def test_as_a_program_a_fault_is_one_line_and_exit_code_1(workspace):
    set_params(workspace, {"train.learning_rate": 0})

    ended = subprocess.run(
        [sys.executable, "-m", "stages.train"],
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == "train: params.yaml: train.learning_rate must be above 0, got 0.0\n"


def test_params_keep_their_comments_when_a_test_changes_them(workspace):
    """The helper of these tests writes what DVC would write."""
    assert YAML().load(workspace / "params.yaml")["train"]["epochs"] == 2
    assert "# AdamW" in (workspace / "params.yaml").read_text()
