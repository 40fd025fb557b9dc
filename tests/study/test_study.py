"""The commands, end to end: real experiments of the quickest method in a repository of their own."""

import re
import shutil
import subprocess
import sys
import time
from contextlib import chdir

import numpy as np
import pytest

from tests.pages.workspace import copy_project, write_params

CHANGES = {
    "dataset": "mine",
    "method": "tfidf",
    "prepare.validation_rows": 40,
    "study.sizes": [20, 40],
    "study.seeds": [1, 2],
    "study.methods": ["tfidf"],
    "study.tuning.factors": [1.0, 3.0],
}

RECORDED = ("--protocol", "seed")


def study(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "stages.study", *words], cwd=folder, capture_output=True, text=True, check=False
    )


def stop_in_a_stage(folder, *words):
    """As a batch system does: the experiment must end with its study."""
    running = subprocess.Popen([sys.executable, "-m", "stages.study", *words], cwd=folder, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while not (logs := list(folder.glob(".dvc/tmp/study/*.log"))) or "Running stage" not in logs[0].read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        running.terminate()
        said = running.communicate(timeout=60)[1].decode()
    finally:
        running.kill()

    assert running.returncode == 1
    assert said == "study: interrupted; finished cells are kept, run the same command again\n"
    assert re.search("^ERROR: (failed to reproduce|interrupted)", logs[0].read_text(), re.MULTILINE)


def run_git(folder, *words):
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def a_cell_outlives_the_code_and_not_its_version(project):
    # A recorded cell is run again, not taken from the cache, and leaves no experiment behind.
    listed = subprocess.run(["dvc", "exp", "list", "-A"], cwd=project, check=True, capture_output=True).stdout
    verified = study(project, "verify", "--sizes", "20", "--seeds", "1", "--cells", "9")
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.splitlines()[0] == "1 of 1 recorded cells, drawn with seed 1, run again:"
    assert "mine-minilm-tfidf-n20-s1 (" in verified.stdout
    assert verified.stdout.endswith("largest difference: the same bit for bit\n")
    again = subprocess.run(["dvc", "exp", "list", "-A"], cwd=project, check=True, capture_output=True).stdout
    assert sorted(again.splitlines()) == sorted(listed.splitlines())  # DVC lists them in any order

    # Code that computes the same numbers leaves every cell as it is.
    with (project / "stages/train.py").open("a") as file:
        file.write("# a remark\n")
    same = study(project, "plan", "--seeds", "1")
    assert same.stdout.startswith("2 cells: 2 finished, 0 missing\n")
    refused = study(project, "run")
    assert refused.returncode == 1
    assert refused.stderr.startswith("study: the workspace differs from the last commit (M stages/train.py)")

    # A version that computes others: what was measured with the old one no longer counts, and is named.
    versions = project / "stages/foundation/versions.py"
    versions.write_text(versions.read_text().replace("CORPUS = 1", "CORPUS = 2"))
    later = study(project, "plan", "--seeds", "1")
    assert later.stdout.startswith("2 cells: 0 finished, 2 missing\n")
    assert "stale, left out: mine-by-hand (" in later.stdout
    assert "): numerical version corpus 1 not 2" in later.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory, repository):
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder, CHANGES)
    run_git(folder, "init", "-q")
    run_git(folder, "config", "user.name", "n")
    run_git(folder, "config", "user.email", "e@x.y")
    subprocess.run(["dvc", "init", "-q"], cwd=folder, check=True, capture_output=True)
    shutil.copy(repository / ".dvc/.gitignore", folder / ".dvc/.gitignore")
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-qm", "a project")
    return folder


@pytest.mark.slow
def test_a_study_is_planned_run_run_again_for_nothing_and_reported(project):
    before = study(project, "plan")
    assert before.stdout.startswith("4 cells: 0 finished, 4 missing\n"), before.stderr
    assert "power, with 60 test rows" in before.stdout
    assert "training pool, grouped: " in before.stdout

    stop_in_a_stage(project, "run", "--sizes", "40", "--seeds", "1")

    refused = study(project, "run", "--sizes", "20,40,100000", "--seeds", "1")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("study: --sizes: 100000 is more than there are: the pool gives at most ")
    assert "What can be done: --sizes 20,40," in refused.stderr

    # One cell by hand, the others by the study.
    by_hand = ["dvc", "exp", "run", "--temp", "-n", "mine-by-hand", "-S", "samples=20", "-S", "seed=1"]
    subprocess.run(by_hand, cwd=project, check=True, capture_output=True)
    made = study(project, "run", "--sizes", "20,40", "--seeds", "1")
    assert made.returncode == 0, made.stderr
    lines = made.stdout.splitlines()
    assert lines[0].startswith("2 cells, 1 finished, 1 to make")
    assert lines[1].startswith("[1/1] mine-minilm-tfidf-n40-s1: test accuracy ")

    again = study(project, "run", "--seeds", "1")
    assert again.stdout == "2 cells, 2 finished, 0 to make\n", again.stderr
    tree = subprocess.run(["git", "status", "--porcelain"], cwd=project, check=True, capture_output=True, text=True)
    assert tree.stdout == "", "the workspace stays as it was"

    tuned = study(project, "tune", "--sizes", "20")
    assert tuned.returncode == 0, tuned.stderr
    assert tuned.stdout.startswith("2 trials, 0 finished, 2 to make\n")
    run_git(project, "add", "metrics/study")
    run_git(project, "commit", "-qm", "Tuned")
    assert study(project, "tune", "--sizes", "20").stdout.startswith("2 trials, 2 finished, 0 to make\n")
    untuned = study(project, "plan", "--tuned", "--seeds", "1")
    assert "nothing is chosen yet for tfidf at 40 rows" in untuned.stderr
    with_choice = study(project, "plan", "--tuned", "--sizes", "20", "--seeds", "1")
    assert with_choice.stdout.startswith("1 cells: "), with_choice.stderr

    told = study(project, "report")
    assert told.returncode == 0, told.stderr
    assert "tfidf goes from " in told.stdout
    assert "2 cells of the grid are missing, the first mine-minilm-tfidf-n20-s2" in told.stdout
    page = (project / "plots/study.html").read_text()
    assert "mine: how many labels, and which method? (minilm)" in page
    assert "mine-minilm-tfidf-n40-s2" in page

    both = study(project, "compare", "mine-by-hand", "mine-minilm-tfidf-n40-s1")
    assert both.returncode == 0, both.stderr
    assert "mine-by-hand less mine-minilm-tfidf-n40-s1: " in both.stdout
    assert "exact McNemar p " in both.stdout
    assert "no finished experiment is called nobody" in study(project, "compare", "nobody", "mine-by-hand").stderr

    # The page comes back from the small files alone: no experiment, no cache, no data.
    for name in ("plots", ".dvc/cache", "data/sources/mine"):
        shutil.rmtree(project / name)
    rebuilt = study(project, "report", "--recorded")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "2 cells of the grid are missing" not in rebuilt.stdout
    assert (project / "plots/study.html").exists()
    run_git(project, "checkout", "--", "data/sources/mine")
    a_cell_outlives_the_code_and_not_its_version(project)


def test_default_sizes_beyond_the_pool_are_planned_run_and_reported_as_the_sizes_that_fit(project):
    with chdir(project):
        write_params(CHANGES | {"study.sizes": [20, 100_000]})
        planned, told = (study(project, command, "--seeds", "1") for command in ("plan", "report"))
        write_params(CHANGES)

    said = re.match(r"sizes 20, (\d+) instead of 20, 100,000 \(study.sizes in params.yaml\): ", planned.stdout)
    assert said, planned.stderr
    assert re.search(rf"seed +20 +{said[1]}$", planned.stdout, re.MULTILINE)
    assert "100,000\n" not in planned.stdout
    assert said[0] in told.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["plan", "--sizes", "many"], "'many' is no whole number"),
        (["plan", "--seeds", "46-42"], "'46-42' runs backwards; write 42-46"),
        (["plan", "--methods", "lora,magic"], "'magic' is none of full, head, lora, tfidf"),
        (["plan", "--contrasts", "night"], "'night' is none of fixed_steps, random"),
        (["think"], "invalid choice: 'think'"),
        (["run", "--jobs", "0"], "'0' is no number from 1 on"),
        (["verify", "--cells", "none"], "'none' is no number from 1 on"),
        (["plan", "--precisions", "fp8"], "'fp8' is none of bf16, fp32"),
        (["report", "--recorded", "--sizes", "8"], "every recorded cell of the model; leave out --sizes"),
        (["report", "--seeds", "9"], "no cell of this grid is finished"),
        (["report", "--methods", "lora", "--model", "./not-here"], "no cell of this grid is finished"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_line(repository, tmp_path, words, complaint):
    done = study(repository, *words, "--dataset", "nowhere") if words[0] == "report" else study(repository, *words)

    assert done.returncode
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_recorded_cells_give_the_committed_page_and_the_table_of_the_readme(repository, tmp_path):
    """What the README claims is what the code makes of the recorded cells."""
    for name in ("stages", "metrics/study"):
        shutil.copytree(repository / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(repository / name, tmp_path / name)

    done = study(tmp_path, "report", "--dataset", "sst2-files", "--recorded", *RECORDED, "--precisions", "bf16,fp32")

    assert done.returncode == 0, done.stderr
    made, committed = (table_of((folder / "plots/study.md").read_text()) for folder in (tmp_path, repository))
    assert len(made) == len(committed) == 9
    for ours, theirs in zip(made, committed, strict=True):  # another processor rounds another way
        np.testing.assert_allclose(numbers(ours), numbers(theirs), atol=0.11)
    readme = (repository / "README.md").read_text()
    assert all(line in readme for line in committed)

    done = study(tmp_path, "report", "--dataset", "sst2-files", "--recorded", *RECORDED, "--model", "mpnet")

    assert done.returncode == 0, done.stderr
    told = [line for line in readme.splitlines() if line.startswith("| ") and "3 seeds" in line]
    made = [line for line in table_of((tmp_path / "plots/study.md").read_text(), columns=4) if "3 seeds" in line]
    assert len(made) == len(told) == 2
    for ours, theirs in zip(made, told, strict=True):
        np.testing.assert_allclose(numbers(ours), numbers(theirs), atol=0.11)


def table_of(page, columns=5):
    """The lines of the table of accuracies by method."""
    lines = [line.replace("\\", "") for line in page.splitlines()]
    return [line for line in lines if re.match(r"\| [\d,]+ \| \d\d\.\d % ", line) and line.count("|") == columns + 1]


def numbers(line):
    return [float(number.replace(",", "")) for number in re.findall(r"[\d,]*\d(?:\.\d)?", line)]
