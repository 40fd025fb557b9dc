import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stages.foundation.errors import StudyError
from stages.hub.snapshot import fetch_snapshot
from tests.hub_server import HubServer, use_hub

OLD, NEW = "a" * 40, "b" * 40
ROOT = Path(__file__).parents[2]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubServer() as server:
        use_hub(server.url, tmp_path / "home", monkeypatch)
        server.publish("models", "owner/name", OLD, {"note.txt": b"old " * 100, "code.py": b"boom"})
        server.publish("models", "owner/name", NEW, {"note.txt": b"new " * 100}, branch="main")
        yield server


def read_note(revision, patterns=("*.txt",)):
    return (fetch_snapshot("model", "owner/name", revision, patterns).folder / "note.txt").read_bytes()[:3]


def complaint(*args):
    with pytest.raises(StudyError) as caught:
        fetch_snapshot(*args, ["*"])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.usefixtures("hub")
def test_a_pinned_commit_is_taken_although_main_has_moved_on():
    assert read_note(OLD) == b"old"
    assert read_note(None) == b"new"


@pytest.mark.usefixtures("hub")
def test_an_unpinned_snapshot_says_which_commit_it_is():
    assert fetch_snapshot("model", "owner/name", None, ["*"]).commit == NEW
    assert fetch_snapshot("model", "owner/name", "main", ["*"]).commit == NEW


@pytest.mark.usefixtures("hub")
def test_only_the_wanted_files_are_fetched():
    folder = fetch_snapshot("model", "owner/name", OLD, ["*.txt"]).folder
    assert [file.name for file in folder.iterdir()] == ["note.txt"]


def test_a_cached_commit_is_used_without_a_single_request(hub):
    read_note(OLD)
    hub.requests.clear()
    assert read_note(OLD) == b"old"
    assert hub.requests == []
    hub.stop()
    assert read_note(OLD) == b"old"


@pytest.mark.usefixtures("hub")
def test_a_cached_commit_that_lacks_a_wanted_file_is_completed():
    fetch_snapshot("model", "owner/name", OLD, ["code.py"])
    assert read_note(OLD) == b"old"


def test_an_older_cached_state_never_stands_in_for_a_branch(hub):
    read_note("main")
    hub.stop()
    assert "could not be reached" in complaint("model", "owner/name", "main")


def test_a_refused_connection_names_the_host_and_what_needs_no_network(hub):
    hub.stop()
    line = complaint("model", "owner/name", OLD)
    assert hub.url in line
    assert "owner/name" in line
    assert "refused" in line
    assert "`model: minilm` needs no network" in line
    assert "`dataset: reviews` needs no network" in complaint("dataset", "owner/name", OLD)


@pytest.mark.usefixtures("hub")
def test_a_silent_server_is_given_up(monkeypatch, tmp_path):
    monkeypatch.setattr("stages.hub.snapshot.ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # huggingface_hub asks who is calling first and has a limit of its own for that
        monkeypatch.setattr("huggingface_hub.utils._detect_agent._REGISTRY_FETCH_TIMEOUT", 0.2)
        use_hub(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path, monkeypatch)
        assert "could not be reached" in complaint("model", "owner/name", OLD)


@pytest.mark.usefixtures("hub")
def test_a_repository_that_does_not_exist_is_said_to_be_missing():
    assert "has no model owner/nobody" in complaint("model", "owner/nobody", None)


@pytest.mark.usefixtures("hub")
def test_a_revision_that_does_not_exist_is_said_to_be_missing():
    assert "no such revision: model owner/name at v9" in complaint("model", "owner/name", "v9")


def test_an_ill_formed_id_is_refused_before_anything_is_asked(hub):
    assert "owner/name" in complaint("model", "a/b/c", None)
    assert hub.requests == []


@pytest.mark.parametrize(("status", "words"), [(503, "answered 503"), (403, "answer 403"), (200, "login page")])
def test_an_answer_that_is_none_is_one_clear_line(hub, status, words):
    hub.status = status
    assert words in complaint("model", "owner/name", OLD)


def test_a_file_that_is_cut_short_every_time_is_given_up_and_not_kept(hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the attempts
    # A long file: what arrives before the cut encourages huggingface_hub to try again, for ever.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10)
    hub.cut["note.txt"] = 100
    assert "cut short" in complaint("model", "owner/name", OLD)
    hub.cut.clear()
    assert read_note(OLD) == b"old"


def test_a_file_shorter_than_announced_is_not_kept(hub):
    hub.shrunk["note.txt"] = 100
    assert "cut short" in complaint("model", "owner/name", OLD)
    hub.shrunk.clear()
    assert read_note(OLD) == b"old"


def test_offline_mode_uses_the_cache_and_says_when_it_is_empty(hub, monkeypatch):
    read_note(OLD)
    hub.requests.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert read_note(OLD) == b"old"
    assert "HF_HUB_OFFLINE" in complaint("model", "owner/name", NEW)
    assert "pinned" in complaint("model", "owner/name", None)
    assert hub.requests == []


def test_a_fresh_process_follows_hf_endpoint_hf_home_and_hf_hub_offline(hub, tmp_path):
    program = (
        "from stages.hub.snapshot import fetch_snapshot\n"
        "from stages.foundation.errors import StudyError\n"
        f"try: print(fetch_snapshot('model', 'owner/name', {OLD!r}, ['*.txt']).commit)\n"
        "except StudyError as error: print(error)"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "fresh")}

    def run(**more):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=ROOT, env=environment | more, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout

    assert "HF_HUB_OFFLINE forbids the network; `model: minilm` needs none" in run(HF_HUB_OFFLINE="1")
    assert run() == f"{OLD}\n"
    assert run(HF_HUB_OFFLINE="1") == f"{OLD}\n"
    assert (tmp_path / "fresh").is_dir()
    hub.stop()
    assert run() == f"{OLD}\n"
    assert f"{hub.url} could not be reached" in run(HF_HOME=str(tmp_path / "empty"))
