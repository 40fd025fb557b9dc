import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from stages.engine.classifier import RECORD, build_classifier, load_classifier
from stages.engine.loop import fit
from stages.engine.predict import predict_logits, tokenized
from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml
from tests.engine.conftest import build, opinions
from tests.engine.test_loop import PARAMS
from tests.tiny_bert import LORA


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_lora_on_bert_base_trains_the_published_number_of_parameters(repository):
    lora = read_yaml(repository / "params.yaml")["train"]["lora"]
    with torch.device("meta"):  # shapes only
        model = BertForSequenceClassification(BertConfig(num_labels=2))
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        bias=lora["bias"],
        target_modules=lora["target_modules"],
    )

    assert get_peft_model(model, config).get_nb_trainable_parameters() == (296_450, 109_780_228)


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
    fit(tiny_classifier, split, split, PARAMS, seed=0)
    tiny_classifier.save(tmp_path / "model")

    loaded = load_classifier(tmp_path / "model")

    assert loaded.record == tiny_classifier.record
    expected = predict_logits(tiny_classifier, tokenized(tiny_classifier, split), 8)
    np.testing.assert_array_equal(predict_logits(loaded, tokenized(loaded, split), 8), expected)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_plain_peft_loads_adapter_and_trained_head(tiny_base, tiny_classifier, tmp_path):
    split = opinions(40)
    fit(tiny_classifier, split, split, PARAMS, seed=0)
    tiny_classifier.save(tmp_path)

    plain = AutoModelForSequenceClassification.from_pretrained(tiny_base.folder, num_labels=2)
    plain = PeftModel.from_pretrained(plain, str(tmp_path)).eval()
    encoded = tiny_classifier.tokenizer(split.sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = plain(input_ids=encoded.input_ids, attention_mask=encoded.attention_mask).logits.numpy()

    expected = predict_logits(tiny_classifier, tokenized(tiny_classifier, split), 8)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)  # float32, other padding


def test_saving_leaves_no_path_no_pickle_and_the_same_bytes(tiny_base, tmp_path):
    for name in ("one", "two"):
        build(tiny_base, seed=3).save(tmp_path / name)
    files = sorted(file.name for file in (tmp_path / "one").iterdir())

    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", RECORD} <= set(files)
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
    replace(tiny_classifier, record=replace(tiny_classifier.record, weights_sha256="0" * 64)).save(tmp_path)

    with pytest.raises(StudyError, match=r"not those that .* was trained on"):
        load_classifier(tmp_path)


def test_layers_that_the_base_model_lacks_are_named(tiny_base):
    with pytest.raises(StudyError, match="nowhere"):
        build_classifier(
            tiny_base,
            lora=replace(LORA, target_modules=["nowhere"]),
            label_names=("a", "b"),
            seed=0,
            precision="fp32",
            max_tokens=8,
        )
