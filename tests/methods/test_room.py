"""What the room promises: a method is one file, and what it says of itself costs nothing to read."""

import shutil
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.engine.models.record import write_record
from stages.engine.params import TrainParams
from stages.foundation import paths
from stages.foundation.errors import ParamsError, StudyError
from stages.foundation.files import read_json, read_yaml
from stages.foundation.params import read_params
from stages.methods import METHODS, TrainSection, TrainView, load
from tests.engine.conftest import made_record
from tests.pages.workspace import REPOSITORY, write_own_data, write_params
from tests.reporting.page import words

HEAVY = {"torch", "transformers", "peft", "sklearn", "matplotlib", "datasets"}
PAGES = ("check", "prepare", "subsample", "train", "evaluate", "report")


def run(code, root):
    """Run code in an interpreter of its own, with the packages of a folder."""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(root), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_every_file_of_the_room_that_is_not_about_all_is_a_method_of_that_name():
    files = {file.stem for file in (REPOSITORY / "stages/methods").glob("*.py")} - {"__init__", "__main__", "method"}

    assert set(METHODS) == files
    assert all(method.name == name for name, method in METHODS.items())


def test_to_know_every_method_takes_neither_torch_nor_scikit_learn():
    imports = "".join(f"import stages.methods.{name}\n" for name in METHODS)

    assert run(f"{imports}import sys\nprint(sorted(set(sys.modules) & {HEAVY!r}))", REPOSITORY) == "[]\n"


def test_what_a_method_reads_is_in_params_yaml():
    tree = read_yaml(REPOSITORY / paths.PARAMS)
    for method in METHODS.values():
        for key in (*method.reads, f"train.{method.name}"):
            value = tree
            for name in key.split("."):
                value = value[name]
        assert [field.name for field in fields(method.params)] == list(tree["train"][method.name])
        assert is_dataclass(method.params)


def test_only_methods_of_gradient_descent_read_the_model_and_what_they_share():
    speed = {"train.engine", "train.device", "train.precision", "train.checkpoint_seconds", "train.base_models"}
    shared = {f"train.{field.name}" for field in fields(TrainParams)} - speed

    for name in ("lora", "full", "head"):
        assert shared | {"model"} == set(METHODS[name].reads)
        assert METHODS[name].has_base_model
        assert METHODS[name].by_steps
    assert METHODS["tfidf"].reads == ()
    assert not METHODS["tfidf"].has_base_model
    assert not METHODS["tfidf"].by_steps


def test_the_section_train_holds_what_is_shared_and_a_section_for_each_method():
    names = [field.name for field in fields(TrainSection)]

    assert names == [field.name for field in fields(TrainParams)] + list(METHODS)


def test_two_methods_never_look_alike():
    looks = [method.look for method in METHODS.values()]

    for aspect in ("color", "marker", "dash"):
        assert len({getattr(look, aspect) for look in looks}) == len(looks)


def test_a_model_of_a_method_that_is_no_more_is_one_clear_line(tmp_path):
    write_record(tmp_path, made_record(method="magic"))

    with pytest.raises(
        StudyError, match="holds a model of the method magic, which is none of full, head, lora, tfidf; train again"
    ):
        load(tmp_path, "cpu")


@pytest.fixture
def extended(tmp_path, monkeypatch):
    """A workspace to whose code one file was added, and to params.yaml and dvc.yaml its section."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REPOSITORY / "stages", "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("majority.py"), "stages/methods/majority.py")
    write_own_data()
    write_params({"dataset": "mine", "samples": 60, "prepare.validation_rows": 20, "method": "tfidf"})
    yaml = YAML()
    params, pipeline = yaml.load(paths.PARAMS), yaml.load(paths.PIPELINE)
    params["method"] = "majority"
    params["train"]["majority"] = {"added_rows": 1.5}
    for stage in ("train", "report"):
        pipeline["stages"][stage]["params"].append("train.majority.added_rows")
    yaml.dump(params, paths.PARAMS)
    yaml.dump(pipeline, paths.PIPELINE)
    return tmp_path


def test_a_method_is_added_with_one_file_and_its_section(extended):
    run("".join(f"from stages import {page}\n{page}.main()\n" for page in PAGES), extended)

    told = words()
    assert "the most frequent class names the right class for 50.0 %" in told
    assert "method majority: the share of each class, no text" in told
    assert "added to each class 1.5 rows" in told
    assert "engine numpy" in told
    assert "Counting has no epochs." in told
    assert "60 samples of mine: majority" in told
    assert read_json(paths.SCORES)["test_accuracy"] == 0.5


@pytest.mark.slow
def test_an_added_method_is_studied_with_what_its_file_says_that_it_computes_with(extended):
    for made in ("git", "dvc"):
        subprocess.run([made, "init", "-q"], check=True, capture_output=True)
    for name in (".dvcignore", ".gitignore", "data/.gitignore", ".dvc/.gitignore"):
        shutil.copy(REPOSITORY / name, name)
    for git in (["config", "user.name", "n"], ["config", "user.email", "e@x.y"], ["add", "-A"], ["commit", "-qm", "m"]):
        subprocess.run(["git", *git], check=True, capture_output=True)
    grid = ("--methods", "majority", "--sizes", "20", "--seeds", "1", "--precisions", "bf16")

    def study(command):
        asked = [sys.executable, "-m", "stages.study", command, *grid]
        done = subprocess.run(asked, cwd=extended, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert study("plan").startswith("1 cells: 0 finished, 1 missing\n")
    assert "[1/1] mine-minilm-majority-n20-s1: test accuracy " in study("run")
    assert study("run") == "1 cells, 1 finished, 0 to make\n"
    assert study("report").startswith("With 20 labels, use majority: ")


def test_the_section_of_an_added_method_is_checked_whichever_method_is_asked_for(extended):
    params = paths.PARAMS.read_text().replace("method: majority", "method: tfidf").replace("1.5", "0")
    paths.PARAMS.write_text(params)
    code = (
        "from stages.foundation.params import read_params\n"
        "from stages.methods import TrainView\n"
        "try:\n    read_params('train', TrainView)\n"
        "except ValueError as error:\n    print(error)"
    )

    assert run(code, extended) == "params.yaml: train.majority.added_rows must be above 0, got 0.0\n"


@pytest.mark.parametrize("method", METHODS)
def test_what_contradicts_one_method_is_no_matter_of_another(method, tmp_path, monkeypatch):
    """A study pins the packed engine for `full` while LoRA's section asks for what the plain one alone computes."""
    monkeypatch.chdir(tmp_path)
    write_params({"method": method, "train.engine": "packed", "train.lora.use_dora": True})

    if method == "lora":
        with pytest.raises(ParamsError, match="use_dora: true is computed by"):
            read_params("train", TrainView)
    else:
        assert read_params("train", TrainView).method == method
