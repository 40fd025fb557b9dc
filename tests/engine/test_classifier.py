import errno
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from stages.engine.classifier import load_adapted_classifier
from stages.engine.models.base_model import find_base_model
from stages.engine.models.record import FILE
from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml
from stages.methods.lora import LoraParams, adapter_config
from tests.engine.conftest import CPU, build, opinions, train
from tests.tiny_models import LORA


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_lora_on_bert_base_trains_the_published_number_of_parameters(repository):
    lora = LoraParams(**read_yaml(repository / "params.yaml")["train"]["lora"])
    with torch.device("meta"):  # shapes only
        model = BertForSequenceClassification(BertConfig(num_labels=2))

    assert get_peft_model(model, adapter_config(lora)).get_nb_trainable_parameters() == (296_450, 109_780_228)


def test_only_the_adapter_and_the_head_are_trained(tiny_classifier):
    names = tiny_classifier.trainable()

    assert all(".lora_" in name or ".classifier." in name for name in names)
    assert sum(weight.numel() for weight in names.values()) == tiny_classifier.record.trainable_parameters
    # two layers, query and value, A and B of rank 4 on width 32; then the head
    assert tiny_classifier.record.trainable_parameters == 2 * 2 * 2 * 4 * 32 + 2 * 32 + 2


def test_the_seed_decides_the_initial_weights(tiny_base):
    first, again, other = (build(tiny_base, seed=seed).trainable() for seed in (1, 1, 2))

    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_a_saved_classifier_gives_the_same_logits(tiny_classifier, tmp_path):
    split = opinions(40)
    train(tiny_classifier, split, split)
    tiny_classifier.save(tmp_path / "model")

    loaded = load_adapted_classifier(tmp_path / "model", CPU)

    assert loaded.record == tiny_classifier.record
    np.testing.assert_array_equal(loaded.predict(split, 64), tiny_classifier.predict(split, 64))


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_plain_peft_loads_adapter_and_trained_head(tiny_base, tiny_classifier, tmp_path):
    split = opinions(40)
    train(tiny_classifier, split, split)
    tiny_classifier.save(tmp_path)

    plain = AutoModelForSequenceClassification.from_pretrained(tiny_base.folder, num_labels=2)
    plain = PeftModel.from_pretrained(plain, str(tmp_path)).eval()
    encoded = tiny_classifier.tokenizer(split.sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = plain(input_ids=encoded.input_ids, attention_mask=encoded.attention_mask).logits.numpy()

    assert tiny_classifier.record.engine == "packed"
    # float32, and the engine adds the adapter to the weights first
    np.testing.assert_allclose(logits, tiny_classifier.predict(split, 64), rtol=0, atol=1e-5)


def test_saving_leaves_no_path_no_pickle_and_the_same_bytes(tiny_base, tmp_path):
    for name in ("one", "two"):
        build(tiny_base, seed=3).save(tmp_path / name)
    files = sorted(file.name for file in (tmp_path / "one").iterdir())

    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", FILE} <= set(files)
    assert not any(file.endswith((".bin", ".pt", ".pkl")) for file in files)
    for file in files:
        content = (tmp_path / "one" / file).read_bytes()
        assert content == (tmp_path / "two" / file).read_bytes()
        assert str(tmp_path).encode() not in content


def test_the_saved_folder_names_the_classes(tiny_classifier, tmp_path):
    tiny_classifier.save(tmp_path)

    config = json.loads((tmp_path / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    assert any("classifier" in name for name in load_file(tmp_path / "adapter_model.safetensors"))


def test_a_base_model_that_changed_since_is_refused(tiny_classifier, tmp_path):
    record = tiny_classifier.record
    replace(tiny_classifier, record=replace(record, base=replace(record.base, weights_sha256="0" * 64))).save(tmp_path)

    with pytest.raises(StudyError, match=r"not those that .* was trained on"):
        load_adapted_classifier(tmp_path, CPU)


@pytest.mark.parametrize("target_modules", [["nowhere"], ["query", "nowhere"]])
def test_layers_that_the_base_model_lacks_are_named(tiny_base, target_modules):
    expected = r"train\.lora\.target_modules: there are no layers named nowhere; there are by role query, key, value, "
    with pytest.raises(StudyError, match=expected):
        build(tiny_base, seed=0, lora=replace(LORA, target_modules=target_modules))


def test_more_tokens_than_the_model_has_positions_are_refused(tiny_base):
    with pytest.raises(StudyError, match=r"train\.max_tokens is 129, but model .* reads at most 128 tokens"):
        build(tiny_base, seed=0, max_tokens=129)


def rewritten(base, folder, change):
    """A copy of the base model with other weights."""
    shutil.copytree(base.folder, folder)
    weights = load_file(folder / "model.safetensors")
    save_file(change(weights), folder / "model.safetensors", metadata={"format": "pt"})
    return find_base_model(str(folder), {})


def test_weights_of_something_else_are_refused(tiny_base, tmp_path):
    other = rewritten(tiny_base, tmp_path / "other", lambda _: {"unrelated": torch.zeros(1)})

    with pytest.raises(StudyError, match="its weights lack embeddings, encoder, which would be random; fetch"):
        build(other, seed=0)


def test_weights_of_another_size_are_refused(tiny_base, tmp_path):
    other = rewritten(
        tiny_base, tmp_path / "other", lambda weights: {name: w[..., :1].contiguous() for name, w in weights.items()}
    )

    with pytest.raises(StudyError, match=r"do not fit its config\.json"):
        build(other, seed=0)


def test_a_pooler_that_pretraining_left_out_is_trained_and_saved(tiny_base, tmp_path):
    headless = rewritten(
        tiny_base,
        tmp_path / "headless",
        lambda weights: {name: weight for name, weight in weights.items() if "pooler" not in name},
    )
    classifier = build(headless, seed=0)
    classifier.save(tmp_path / "model")
    loaded = load_adapted_classifier(tmp_path / "model", CPU)

    assert any("pooler" in name for name in classifier.trainable())
    np.testing.assert_array_equal(loaded.predict(opinions(10), 64), classifier.predict(opinions(10), 64))


def test_a_classifier_in_bf16_learns_and_is_saved_with_its_number_format(tiny_base, tmp_path):
    classifier = build(tiny_base, seed=0, precision="bf16")
    history = train(classifier, opinions(200), opinions(40, seed=1)).history
    classifier.save(tmp_path)

    assert history[-1].val_accuracy > 0.9
    assert load_adapted_classifier(tmp_path, CPU).record.precision == "bf16"
    rounded, exact = (
        build(tiny_base, seed=0, precision=precision).predict(opinions(40), 64) for precision in ("bf16", "fp32")
    )
    np.testing.assert_allclose(rounded, exact, rtol=0, atol=0.05)  # 8 bits of mantissa
    assert not np.array_equal(rounded, exact)


@pytest.mark.parametrize("error", [SafetensorError("I/O error: No space left (os error 28)"), Exception("os error 28")])
def test_a_full_disk_is_an_os_error_whichever_library_meets_it(tiny_classifier, tmp_path, monkeypatch, error):
    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(tiny_classifier.model, "save_pretrained", fail)
    with pytest.raises(OSError, match="No space left on device") as caught:
        tiny_classifier.save(tmp_path)
    assert caught.value.errno == errno.ENOSPC
