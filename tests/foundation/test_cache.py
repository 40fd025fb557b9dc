"""What is damaged in DVC's cache is found; DVC itself, and its own hashes, are what it is held against."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.foundation.cache import damaged_objects, main, md5_of, require_as_recorded, require_intact
from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml

PIPELINE = """
stages:
  make:
    cmd: mkdir -p data/made/inner && printf a > data/made/inner/b.txt && printf ä > data/made/ä.txt && printf c > c.txt
    outs: [data/made, c.txt]
"""


def dvc(folder, *words):
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A pipeline that DVC ran."""
    folder = tmp_path_factory.mktemp("finished")
    dvc(folder, "init", "-q", "--no-scm")
    (folder / "dvc.yaml").write_text(PIPELINE)
    dvc(folder, "repro", "-q")
    return folder


@pytest.fixture
def project(finished, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    subprocess.run(["cp", "-a", finished, folder], check=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return folder


def damage(file):
    """Another byte, and nothing else is different: neither size, nor time, nor that nobody may write."""
    before = file.stat()
    file.chmod(0o600)
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def objects(project, ending=""):
    return [file for file in (project / ".dvc/cache/files/md5").glob("*/*") if file.suffix == ending]


def test_the_hashes_of_files_and_folders_are_those_of_dvc(project):
    outs = read_yaml(project / "dvc.lock")["stages"]["make"]["outs"]

    assert {out["path"]: md5_of(project / out["path"]) for out in outs} == {out["path"]: out["md5"] for out in outs}


def test_a_sound_cache_has_no_damaged_object(project):
    assert len(objects(project)) == 3
    assert damaged_objects(project / ".dvc/cache") == []


@pytest.mark.parametrize("ending", ["", ".dir"])
def test_each_damaged_object_is_found_and_removed_and_the_same_command_brings_it_back(
    project, capsys, monkeypatch, ending
):
    file = objects(project, ending)[0]
    damage(file)

    assert damaged_objects(project / ".dvc/cache") == [file]
    monkeypatch.setattr(sys, "argv", ["cache"])
    main()
    said = capsys.readouterr().out
    assert said.startswith(f"removed {file}: its bytes are not those")
    assert f"\n1 damaged objects in {project}/.dvc/cache; the same command as before makes them again" in said
    dvc(project, "repro", "-q")
    assert file.exists()
    assert damaged_objects(project / ".dvc/cache") == []


def test_an_output_that_is_not_what_was_recorded_is_refused_as_an_input(project):
    require_as_recorded([Path("data/sources"), Path("data/made"), Path("c.txt")], is_copy=False)
    (project / "data/made/inner/b.txt").write_text("b")
    inner, other = (Path(name) for name in ("data/made/inner", "c.txt"))

    require_as_recorded([other], is_copy=False)
    with pytest.raises(
        StudyError, match=r"^data/made is not what dvc\.lock says .*: `rm -r data/made && python -m stag"
    ):
        require_as_recorded([other, inner], is_copy=False)
    with pytest.raises(StudyError, match=r"may be damaged: `python -m stages\.foundation\.cache`, then give"):
        require_as_recorded([inner], is_copy=True)


def test_where_nothing_is_recorded_nothing_is_refused(project):
    (project / "data/made/inner/b.txt").write_text("b")
    (project / "dvc.lock").unlink()

    require_as_recorded([Path("data/made")], is_copy=False)


def test_bytes_of_another_hash_are_refused():
    require_intact(b"a", "0cc175b9c0f1b6a831c399e269772661", "a file")
    require_intact(b"b", None, "a file")

    with pytest.raises(
        StudyError, match=r"^a file is damaged in DVC's cache: `python -m stages.foundation.cache`, then"
    ):
        require_intact(b"b", "0cc175b9c0f1b6a831c399e269772661", "a file")


def test_the_list_of_a_folder_may_hold_any_name(tmp_path):
    """As DVC writes it: sorted by the whole path, not folder by folder."""
    for name in ("a/b.txt", "a.txt", "a-b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    names, digest = ("a-b.txt", "a.txt", "a/b.txt"), hashlib.md5(b"x").hexdigest()
    listed = json.dumps([{"md5": digest, "relpath": name} for name in names])

    assert md5_of(tmp_path) == f"{hashlib.md5(listed.encode()).hexdigest()}.dir"
