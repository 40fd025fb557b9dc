"""What plain Transformers and plain PEFT make of an export, architecture by architecture."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from stages.engine.exporting.folders import (
    adapter_logits,
    in_fp32,
    merged_logits,
    stated_licence,
    write_adapter,
    write_merged,
)
from stages.engine.head import build_head_classifier
from stages.engine.models.base_model import find_base_model
from stages.engine.models.encoder import Setup
from stages.foundation.errors import StudyError
from tests.engine.conftest import CPU, PARAMS, build, long_pairs, opinions, stir, train
from tests.tiny_models import TINY, save_tiny_bert

ROUNDING = {"rtol": 0, "atol": 2e-5}  # fp32 keeps 6e-8 of a value; some 40 sums, logits of about 1, in another order
LONG = " ".join(["good film"] * 20)  # 42 tokens; PARAMS cuts at 16


pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")


def rows():
    """Nine texts of many lengths, some too long for the classifier."""
    split = opinions(9, seed=3)
    return replace(split, sentences=[*split.sentences[:7], LONG, f"bad {LONG} bad"])


def base_at(folder):
    return find_base_model(str(folder), {})


@pytest.fixture(params=TINY)
def base(request, tmp_path):
    return base_at(TINY[request.param](tmp_path / "base_model"))


def assert_all_equal(found, expected):
    for way, logits in found.items():
        np.testing.assert_allclose(logits, expected, err_msg=way, **ROUNDING)


def test_an_adapter_loads_in_all_three_usual_ways_with_equal_logits(base, tmp_path):
    classifier = stir(build(base, seed=0))
    train(classifier, epochs=1)
    write_adapter(classifier, tmp_path / "out")

    found = adapter_logits(tmp_path / "out", rows())
    assert len(found) == 3
    assert_all_equal(found, classifier.predict(rows(), 64))


def test_pairs_of_texts_compute_equal_logits_in_all_these_ways_also_where_they_are_cut(base, tmp_path):
    classifier = stir(build(base, seed=0))
    write_adapter(classifier, tmp_path / "adapter")
    write_merged(classifier, tmp_path / "merged")
    expected = classifier.predict(long_pairs(), 64)

    assert np.ptp(expected, axis=0).min() > 100 * ROUNDING["atol"]  # texts that tell rows apart
    assert_all_equal(adapter_logits(tmp_path / "adapter", long_pairs()), expected)
    assert_all_equal(merged_logits(tmp_path / "merged", long_pairs()), expected)


@pytest.mark.parametrize("lora", [True, False])
def test_a_merged_folder_loads_in_both_usual_ways_with_equal_logits(base, tmp_path, lora):
    classifier = stir(build(base, seed=0)) if lora else build(base, seed=0, lora=None)
    train(classifier, epochs=1)
    before = classifier.predict(rows(), 64)
    write_merged(classifier, tmp_path / "out")

    found = merged_logits(tmp_path / "out", rows())
    assert len(found) == 2
    assert_all_equal(found, before)
    np.testing.assert_array_equal(classifier.predict(rows(), 64), before)  # the classifier itself is left as it was


def test_a_head_is_merged_with_its_encoder(tmp_path):
    base = base_at(save_tiny_bert(tmp_path / "base_model"))
    setup = Setup(base=base, device=CPU, precision="fp32")
    names = ("negative", "positive")
    classifier = build_head_classifier(setup, PARAMS, method="head", method_version=1, label_names=names, seed=0)
    write_merged(classifier, tmp_path / "out")

    assert_all_equal(merged_logits(tmp_path / "out", rows()), classifier.predict(rows(), 64))
    with pytest.raises(StudyError, match="method head trains no adapter"):
        write_adapter(classifier, tmp_path / "other")


@pytest.mark.parametrize(("pooling", "pooler"), [("mean", "own"), ("first", "none"), ("mean", "none")])
def test_a_head_that_transformers_does_not_read_is_refused_by_name(tiny_base, tmp_path, pooling, pooler):
    classifier = build(tiny_base, seed=0, pooling=pooling, pooler=pooler)

    for write in (write_adapter, write_merged):
        with pytest.raises(StudyError, match=f"train.pooling: {pooling} and train.pooler: {pooler}.*onnx"):
            write(classifier, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_lengths_and_one_class_per_text_stand_in_the_files_whatever_the_base_model_says(tmp_path):
    folder = save_tiny_bert(tmp_path / "base_model", problem_type="multi_label_classification", id2label={0: "x"})
    write_merged(build(base_at(folder), seed=0), tmp_path / "out")

    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}
    assert config["label2id"] == {"negative": 0, "positive": 1}
    assert config["problem_type"] == "single_label_classification"
    assert AutoTokenizer.from_pretrained(tmp_path / "out").model_max_length == PARAMS.max_tokens


def test_a_moved_adapter_is_found_by_transformers_and_by_its_two_parts(tiny_base, tmp_path):
    classifier = stir(build(tiny_base, seed=0))
    write_adapter(classifier, tmp_path / "made")
    shutil.move(tmp_path / "made", tmp_path / "moved")
    expected = classifier.predict(rows(), 64)

    assert_all_equal(merged_logits(tmp_path / "moved", rows()), expected)
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "moved" / "base")
    model = PeftModel.from_pretrained(base, str(tmp_path / "moved"))
    encoded = AutoTokenizer.from_pretrained(tmp_path / "moved")(
        rows().sentences, truncation=True, padding=True, return_tensors="pt"
    )
    np.testing.assert_allclose(model(**encoded).logits.detach().numpy(), expected, **ROUNDING)
    with pytest.raises(OSError, match="made/base"):
        adapter_logits(tmp_path / "moved", rows())


def test_the_base_model_lies_on_the_disk_once(tiny_base, tmp_path):
    write_adapter(build(tiny_base, seed=0), tmp_path / "out")

    assert (tmp_path / "out" / "base" / "model.safetensors").samefile(tmp_path / "out" / "model.safetensors")


def test_no_file_but_the_adapters_config_holds_a_path(tiny_base, tmp_path):
    write_adapter(build(tiny_base, seed=0), tmp_path / "out")

    told = [file for file in (tmp_path / "out").rglob("*.*") if str(tmp_path).encode() in file.read_bytes()]
    assert [file.name for file in told] == ["adapter_config.json"]
    assert not any(str(tiny_base.folder).encode() in file.read_bytes() for file in (tmp_path / "out").rglob("*.*"))


def test_in_fp32_the_same_weights_compute_what_bf16_rounds(tiny_base):
    rough = stir(build(tiny_base, seed=0, precision="bf16"))
    exact = in_fp32(rough)

    assert (rough.record.precision, exact.record.precision) == ("bf16", "fp32")
    assert 1e-5 < np.abs(rough.predict(rows(), 64) - exact.predict(rows(), 64)).max() < 0.1


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        ("---\nlicense: mit\n---\n# A model\n", "mit"),
        ("# A model\n", None),
        ("---\nlicense: [a\n---\n", None),
        (None, None),
    ],
)
def test_the_licence_of_the_base_model_is_what_its_files_state(tmp_path, readme, licence):
    folder = save_tiny_bert(tmp_path / "base_model")
    if readme is not None:
        (folder / "README.md").write_text(readme)

    assert stated_licence(build(base_at(folder), seed=0).record, tmp_path) == licence
