import pytest

from stages.foundation.errors import StudyError
from stages.hub.upload import push_folder
from tests.hub_server import HubServer, use_hub

TOKEN = "hf_" + "secret" * 6
CARD = "---\nlicense: mit\n---\n# A model\n"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubServer() as server:
        use_hub(server.url, tmp_path / "home", monkeypatch)
        monkeypatch.setattr("huggingface_hub.hf_api.ENDPOINT", server.url, raising=False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "made" / "inside").mkdir(parents=True)
    (tmp_path / "made" / "README.md").write_text(CARD)
    (tmp_path / "made" / "inside" / "weights.bin").write_bytes(bytes(range(256)))
    return tmp_path / "made"


def complaint(*args):
    with pytest.raises(StudyError) as caught:
        push_folder(*args, private=False)
    said = str(caught.value)
    assert "\n" not in said
    assert TOKEN not in said
    return said


def test_a_folder_becomes_one_commit_of_a_new_repository(hub, folder):
    address = push_folder(folder, "owner/name", private=True)

    repository = hub.repositories["models", "owner/name"]
    assert list(repository.commits) == [address.rpartition("/")[2]]
    assert repository.commits[repository.branches["main"]] == {
        "README.md": CARD.encode(),
        "inside/weights.bin": bytes(range(256)),
    }
    assert hub.created == [{"name": "name", "organization": "owner", "visibility": "private"}]


def test_a_repository_that_is_there_is_pushed_to(hub, folder):
    hub.publish("models", "owner/name", "a" * 40, {"old.txt": b"old"}, branch="main")

    push_folder(folder, "owner/name", private=False)

    assert (
        "README.md"
        in hub.repositories["models", "owner/name"].commits[hub.repositories["models", "owner/name"].branches["main"]]
    )


def test_the_token_is_sent_and_never_said(hub, folder, capfd, caplog):
    caplog.set_level(0)
    push_folder(folder, "owner/name", private=False)

    assert f"Bearer {TOKEN}" in hub.tokens
    said = capfd.readouterr()
    assert TOKEN not in said.out + said.err + caplog.text


def test_a_card_that_the_hub_cannot_read_is_refused_before_anything_is_uploaded(hub, folder):
    (folder / "README.md").write_text("---\nmodel-index: [1]\n---\n")

    assert "metadata" in complaint(folder, "owner/name")
    assert hub.repositories["models", "owner/name"].commits == {}


@pytest.mark.parametrize(("status", "words"), [(401, "hf auth login"), (403, "hf auth login"), (500, "answered 500")])
def test_a_refusal_is_one_line(hub, folder, status, words):
    hub.status = status
    assert words in complaint(folder, "owner/name")


def test_a_hub_that_is_away_is_one_line(hub, folder):
    hub.stop()
    assert f"{hub.url} could not be reached for owner/name" in complaint(folder, "owner/name")


def test_an_ill_formed_name_is_refused_before_anything_is_asked(hub, folder):
    assert "owner/name" in complaint(folder, "a/b/c")
    assert hub.requests == []


def test_offline_mode_forbids_a_push(hub, folder, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in complaint(folder, "owner/name")
    assert hub.requests == []
