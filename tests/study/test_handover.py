import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stages.foundation.errors import StudyError
from stages.methods import METHODS
from stages.methods.method import Computation
from stages.study.cells import Cell
from stages.study.handover import (
    CLONE_AND_MAKE,
    PACK_SECONDS,
    Handover,
    Order,
    fetch,
    hand_over,
    packed,
    require_resources,
)
from stages.study.on_slurm import MOST_ELEMENTS, write_array
from stages.study.repository import experiments
from tests.faults.project import call, environment, git, make_project
from tests.study.made_results import a_cell

CPU = Computation(precision="bf16", engine="packed", device="cpu")
CUDA = replace(CPU, device="cuda")
TFIDF = METHODS["tfidf"].computation
CELLS = [Cell(dataset="mine", model="./tiny", method="tfidf", samples=20, seed=seed) for seed in (1, 2)]


@given(some.lists(some.none() | some.floats(min_value=0.1, max_value=1000), max_size=40), some.integers(1, 20))
def test_packs_hold_each_cell_once_in_order_and_are_short_and_not_too_few(forecasts, at_least):
    cells = [a_cell(seed=seed) for seed in range(len(forecasts))]
    seconds = {cell: one for cell, one in zip(cells, forecasts, strict=True) if one is not None}

    packs = packed(cells, seconds, at_least=at_least)

    assert [cell for pack in packs for cell in pack] == cells
    assert len(packs) >= min(at_least, len(cells))
    for pack in packs:
        assert len(pack) == 1 or all(cell in seconds for cell in pack)
        assert len(pack) == 1 or sum(seconds[cell] for cell in pack) <= PACK_SECONDS * 1.001


def test_small_cells_share_a_clone():
    cells = [a_cell(seed=seed) for seed in range(8)]

    packs = packed(cells, dict.fromkeys(cells, 14.0), at_least=1)

    assert [len(pack) for pack in packs] == [4, 4]


@pytest.mark.parametrize(
    ("chosen", "gpus", "complaint"),
    [(CUDA, 0, "--gpus 1"), (CPU, 0.5, "`train.device` means the processor")],
)
def test_gpus_and_what_cells_compute_on_must_agree(chosen, gpus, complaint):
    with pytest.raises(StudyError, match=re.escape(complaint)):
        require_resources({a_cell(): chosen}, gpus=gpus)


def test_gpus_that_some_cells_need_are_asked_for_all_the_same():
    require_resources({a_cell(): CUDA, a_cell("tfidf"): TFIDF}, gpus=0.25)
    require_resources({a_cell("tfidf"): TFIDF}, gpus=0)


def test_what_a_worker_is_told_comes_back_from_its_text():
    told = Handover(
        commit="c0ffee",
        origin="/a place",
        cache="/a place/.dvc/cache",
        threads=2,
        sources=["data/sources/mine"],
        pointers=[],
        orders=[[Order(name="one", words=["dvc", "exp", "run"])], []],
    )

    assert Handover.of(told.text()) == told


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handover") / "owner"
    make_project(folder, method="tfidf", samples=20, seed=1)
    return folder


def work(root, handover, number, scratch):
    """What a worker of Ray or Slurm does."""
    (scratch / "results").mkdir(parents=True, exist_ok=True)
    (scratch / "handover.json").write_text(handover.text())
    variables = {
        "origin": handover.origin,
        "commit": handover.commit,
        "python": sys.executable,
        "handover": str(scratch / "handover.json"),
        "number": str(number),
        "results": str(scratch / "results"),
        "TMPDIR": str(scratch),
    }
    return subprocess.run(
        ["bash", "-c", CLONE_AND_MAKE],
        cwd=scratch,
        env=environment(root) | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_worker_hands_its_cells_to_the_folder_that_all_see_and_makes_none_twice(project, tmp_path):
    """Its data are in that folder alone."""
    owner = tmp_path / "owner"
    shutil.copytree(project, owner)
    git(owner, "rm", "-rq", "--cached", "data/sources/mine")
    git(owner, "commit", "-qm", "Data that nothing tracks")
    handover = hand_over(owner, [CELLS], dict.fromkeys(CELLS, TFIDF), remote="", threads=1)

    done = work(owner, handover, 0, tmp_path)

    assert done.returncode == 0, done.stderr
    assert {cell.name for cell in CELLS} <= {made.name for made in experiments(owner)}
    told = json.loads((tmp_path / f"results/{CELLS[0].name}.json").read_text())
    assert (told["complaint"], told["outcome"][:13]) == ("", "test accuracy")
    assert "Running stage 'train'" in (tmp_path / f"results/{CELLS[1].name}.log").read_text()
    assert not list(tmp_path.glob("study-*")), "the clone is gone"
    assert git(owner, "status", "--porcelain") == "?? data/sources/\n"

    # The study here sees no difference, and the models lie in its cache.
    words = ("--methods", "tfidf", "--sizes", "20", "--seeds", "1,2")
    assert call(owner, "python", "-m", "stages.study", "run", *words) == "2 cells, 2 finished, 0 to make\n"
    assert "tfidf" in call(owner, "python", "-m", "stages.study", "report", *words)

    again = work(owner, handover, 0, tmp_path)
    assert again.stdout.count("made by a worker that was lost") == 2
    assert "makes " not in again.stdout


@pytest.mark.slow
def test_cells_go_by_a_git_remote_and_a_dvc_remote_where_nothing_else_is_shared(project, tmp_path):
    hub, owner = tmp_path / "hub.git", tmp_path / "owner"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(hub))
    git(tmp_path, "clone", "-q", str(project), str(owner))
    for key, value in (("user.name", "n"), ("user.email", "e@x.y")):
        git(owner, "config", key, value)
    git(owner, "remote", "set-url", "origin", str(hub))
    asked = {"remote": "origin", "threads": 1}
    cells = dict.fromkeys(CELLS[:1], TFIDF)
    git(owner, "remote", "add", "elsewhere", str(hub))
    with pytest.raises(StudyError, match=r"`git push elsewhere`"):
        hand_over(owner, [CELLS[:1]], cells, remote="elsewhere", threads=1)
    git(owner, "push", "-q", "origin", "main")
    with pytest.raises(StudyError, match="need a DVC remote beside the Git remote"):
        hand_over(owner, [CELLS[:1]], cells, **asked)
    call(owner, "dvc", "remote", "add", "-d", "shared", str(tmp_path / "store"))
    git(owner, "commit", "-qam", "A remote")
    git(owner, "push", "-q", "origin", "main")

    done = work(owner, hand_over(owner, [CELLS[:1]], cells, **asked), 0, tmp_path)

    assert done.returncode == 0, done.stderr
    assert CELLS[0].name not in {made.name for made in experiments(owner)}
    assert fetch(owner, "origin", CELLS[0].name) == ""
    assert CELLS[0].name in {made.name for made in experiments(owner)}
    words = ("--methods", "tfidf", "--sizes", "20", "--seeds", "1")
    assert call(owner, "python", "-m", "stages.study", "run", *words) == "1 cells, 1 finished, 0 to make\n"
    assert "tfidf" in call(owner, "python", "-m", "stages.study", "report", *words)


def test_a_remote_that_is_not_there_and_data_that_cannot_go_by_it_are_refused(project, tmp_path):
    with pytest.raises(StudyError, match="has no Git remote nowhere"):
        hand_over(project, [CELLS], dict.fromkeys(CELLS, TFIDF), remote="nowhere", threads=1)


def test_a_clone_that_cannot_be_made_is_one_line(project, tmp_path):
    handover = hand_over(project, [CELLS], dict.fromkeys(CELLS, TFIDF), remote="", threads=1)

    gone = work(project, replace(handover, origin=str(tmp_path / "gone")), 0, tmp_path)
    unknown = work(project, replace(handover, commit="c0ffee"), 0, tmp_path)

    assert gone.returncode
    assert gone.stderr.splitlines()[-1].startswith("fatal: repository")
    assert unknown.returncode
    assert unknown.stderr.startswith("fatal: 'c0ffee' is not a commit")
    assert not list(tmp_path.glob("study-*"))


def test_an_array_has_an_element_for_each_pack_and_bash_reads_it(project):
    cells = {replace(CELLS[0], seed=seed): TFIDF for seed in (7, 8, 9)}

    path = write_array(project, cells, {}, cpus=2, gpus=0, remote="")
    more = write_array(project, cells, {}, cpus=2, gpus=1, remote="")

    text = (project / path).read_text()
    assert subprocess.run(["bash", "-n", project / path], check=False).returncode == 0
    assert "#SBATCH --array=0-2\n#SBATCH --cpus-per-task=2\n#SBATCH --requeue\n" in text
    told = Handover.of((project / path).with_name("handover.json").read_text())
    assert [len(pack) for pack in told.orders] == [1, 1, 1]
    assert told.threads == 2
    assert path.parent.name, more.parent.name == ("slurm-1", "slurm-2")
    assert "#SBATCH --gres=gpu:1\n" in (project / more).read_text()
    assert git(project, "status", "--porcelain") == ""


def test_what_slurm_cannot_give_is_refused(project):
    cells = {replace(CELLS[0], seed=seed): TFIDF for seed in range(MOST_ELEMENTS + 1)}

    with pytest.raises(StudyError, match="more than the 1,000"):
        write_array(project, cells, {}, cpus=1, gpus=0, remote="")
    with pytest.raises(StudyError, match=r"Slurm gives whole GPUs, not 0\.5"):
        write_array(project, dict.fromkeys(CELLS, TFIDF), {}, cpus=1, gpus=0.5, remote="")
