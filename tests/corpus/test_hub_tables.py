import io
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from stages.corpus.sources.hub_tables import read_hub_frames
from stages.foundation.errors import StudyError
from tests.hub_server import HubServer, use_hub

REPO, PINNED, MOVED_ON = "nyu-mll/glue", "1" * 40, "2" * 40
ROOT = Path(__file__).parents[2]
CARD = """---
dataset_info:
- config_name: ax
  features:
  - {name: premise, dtype: string}
- config_name: sst2
  features:
  - {name: sentence, dtype: string}
  - name: label
    dtype: {class_label: {names: {'0': negative, '1': positive}}}
  - {name: idx, dtype: int32}
configs:
- config_name: ax
  data_files:
  - {split: test, path: ax/test-*}
- config_name: sst2
  data_files:
  - {split: train, path: sst2/train-*}
  - {split: validation, path: sst2/validation-*}
  - {split: test, path: sst2/test-*}
---
# A data set in the form of GLUE
"""


def parquet(**columns):
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer, index=False)
    return buffer.getvalue()


def split(word, labels):
    sentences = [f"{word} {row}" for row in range(len(labels))]
    return parquet(sentence=sentences, label=labels, idx=pd.array(range(len(labels)), dtype="int32"))


def glue(word):
    return {
        "README.md": CARD.encode(),
        "glue.py": b"raise SystemExit('code from the Hub was run')",
        "ax/test-00000-of-00001.parquet": parquet(premise=["unwanted"]),
        "sst2/train-00000-of-00002.parquet": split(f"{word} train", [0, 1, 1]),
        "sst2/train-00001-of-00002.parquet": split(f"{word} more", [0]),
        "sst2/validation-00000-of-00001.parquet": split(f"{word} validation", [1, 0]),
        "sst2/test-00000-of-00001.parquet": split(f"{word} test", [-1]),
    }


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubServer() as server:
        use_hub(server.url, tmp_path / "home", monkeypatch)
        server.publish("datasets", REPO, PINNED, glue("pinned"))
        server.publish("datasets", REPO, MOVED_ON, glue("newer"), branch="main")
        yield server


def read(repo=REPO, *, config="sst2", revision=PINNED, splits=None):
    return read_hub_frames(repo, config=config, revision=revision, splits=splits or {})


def complaint(**given):
    with pytest.raises(StudyError) as caught:
        read(**given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.usefixtures("hub")
def test_a_pinned_data_set_is_read_with_its_columns_class_names_and_commit():
    data = read()

    assert data.revision == PINNED
    assert data.class_names == {"label": ["negative", "positive"]}
    assert list(data.frames) == ["train", "validation", "test"]
    train = data.frames["train"]
    assert train["sentence"].tolist() == ["pinned train 0", "pinned train 1", "pinned train 2", "pinned more 0"]
    assert train["label"].tolist() == [0, 1, 1, 0]
    assert train["label"].dtype == "int64"


@pytest.mark.usefixtures("hub")
def test_without_a_pin_the_newest_commit_is_read_and_reported():
    data = read(revision=None)
    assert data.revision == MOVED_ON
    assert data.frames["train"]["sentence"][0] == "newer train 0"


@pytest.mark.usefixtures("hub")
def test_splits_can_be_taken_under_other_names():
    data = read(splits={"train": "train", "test": "validation"})
    assert list(data.frames) == ["train", "test"]
    assert data.frames["test"]["sentence"].tolist() == ["pinned validation 0", "pinned validation 1"]


def test_the_second_reading_needs_no_server(hub):
    first = read().frames["train"]
    hub.stop()
    pd.testing.assert_frame_equal(read().frames["train"], first)


def test_a_newer_state_in_the_cache_never_stands_in_for_the_pinned_one(hub):
    read(revision=None)
    hub.stop()
    line = complaint()
    assert "could not be reached" in line
    assert "`dataset: reviews` needs no network" in line


def test_a_folder_of_the_same_name_is_not_mistaken_for_the_data_set(hub, tmp_path, monkeypatch):
    (tmp_path / REPO).mkdir(parents=True)
    (tmp_path / REPO / "train.csv").write_text("sentence,label\nlocal,1\n")
    monkeypatch.chdir(tmp_path)
    assert read().frames["train"]["sentence"][0] == "pinned train 0"
    assert hub.requests


def test_neither_code_nor_other_configs_are_fetched(hub):
    read()
    assert any("sst2/train" in request for request in hub.requests)
    assert not any("glue.py" in request or "ax/" in request for request in hub.requests)


@pytest.mark.usefixtures("hub")
def test_an_unknown_config_is_answered_with_those_there_are():
    assert "has no config cola; it has ax, sst2" in complaint(config="cola")
    assert "needs a `config`: one of ax, sst2" in complaint(config=None)


@pytest.mark.usefixtures("hub")
def test_an_unknown_split_is_answered_with_those_there_are():
    line = complaint(splits={"train": "train", "test": "dev"})
    assert "no split dev for `test`; it has train, validation, test" in line
    assert "no split given for `train`" in complaint(splits={"test": "validation"})
    assert "no split given for `test`" in complaint(splits={"train": "train"})


def test_a_data_set_without_a_description_is_read_by_its_file_names(hub):
    files = {"train.csv": b"text,stars\ngood,5\nbad,1\n", "test.csv": b"text,stars\nfine,4\n"}
    hub.publish("datasets", "owner/plain", PINNED, files)
    data = read("owner/plain", config=None)
    assert data.frames["train"]["text"].tolist() == ["good", "bad"]
    assert list(data.frames) == ["train", "test"]
    assert data.class_names == {}
    assert "lists none" in complaint(repo="owner/plain", config="stars")


@pytest.mark.parametrize(
    "data_files",
    ["train: words.tsv", "{split: train, path: words.tsv}\n  - {split: test, path: [words.tsv]}", "'**/*.tsv'"],
)
def test_a_description_may_name_its_files_in_several_ways(hub, data_files):
    lines = f"data_files:\n  - {data_files}" if "split" in data_files else f"data_files: {data_files.split(': ')[-1]}"
    card = f"---\nconfigs:\n- config_name: default\n  {lines}\n  sep: ';'\n---\n"
    files = {"README.md": card.encode(), "words.tsv": b"text;label\ngood;1\n", "more.csv": b"unwanted\n"}
    hub.publish("datasets", "owner/words", PINNED, files)
    data = read("owner/words", config=None, splits={"train": "train", "test": "train"})
    assert data.frames["train"].to_dict("list") == {"text": ["good"], "label": [1]}


def test_a_folder_in_the_description_is_read_alone(hub):
    card = "---\nconfigs:\n- config_name: small\n  data_dir: small\n- config_name: large\n  data_dir: large\n---\n"
    files = {"README.md": card.encode()}
    files |= {
        f"{size}/{name}.csv": f"text\n{size}\n".encode() for size in ("small", "large") for name in ("train", "test")
    }
    hub.publish("datasets", "owner/sizes", PINNED, files)
    assert read("owner/sizes", config="large").frames["train"]["text"].tolist() == ["large"]


@pytest.mark.parametrize("place", ["/etc/hosts", "../other/train.csv", "https://example.org/train.csv"])
def test_data_outside_of_the_repository_are_refused(hub, place):
    card = f"---\nconfigs:\n- config_name: default\n  data_files: {place}\n---\n"
    hub.publish("datasets", "owner/elsewhere", PINNED, {"README.md": card.encode()})
    assert f"outside of its repository, which is not read: {place}" in complaint(repo="owner/elsewhere", config=None)


def test_a_repository_without_data_is_one_clear_line(hub):
    hub.publish("datasets", "owner/script", PINNED, {"script.py": b"raise SystemExit"})
    assert "dataset owner/script could not be read" in complaint(repo="owner/script", config=None)


def test_a_damaged_file_is_one_clear_line(hub):
    hub.publish("datasets", "owner/broken", PINNED, {"train.parquet": b"PAR1 no table", "test.parquet": b""})
    assert "owner/broken could not be read" in complaint(repo="owner/broken", config=None)


def test_a_file_that_is_cut_short_is_one_clear_line(hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the attempts
    hub.cut["sst2/train-00000-of-00002.parquet"] = 50
    assert "cut short" in complaint()


@pytest.mark.usefixtures("hub")
def test_a_data_set_that_does_not_exist_is_one_clear_line():
    assert "has no dataset owner/nothing" in complaint(repo="owner/nothing")


def test_a_fresh_process_reads_through_hf_endpoint_and_never_imports_torch(hub, tmp_path):
    program = (
        "import sys; from stages.corpus.sources.hub_tables import read_hub_frames\n"
        f"data = read_hub_frames({REPO!r}, config='sst2', revision={PINNED!r}, splits={{}})\n"
        "print(data.frames['train']['sentence'][0], 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "fresh")}
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "pinned train 0 False False\n"
    assert done.stderr == ""

    hub.stop()
    offline = environment | {"HF_HUB_OFFLINE": "1"}
    again = subprocess.run(run, cwd=ROOT, env=offline, capture_output=True, text=True, check=True)
    assert again.stdout == done.stdout


@pytest.mark.hub
def test_the_real_sst2_can_be_read():
    data = read(revision="bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c")
    assert {name: len(frame) for name, frame in data.frames.items()} == {
        "train": 67_349,
        "validation": 872,
        "test": 1_821,
    }
