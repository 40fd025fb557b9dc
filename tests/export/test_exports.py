"""Every method in every format that it fits: equal logits, or nothing at all."""

import shutil
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest
from safetensors.numpy import save_file

from stages.export import exports
from stages.export.exports import LIMIT, export
from stages.export.tfidf_reader import TfidfReader
from stages.export.trained import find_trained
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import write_json
from stages.methods import load
from tests.export.conftest import NAMES
from tests.methods.test_methods import is_pickle

FITS = [
    ("lora", "adapter"),
    ("lora", "merged"),
    ("lora", "onnx"),
    ("full", "merged"),
    ("full", "onnx"),
    ("head", "merged"),
    ("head", "onnx"),
    ("tfidf", "files"),
]
FITS_NOT = [
    ("tfidf", "adapter", "files"),
    ("tfidf", "merged", "files"),
    ("tfidf", "onnx", "files"),
    ("lora", "files", "files is for method tfidf"),
    ("full", "adapter", "merged"),
    ("head", "adapter", "merged"),
]


def make(name, out, *, int8=False, model=None):
    with find_trained(None, model) as trained:
        return export(trained, name, out, int8=int8, card=lambda *_: "# A card\n")


@pytest.mark.parametrize(("method", "name"), FITS)
def test_each_format_computes_the_validation_rows_as_the_engine_does(experiment, tmp_path, capsys, method, name):
    experiment(method)
    check = make(name, tmp_path / "out")

    assert check.rows == 41
    assert max(check.differences.values()) <= check.limit
    assert check.limit == pytest.approx(LIMIT, rel=100)
    assert check.changed == 0
    assert (tmp_path / "out" / "README.md").read_text() == "# A card\n"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    said = capsys.readouterr().out
    for way, difference in check.differences.items():
        assert f"{difference:.1e} by {way}" in said
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert {file.suffix for file in files} <= {".json", ".safetensors", ".jinja", ".txt", ".md", ".onnx", ".py"}
    assert not any(is_pickle(file.read_bytes()) for file in files if file.suffix != ".py")


@pytest.mark.parametrize(("method", "name", "words"), FITS_NOT)
def test_what_does_not_fit_is_refused_in_a_line_that_names_what_does(experiment, tmp_path, method, name, words):
    experiment(method)

    with pytest.raises(StudyError, match=words):
        make(name, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong", [lambda logits: logits + 0.01, lambda logits: logits[:, ::-1], lambda logits: logits * np.nan]
)
@pytest.mark.parametrize(("method", "name"), [("lora", "merged"), ("tfidf", "files")])
def test_an_export_that_computes_something_else_is_refused_and_nothing_is_left(
    experiment, tmp_path, monkeypatch, method, name, wrong
):
    experiment(method)
    form = exports.FORMATS[name]
    spoilt = exports.Format(
        write=form.write,
        read=lambda folder, split: {way: wrong(logits) for way, logits in form.read(folder, split).items()},
    )
    monkeypatch.setitem(exports.FORMATS, name, spoilt)

    with pytest.raises(StudyError, match=r"nothing was written: loaded by .+ a logit differs from the engine's by"):
        make(name, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_left_alone(experiment, tmp_path):
    experiment()
    (tmp_path / "out").mkdir()

    with pytest.raises(StudyError, match="is already there: remove it"):
        make("merged", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interruption_leaves_nothing(experiment, tmp_path, monkeypatch):
    experiment()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(
        exports.FORMATS, "merged", exports.Format(write=exports.FORMATS["merged"].write, read=interrupted)
    )
    with pytest.raises(KeyboardInterrupt):
        make("merged", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_int8_costs_is_measured_and_said(experiment, tmp_path, capsys):
    experiment()
    check = make("onnx", tmp_path / "out", int8=True)

    assert check.int8_change is not None
    assert max(check.differences.values()) <= check.limit  # of the file before
    assert "The int8 weights change the accuracy on these rows by" in capsys.readouterr().out
    assert [file.name for file in (tmp_path / "out").glob("*.onnx")] == ["model_int8.onnx"]


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_an_adapter_is_found_where_it_was_put(experiment, tmp_path):
    from peft import AutoPeftModelForSequenceClassification

    experiment()
    make("adapter", tmp_path / "out")

    model = AutoPeftModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert tuple(model.config.id2label.values()) == NAMES


def test_a_folder_of_a_model_is_exported_without_its_experiment(experiment, tmp_path):
    experiment()
    shutil.copytree(paths.MODEL, tmp_path / "elsewhere")
    with find_trained(None, tmp_path / "elsewhere") as trained:
        assert trained.facts is None
    make("merged", tmp_path / "out", model=tmp_path / "elsewhere")

    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_the_reader_beside_a_tfidf_export_stands_alone(experiment, tmp_path):
    experiment("tfidf")
    make("files", tmp_path / "out")
    spec = module_from_spec(found := spec_from_file_location("alone", tmp_path / "out" / "tfidf_reader.py"))
    before = set(sys.modules)
    found.loader.exec_module(spec)
    reader = spec.TfidfReader(tmp_path / "out")
    texts = ["", "a GOOD film", "nothing known", "bad bad\tbad film ."]
    with find_trained(None, None) as trained:
        split = trained.validation.take(np.arange(4))
    expected = load(paths.MODEL, "cpu").predict(replace(split, sentences=texts), 64)

    np.testing.assert_allclose(reader.logits(texts), expected, rtol=0, atol=1e-6)
    assert reader.classify(texts) == [NAMES[index] for index in expected.argmax(axis=1)]
    assert not any(name.startswith(("stages", "sklearn")) for name in set(sys.modules) - before)


def test_the_reader_tells_the_two_texts_of_a_pair_apart(tmp_path):
    weights = {
        "inverse_frequency": np.array([1.0, 1.0, 2.0]),
        "coefficients": np.array([[2.0, -3.0, 0.5]]),
        "intercepts": np.array([0.25]),
    }
    save_file(weights, tmp_path / "tfidf.safetensors")
    write_json(tmp_path / "features.json", {"longest_run": 2, "runs": ["1 good", "2 good", "2 good film"]})
    write_json(tmp_path / "classifier.json", {"label_names": ["no", "yes"]})
    logits = TfidfReader(tmp_path).logits([("Good", "x"), ("x", "good"), ("x", "good film"), ("good film", "")])

    both = (-3.0 * 1 + 0.5 * 2) / np.sqrt(1 + 4)  # of the word and of the run, scaled to length 1
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], [2.25, -2.75, both + 0.25, 2.25])
