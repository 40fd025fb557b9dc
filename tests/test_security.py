"""Nobody is let in: not by weights, not by a param, not by a text in the data; and nothing asks the network."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from stages import check, evaluate, prepare, report, subsample, train
from stages.foundation import paths
from stages.foundation.files import write_text
from tests.faults.project import environment, git, make_project
from tests.pages.workspace import REPOSITORY, complaint, write_own_data, write_params
from tests.reporting.browser import needs_chromium, visit
from tests.reporting.study.test_page import hostile, markdown_of

CODE = sorted((REPOSITORY / "stages").rglob("*.py"))
LOADERS_OF_CODE = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "skops"}
CALLS = {
    "read_pickle",  # pandas
    "torch.load",
    "hub.load",  # torch.hub
    "os.system",
    "os.popen",
    "yaml.load",  # safe_load is another name
    "yaml.unsafe_load",
    "pickle.load",
    "pickle.loads",
    "joblib.load",
    "eval",
    "exec",
}
KEYWORDS = {("allow_pickle", True), ("trust_remote_code", True), ("weights_only", False), ("shell", True)}

# A hook hears of everything in the process, whichever library does it; a library may well swallow what it raises.
GUARD = """
import os, runpy, sys
def refuse(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "pickle.find_class"}:
        os.write(2, f"refused: {event} {arguments[:3]}\\n".encode())
        raise RuntimeError(event)
sys.addaudithook(refuse)
"""
DEFAULT_BUT_SMALL = {"samples": 40, "train.epochs": 1, "prepare.validation_rows": 100, "train.precision": "fp32"}

# No name of a file may hold a slash; what is no name may close what it stands in.
NAME = "<img src=x onerror=noSuchFunction()> & \"q\" 'r' `c` |d"
TEXT = f"</q></main><script>noSuchFunction()</script> {NAME}"
CLASSES = (f"dull {TEXT}", f"fine {TEXT}")


def offences(source: str) -> list[str]:
    """What of a program reads a pickle, or runs text or code that came from elsewhere."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            names = [f"{module}.{alias.name}" for module in modules for alias in node.names]
            found += [module for module in modules if module.partition(".")[0] in LOADERS_OF_CODE]
            found += [name for name in names if name in CALLS]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            found += [one for one in CALLS if called == one or (called.endswith(f".{one}") and "." in one)]
            found += [called] if called.endswith(".read_pickle") else []
            given = {(one.arg, one.value.value) for one in node.keywords if isinstance(one.value, ast.Constant)}
            found += [f"{name}={value}" for name, value in given & KEYWORDS]
    return found


def test_no_line_of_the_code_reads_a_pickle_or_runs_what_it_is_given():
    assert len(CODE) > 100
    assert {str(file): found for file in CODE if (found := offences(file.read_text(encoding="utf-8")))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import joblib.numpy_pickle",
        "from dill import load",
        "from torch import load",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "pd.read_pickle(file)",
        "np.load(file, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "subprocess.run(words, shell=True)",
        "os.system(words)",
        "eval(text)",
    ],
)
def test_what_would_do_so_is_found(line):
    assert offences(line)


def test_the_lock_file_holds_every_requirement_in_its_version_with_hashes():
    entry = re.compile(
        r"^([\w.-]+)==([^ ]+)(?: ; .+)? \\\n((?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
    )
    lock = (REPOSITORY / "tests/requirements.lock").read_text(encoding="utf-8")
    required = re.findall(r"^([\w.-]+)==(\S+)", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)

    assert re.sub(r"^#.*\n", "", entry.sub("", lock), flags=re.MULTILINE) == ""
    locked = {(name, version) for name, version, _ in entry.findall(lock)}
    assert len(required) > 15
    assert {(re.sub("[._]", "-", name), version) for name, version in required} <= locked


def guarded(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    allowed = environment(folder) | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, "-c", GUARD + program], cwd=folder, env=allowed, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_default_experiment_asks_no_network_and_finds_no_class_by_a_pickle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(REPOSITORY / paths.SOURCES / "reviews", paths.SOURCES / "reviews")
    write_params(DEFAULT_BUT_SMALL)

    for stage in ("check", "prepare", "subsample", "train", "evaluate", "report"):
        done = guarded(f"runpy.run_module('stages.{stage}', run_name='__main__')", tmp_path)
        assert "refused" not in done.stderr
        assert done.returncode == 0, done.stderr
    assert (tmp_path / paths.REPORT_PAGE).exists()


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.create_connection(('127.0.0.1', 1))",
        "import urllib.request; urllib.request.urlopen('http://example.org')",
        "import pickle, pathlib; pickle.loads(pickle.dumps(pathlib.Path()))",
    ],
)
def test_the_guard_of_that_test_hears_it(tmp_path, program):
    done = guarded(program, tmp_path)

    assert done.returncode == 1
    assert "refused: " in done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project") / "project"
    make_project(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "complains"),
    [
        ("model=$(touch hacked)", "ERROR: unexpected error - mismatched input '('"),  # DVC's own refusal
        ("model='$(touch hacked)'", "train: unknown model '$(touch hacked)'"),
        ("dataset='`touch hacked`'", "check: dataset '`touch hacked`' is no folder in data/sources"),
    ],
)
def test_a_param_that_is_a_command_is_no_command(project, setting, complains):
    words = ["dvc", "exp", "run", "--temp", "-S", setting]
    done = subprocess.run(words, cwd=project, env=environment(project), capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()

    assert done.returncode
    assert [line for line in said if line.startswith(complains)]
    assert not [line for line in said if "Traceback" in line]
    assert list(project.parent.rglob("hacked")) == []
    assert git(project, "status", "--porcelain", "--untracked-files=all") == ""


@pytest.mark.parametrize("dataset", ["..", "../sources/mine", "/etc", "."])
def test_a_data_set_that_lies_elsewhere_is_refused_by_stage_and_study(project, dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params({"dataset": dataset, "method": "tfidf"})
    write_own_data()
    assert complaint("prepare", prepare.main).startswith(f"prepare: dataset '{dataset}' is no folder in data/sources")

    words = [sys.executable, "-m", "stages.study", "plan", "--dataset", dataset, "--precisions", "fp32"]
    done = subprocess.run(words, cwd=project, env=environment(project), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"dataset '{dataset}' is no folder in data/sources" in done.stderr
    assert done.stderr.count("\n") == 1


def write_hostile_data() -> None:
    """Whatever bears a name or says a thing says the worst; the test labels are wrong, so that texts are shown."""
    splits = {"train": (300, 0), "test": (40, 1)}
    for split, (num_rows, wrong) in splits.items():
        texts = [f"a {('dry', 'warm')[at % 2]} part number {at} of the {split} {TEXT}" for at in range(num_rows)]
        rows = [{"text": text, "label": CLASSES[(at + wrong) % 2]} for at, text in enumerate(texts)]
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        write_text(paths.SOURCES / NAME / f"{split} {NAME}.jsonl", lines)
    files = {split: f"{split} {NAME}.jsonl" for split in splits}
    write_text(paths.SOURCES / NAME / "dataset.yaml", json.dumps({"splits": files}))


@pytest.mark.browser
@needs_chromium
def test_text_from_the_data_is_text_on_the_page_of_an_experiment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stages.reporting.plots_page.vl_convert.javascript_bundle", lambda snippet, **_: snippet)
    write_hostile_data()
    write_params({"dataset": NAME, "method": "tfidf", "samples": 40, "prepare.validation_rows": 40})
    for stage in (check, prepare, subsample, train, evaluate, report):
        stage.main()

    seen = visit(paths.REPORT_PAGE.absolute(), width=1280, scratch=tmp_path)

    assert seen.complaints == []
    assert seen.requests == []
    shown = " ".join(seen.text.split())
    assert f"part number 0 of the test {TEXT}" in shown
    for told in (*CLASSES, NAME, f"test {NAME}.jsonl"):
        assert told in shown


@pytest.mark.browser
@needs_chromium
def test_text_from_the_data_is_text_in_the_markdown_of_the_study(tmp_path):
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown_of(hostile()))
    write_text(tmp_path / "study.html", f"<!DOCTYPE html><title>study</title>{rendered}")

    seen = visit(tmp_path / "study.html", width=1280, scratch=tmp_path)

    assert seen.complaints == []
    assert seen.requests == []
    assert seen.text.count("<script>alert(1)</script> | **x**") > 5
