"""What ONNX Runtime makes of an export: any architecture, any head, any number of texts and tokens."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from stages.engine.exporting.onnx_file import LABELS, MODEL, QUANTIZED, onnx_logits, quantize, write_onnx
from stages.engine.models.base_model import find_base_model
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json
from tests.engine.conftest import build, long_pairs, opinions, stir
from tests.tiny_models import TINY

ROUNDING = {"rtol": 0, "atol": 2e-5}  # as between the engine and Transformers
READINGS = [("mean", "none"), ("first", "none"), ("mean", "own")]


def texts(num_rows):
    """Texts of which some are longer than the classifier reads, and one is empty."""
    split = opinions(num_rows, seed=num_rows)
    return replace(split, sentences=["", " ".join(["very bad film"] * 9), *split.sentences[2:]])


def assert_equal_logits(classifier, folder):
    write_onnx(classifier, folder)
    for num_rows in (3, 37):  # neither is what the graph was traced with; the second makes an odd last batch
        found, expected = onnx_logits(folder, texts(num_rows)), classifier.predict(texts(num_rows), 64)
        np.testing.assert_allclose(found, expected, **ROUNDING)


@pytest.mark.parametrize("name", TINY)
def test_every_architecture_computes_equal_logits_for_odd_numbers_of_texts_and_tokens(tmp_path, name):
    base = find_base_model(str(TINY[name](tmp_path / "base_model")), {})

    assert_equal_logits(stir(build(base, seed=0)), tmp_path / "out")


@pytest.mark.parametrize("name", ["bert", "roberta"])  # with segments, and with one separator more instead
def test_pairs_of_texts_compute_equal_logits_also_where_they_are_cut(tmp_path, name):
    classifier = stir(build(find_base_model(str(TINY[name](tmp_path / "base_model")), {}), seed=0))
    write_onnx(classifier, tmp_path / "out")

    found, expected = onnx_logits(tmp_path / "out", long_pairs()), classifier.predict(long_pairs(), 64)
    np.testing.assert_allclose(found, expected, **ROUNDING)


@pytest.mark.parametrize(("pooling", "pooler"), READINGS)
def test_every_head_computes_equal_logits(tiny_base, tmp_path, pooling, pooler):
    classifier = stir(build(tiny_base, seed=0, pooling=pooling, pooler=pooler))

    assert_equal_logits(classifier, tmp_path / "out")
    assert read_json(tmp_path / "out" / LABELS) == ["negative", "positive"]


def test_a_single_text_of_one_word_is_read_too(tiny_base, tmp_path):
    classifier = build(tiny_base, seed=0)
    write_onnx(classifier, tmp_path)
    one = replace(opinions(1), sentences=["good"])

    np.testing.assert_allclose(onnx_logits(tmp_path, one), classifier.predict(one, 64), **ROUNDING)


def test_int8_weights_take_the_place_of_the_file_and_are_near(tiny_base, tmp_path):
    classifier = stir(build(tiny_base, seed=0))
    write_onnx(classifier, tmp_path)
    whole = (tmp_path / MODEL).stat().st_size
    quantize(tmp_path)

    assert not (tmp_path / MODEL).exists()
    assert (tmp_path / QUANTIZED).stat().st_size < whole
    difference = np.abs(onnx_logits(tmp_path, texts(20)) - classifier.predict(texts(20), 64)).max()
    assert 1e-4 < difference < 0.5


def test_a_missing_package_is_one_line_that_says_what_to_type(tiny_base, tmp_path, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.startswith("onnx") else there(name))

    with pytest.raises(StudyError, match="run `pip install onnx onnxscript onnxruntime`"):
        write_onnx(build(tiny_base, seed=0), tmp_path / "out")
    assert not (tmp_path / "out").exists()
