"""What the programs say to who asks them for help, or starts them the wrong way."""

import subprocess
import sys

import pytest

from tests.test_pipeline import STAGES

STUDY = ("plan", "run", "report", "verify", "compare")


def run(*words, cwd, before=""):
    """A program in an interpreter of its own, with this repository's packages."""
    code = f"import runpy, sys\n{before}\nsys.argv = {list(words)!r}\nsys.path.insert(0, {str(cwd)!r})\n"
    start = "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
    return subprocess.run([sys.executable, "-c", code + start], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_asked_for_help_says_what_it_does_and_does_nothing(repository, tmp_path, stage):
    asked = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", "--help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(repository), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith(f"usage: python -m stages.{stage} ")
    assert "Writes  " in asked.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_stage_with_arguments_is_told_where_choices_stand(repository):
    ended = subprocess.run(
        [sys.executable, "-m", "stages.check", "--samples", "8"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr.startswith("check: takes no arguments, got --samples 8; usage: ")
    assert "its choices stand in params.yaml" in ended.stderr


@pytest.mark.parametrize("command", STUDY)
def test_each_command_of_the_study_says_what_it_does(repository, command):
    asked = run("stages.study", command, "--help", cwd=repository)

    assert (asked.returncode, asked.stderr) == (0, "")
    assert f"study {command}" in asked.stdout
    assert len(asked.stdout.split("\n\n")[1]) > 40  # the description


def test_a_package_that_is_missing_is_one_line(repository):
    hidden = "sys.modules['ruamel'] = None; sys.modules['ruamel.yaml'] = None"
    ended = run("stages.check", cwd=repository, before=hidden)

    assert ended.returncode == 1
    assert ended.stderr == (
        f"{sys.executable} has no package ruamel: `. .venv/bin/activate`, then `pip install -r requirements.txt`\n"
    )


def test_a_bug_keeps_its_traceback(repository):
    ended = run("stages.check", cwd=repository, before="import stages.foundation.stage as one\ndel one.run_stage")

    assert "Traceback" in ended.stderr
