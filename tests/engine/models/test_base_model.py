import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertModel

from stages.engine.models.base_model import find_base_model
from stages.engine.params import BaseModelParams
from stages.foundation.errors import StudyError
from tests.hub_server import HubServer, use_hub

REPO, PINNED, MOVED_ON = "owner/tiny-bert", "1" * 40, "2" * 40
ROOT = Path(__file__).parents[3]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]


def save_tiny_bert(folder, seed=0, **options):
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(folder, **options)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')


@pytest.fixture
def tiny_bert(tmp_path):
    folder = tmp_path / "tiny"
    save_tiny_bert(folder)
    return folder


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def hub(tmp_path, tiny_bert, monkeypatch):
    with HubServer() as server:
        use_hub(server.url, tmp_path / "home", monkeypatch)
        files = contents(tiny_bert) | {"pytorch_model.bin": b"pickle", "modeling.py": b"raise SystemExit"}
        server.publish("models", REPO, PINNED, files)
        save_tiny_bert(tmp_path / "newer", seed=1)
        server.publish("models", REPO, MOVED_ON, contents(tmp_path / "newer"), branch="main")
        yield server


def named(source, location, pin=""):
    return {"named": BaseModelParams(source=source, location=str(location), pin=pin)}


def complaint(model, base_models=None):
    with pytest.raises(StudyError) as caught:
        find_base_model(str(model), base_models or {})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


# What `model` may say


def test_an_unknown_name_is_answered_with_the_known_ones_and_the_other_forms(tiny_bert):
    line = complaint("nosuch", named("folder", tiny_bert))
    assert "known are named" in line
    assert "owner/name@commit" in line
    assert "./path" in line


def test_a_folder_is_found_by_its_path(tiny_bert, monkeypatch):
    monkeypatch.chdir(tiny_bert.parent)
    for path in (str(tiny_bert), "./tiny", "../" + tiny_bert.parent.name + "/tiny"):
        found = find_base_model(path, {})
        assert (found.source, found.location, found.pin) == ("folder", path, "")
        assert found.weights_sha256 == sha256(tiny_bert / "model.safetensors")


def test_a_folder_goes_before_a_hub_id_of_the_same_name(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_tiny_bert(tmp_path / REPO)
    assert find_base_model(REPO, {}).source == "folder"
    assert hub.requests == []


def test_a_named_model_goes_before_everything_else(tiny_bert):
    base_models = {"owner/name": BaseModelParams(source="folder", location=str(tiny_bert), pin="")}
    assert find_base_model("owner/name", base_models).folder == tiny_bert


# The Hub


@pytest.mark.usefixtures("hub")
def test_a_pinned_commit_is_found_although_main_has_moved_on(tiny_bert):
    for model, base_models in ((f"{REPO}@{PINNED}", {}), ("named", named("hub", REPO, PINNED))):
        found = find_base_model(model, base_models)
        assert (found.name, found.source, found.location, found.pin) == (model, "hub", REPO, PINNED)
        assert found.weights_sha256 == sha256(tiny_bert / "model.safetensors")


@pytest.mark.usefixtures("hub")
def test_without_a_pin_the_newest_commit_is_found_and_reported(tmp_path):
    found = find_base_model(REPO, {})
    assert found.pin == MOVED_ON
    assert found.weights_sha256 == sha256(tmp_path / "newer" / "model.safetensors")


@pytest.mark.usefixtures("hub")
def test_what_was_fetched_loads_as_a_classifier_with_its_tokenizer():
    folder = find_base_model(f"{REPO}@{PINNED}", {}).folder
    encoded = AutoTokenizer.from_pretrained(folder)("good bad", return_tensors="pt")
    classifier = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    assert encoded["input_ids"].tolist() == [[2, 5, 6, 3]]
    assert classifier(**encoded).logits.shape == (1, 3)


def test_neither_pickles_nor_code_are_fetched(hub):
    find_base_model(f"{REPO}@{PINNED}", {})
    assert any("model.safetensors" in request for request in hub.requests)
    assert not any(".bin" in request or ".py" in request for request in hub.requests)


def test_the_second_use_of_a_pinned_commit_needs_no_server(hub):
    first = find_base_model(f"{REPO}@{PINNED}", {})
    hub.stop()
    assert find_base_model(f"{REPO}@{PINNED}", {}) == first


def test_a_hub_that_is_not_there_is_one_clear_line(hub):
    hub.stop()
    line = complaint("named", named("hub", REPO, PINNED))
    assert hub.url in line
    assert REPO in line
    assert "`model: minilm` needs no network" in line


@pytest.mark.usefixtures("hub")
def test_a_model_that_does_not_exist_is_one_clear_line():
    assert "has no model owner/nothing" in complaint("owner/nothing")
    assert "no such revision" in complaint(f"{REPO}@{'3' * 40}")


def test_weights_that_are_cut_short_are_one_clear_line(hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the attempts
    hub.cut["model.safetensors"] = 1000
    assert "cut short" in complaint(f"{REPO}@{PINNED}")


def test_a_hub_model_with_nothing_but_pickled_weights_is_refused(hub, tiny_bert):
    files = contents(tiny_bert)
    files["pytorch_model.bin"] = files.pop("model.safetensors")
    hub.publish("models", "owner/pickled", PINNED, files)
    assert "pytorch_model.bin" in complaint(f"owner/pickled@{PINNED}")
    assert not any(".bin" in request for request in hub.requests)


@pytest.mark.usefixtures("hub")
def test_damaged_weights_in_the_cache_are_fetched_again_once_removed_as_told():
    weights = find_base_model(f"{REPO}@{PINNED}", {}).folder / "model.safetensors"
    blob = weights.resolve()
    blob.write_bytes(blob.read_bytes()[:-8])
    assert f"remove {blob}" in complaint(f"{REPO}@{PINNED}")
    blob.unlink()
    assert find_base_model(f"{REPO}@{PINNED}", {}).pin == PINNED


def test_a_fresh_process_follows_hf_endpoint(hub, tmp_path):
    program = (
        "from stages.engine.models.base_model import find_base_model\n"
        f"print(find_base_model({REPO + '@' + PINNED!r}, {{}}).pin)"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "fresh")}
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{PINNED}\n", "")


@pytest.mark.hub
def test_the_real_bert_base_uncased_can_be_found():
    pin = "86b5e0934494bd15c9632b12f734a8a67f723594"
    assert find_base_model(f"google-bert/bert-base-uncased@{pin}", {}).pin == pin


# An installed package


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "site" / "a_packaged_model"
    save_tiny_bert(folder / "model")
    (folder / "__init__.py").write_text("raise SystemExit('the package was imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder / "model"


def test_a_package_is_found_without_importing_it(package):
    pin = sha256(package / "model.safetensors")
    found = find_base_model("named", named("package", "a_packaged_model/model", pin))
    assert (found.source, found.folder, found.pin, found.weights_sha256) == ("package", package, pin, pin)


def test_packaged_weights_that_are_not_the_pinned_ones_are_refused(package):
    line = complaint("named", named("package", "a_packaged_model/model", "0" * 64))
    assert "not those pinned" in line
    assert sha256(package / "model.safetensors") in line


@pytest.mark.parametrize("location", ["no_such_package/model", "/model", "no-package"])
def test_a_missing_package_says_what_to_install(location):
    assert "pip install -r requirements.txt" in complaint("named", named("package", location))


@pytest.mark.usefixtures("package")
def test_a_package_without_the_folder_is_one_clear_line():
    assert "no model folder" in complaint("named", named("package", "a_packaged_model/other"))


# A folder, and what may be wrong with any of them


def test_weights_in_several_files_are_found_with_one_digest(tmp_path):
    folder = tmp_path / "split"
    save_tiny_bert(folder, max_shard_size="2KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    digest = hashlib.sha256(b"".join(shard.read_bytes() for shard in shards)).hexdigest()
    assert find_base_model(str(folder), {}).weights_sha256 == digest

    shards[0].unlink()
    assert shards[0].name in complaint(folder)


def test_a_folder_that_does_not_exist_is_one_clear_line(tmp_path):
    assert "no model folder" in complaint(tmp_path / "nowhere")
    assert "no model folder" in complaint("./nowhere")


def test_a_folder_without_config_is_one_clear_line(tiny_bert):
    (tiny_bert / "config.json").unlink()
    assert "no config.json" in complaint(tiny_bert)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]"])
def test_a_config_that_cannot_be_read_is_one_clear_line(tiny_bert, content):
    (tiny_bert / "config.json").write_bytes(content)
    assert "config.json" in complaint(tiny_bert)


def test_pickled_weights_are_never_loaded(tiny_bert):
    (tiny_bert / "model.safetensors").rename(tiny_bert / "pytorch_model.bin")
    assert "pickled weights (pytorch_model.bin) can run code and are never loaded" in complaint(tiny_bert)


@pytest.mark.parametrize("keep", [0, 7, 200, -1])
def test_truncated_weights_are_one_clear_line(tiny_bert, keep):
    weights = tiny_bert / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    assert "damaged" in complaint(tiny_bert)


def test_a_pickle_under_the_name_of_safetensors_is_one_clear_line(tiny_bert):
    torch.save({"weight": torch.zeros(2)}, tiny_bert / "model.safetensors")
    assert "no safetensors file" in complaint(tiny_bert)


@pytest.mark.parametrize("index", ["{}", '{"weight_map": {}}', '{"weight_map": [1]}'])
def test_an_index_that_lists_nothing_is_one_clear_line(tiny_bert, index):
    (tiny_bert / "model.safetensors").unlink()
    (tiny_bert / "model.safetensors.index.json").write_text(index)
    assert "it lists none" in complaint(tiny_bert)


def test_a_model_that_would_run_its_own_code_is_refused(tiny_bert):
    config = {"model_type": "homemade", "auto_map": {"AutoModel": "modeling.HomemadeModel"}}
    (tiny_bert / "config.json").write_text(json.dumps(config))
    (tiny_bert / "modeling.py").write_text("raise SystemExit")
    assert "its own code, which is never run" in complaint(tiny_bert)


def test_an_unknown_kind_of_model_is_refused(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"weight": torch.zeros(2)}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"hidden_size": 8}')
    assert "not known to transformers" in complaint(folder)
