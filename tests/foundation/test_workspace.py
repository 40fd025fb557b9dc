import shutil
import subprocess

import pytest

from stages.foundation.errors import StudyError
from stages.foundation.workspace import require_dataset, require_recordable


def git(folder, *words):
    subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@x.y", *words], cwd=folder, check=True)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one data set that Git tracks, and one that it does not."""
    folder = tmp_path / "repository"
    for name in ("tracked", "mine"):
        (folder / "data/sources" / name).mkdir(parents=True)
        (folder / "data/sources" / name / "train.csv").write_text("text,label\n")
    git(folder, "init", "-q")
    git(folder, "add", "data/sources/tracked")
    git(folder, "commit", "-qm", "m")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def copy(repository, tmp_path, monkeypatch):
    """What `dvc exp run --temp` makes of it: that which Git tracks."""
    folder = tmp_path / "copy"
    shutil.copytree(repository / "data/sources/tracked", folder / "data/sources/tracked")
    monkeypatch.setenv("DVC_ROOT", str(repository))
    monkeypatch.chdir(folder)
    return folder


def complaint(name):
    with pytest.raises(StudyError) as caught:
        require_dataset(name)
    return str(caught.value)


def test_a_data_set_that_git_tracks_needs_no_words(repository, capsys):
    require_dataset("tracked")

    assert capsys.readouterr().out == ""


def test_one_that_nothing_tracks_is_told_before_a_copy_has_to_do_without(repository, capsys):
    require_dataset("mine")

    assert capsys.readouterr().out == (
        "neither Git nor DVC tracks data/sources/mine: `dvc exp run --temp` and the queue find it after "
        "`git add data/sources/mine && git commit` (large data: `dvc add data/sources/mine` first), "
        "or with `--copy-paths data/sources/mine`\n"
    )


def test_one_that_was_given_to_dvc_is_tracked(repository, capsys):
    (repository / "data/sources/mine.dvc").write_text("outs: []\n")
    require_dataset("mine")

    assert capsys.readouterr().out == ""


def test_a_copy_without_it_says_what_brings_it_there(copy):
    assert complaint("mine") == (
        "data/sources/mine is not in this copy of the repository, since nothing tracks it: "
        "`git add data/sources/mine && git commit` (large data: `dvc add data/sources/mine` first), "
        "then give the same command again, or add `--copy-paths data/sources/mine` to it"
    )


def test_a_copy_that_has_a_part_of_it_names_the_rest(copy, repository, capsys):
    (repository / "data/sources/tracked/validation.csv").write_text("text,label\n")
    require_dataset("tracked")

    said = capsys.readouterr().out
    assert said == "not in this copy, since Git does not track it: validation.csv of data/sources/tracked\n"


def test_one_that_was_given_to_dvc_and_is_not_here_is_to_be_pulled(repository):
    (repository / "data/sources/far.dvc").write_text("outs: []\n")

    assert complaint("far") == "data/sources/far.dvc is here and its data are not: `dvc pull data/sources/far`"


@pytest.mark.parametrize("place", ["repository", "copy"])
def test_one_that_is_nowhere_is_told_with_those_that_are(place, request):
    request.getfixturevalue(place)

    assert complaint("mien").startswith("dataset 'mien' is no folder in data/sources, which has ")
    assert complaint("mien").endswith("; `mkdir data/sources/mien` and put the data there")


@pytest.mark.parametrize("name", ["", ".", "..", "../sources/tracked", "tracked/", "./tracked", "mine/inner", "/etc"])
@pytest.mark.parametrize("place", ["repository", "copy"])
def test_a_name_that_leads_elsewhere_is_refused(place, name, request):
    request.getfixturevalue(place)

    assert complaint(name).startswith(f"dataset {name!r} is no name of a folder in data/sources, which has ")


def test_a_shallow_clone_is_refused_where_dvc_would_lose_the_result(repository, tmp_path, monkeypatch):
    git(repository, "commit", "-qm", "another", "--allow-empty")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    require_recordable()  # not on a copy
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "shallow"))
    require_recordable()  # nor where DVC runs in the workspace itself

    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")

    with pytest.raises(StudyError, match=r"is a shallow clone, where .* record nothing: `git fetch --unshallow`, then"):
        require_recordable()
    monkeypatch.setenv("DVC_ROOT", str(repository))
    require_recordable()


def test_without_git_nothing_is_said(repository, monkeypatch, capsys):
    shutil.rmtree(repository / ".git")
    monkeypatch.setenv("PATH", "")
    require_recordable()
    require_dataset("tracked")

    assert capsys.readouterr().out == ""
