"""Base models in memory: what is fresh in them, what they can read, and whether they are still the same.

That weights of something else are refused is shown where a classifier is built of them (test_classifier.py).
"""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BertForSequenceClassification,
    ModernBertForMaskedLM,
    ModernBertForSequenceClassification,
    RobertaForSequenceClassification,
)

from stages.engine.models.base_model import find_base_model
from stages.engine.models.encoder import (
    fresh_encoder,
    full_disk_as_os_error,
    load_encoder,
    load_tokenizer,
    most_readable,
    record_base,
    reload_base,
    tells_segments,
)
from stages.foundation.errors import StudyError
from tests.engine.conftest import made_record
from tests.tiny_models import (
    TINY,
    save_tiny_bert,
    save_tiny_distilbert,
    save_tiny_modernbert,
    save_tiny_roberta,
    save_tiny_xlnet,
)

NAMES = ("bad", "good")


def found(folder):
    return find_base_model(str(folder), {})


def test_the_seed_decides_the_head_and_what_is_drawn_after_it(tiny_base):
    def drawn(seed):
        made = fresh_encoder(tiny_base, NAMES, max_tokens=16, seed=seed)
        return made.model.classifier.weight.detach().clone(), torch.rand(3)

    (head, after), (same_head, same_after), (other_head, _) = drawn(1), drawn(1), drawn(2)

    assert torch.equal(head, same_head)
    assert torch.equal(after, same_after)
    assert not torch.equal(head, other_head)


@pytest.mark.parametrize(
    ("save", "fresh"),
    [
        (save_tiny_bert, {"classifier"}),
        (save_tiny_distilbert, {"pre_classifier", "classifier"}),
        (save_tiny_roberta, {"classifier"}),
    ],
)
def test_what_the_files_lack_is_named_by_module(tmp_path, save, fresh):
    model, missing = load_encoder(found(save(tmp_path)), NAMES)

    assert missing == fresh
    assert model.config.id2label == dict(enumerate(NAMES))
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(("save", "positions"), [(save_tiny_bert, 128), (save_tiny_roberta, 128)])
def test_the_longest_text_fills_every_position_and_one_more_token_is_refused(tmp_path, save, positions):
    """RoBERTa's table has 129 rows, and its first token takes the one behind the padding's."""
    base = found(save(tmp_path))
    model = fresh_encoder(base, NAMES, max_tokens=positions, seed=0).model
    model(input_ids=torch.full((1, positions), 5))

    with pytest.raises(StudyError, match=rf"max_tokens is {positions + 1}, but model .* at most {positions} tokens"):
        fresh_encoder(base, NAMES, max_tokens=positions + 1, seed=0)


def test_a_model_that_reads_texts_of_any_length_takes_any(tmp_path):
    """XLNet's configuration calls that -1 positions, and its tokenizer has no limit either."""
    base = found(save_tiny_xlnet(tmp_path))
    made = fresh_encoder(base, NAMES, max_tokens=4096, seed=0)

    assert made.model.config.max_position_embeddings == -1
    assert made.tokenizer.model_max_length > 10**9
    assert most_readable(made.model) is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bert", True),
        ("electra", True),
        ("deberta-v2", False),  # has no table of segments, which its tokenizer tells all the same
        ("roberta", False),
        ("mpnet", False),
        ("distilbert", False),
        ("modernbert", False),
    ],
)
def test_segments_are_told_where_transformers_would(tmp_path, name, told):
    base = found(TINY[name](tmp_path))
    model, _ = load_encoder(base, NAMES)

    assert tells_segments(model, load_tokenizer(base.folder, name)) == told


def test_a_table_of_one_segment_tells_none_whatever_the_tokenizer_says(tmp_path):
    base = found(save_tiny_bert(tmp_path, type_vocab_size=1))
    model, _ = load_encoder(base, NAMES)

    assert not tells_segments(model, load_tokenizer(base.folder, "one"))


def test_a_tokenizer_without_padding_is_refused(tiny_base, tmp_path):
    folder = shutil.copytree(tiny_base.folder, tmp_path / "model")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"pad_token": None}))

    with pytest.raises(
        StudyError, match=r"^model tiny: its tokenizer has no padding token, which batches need; choose another$"
    ):
        load_tokenizer(folder, "tiny")


def test_a_tokenizer_that_is_not_there_is_one_clear_line(tiny_base, tmp_path):
    shutil.copy(tiny_base.folder / "config.json", tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")

    with pytest.raises(StudyError, match=r"^model tiny: its tokenizer cannot be loaded, fetch it again: "):
        load_tokenizer(tmp_path, "tiny")


def test_the_base_model_of_a_training_is_found_again_and_only_the_very_same(tiny_base, tmp_path):
    record = made_record(base=record_base(tiny_base))
    assert reload_base(record, tmp_path) == tiny_base

    other = made_record(base=replace(record.base, weights_sha256="0" * 64))
    with pytest.raises(StudyError, match=rf"are not those that {tmp_path} was trained on; train again$"):
        reload_base(other, tmp_path)


def test_a_record_without_a_base_model_is_refused(tmp_path):
    with pytest.raises(StudyError, match=f"^{tmp_path} names no base model; train again$"):
        reload_base(made_record(), tmp_path)


def test_a_full_disk_is_what_python_calls_it_and_nothing_else_is_touched():
    with pytest.raises(OSError, match="No space left on device") as refused, full_disk_as_os_error():
        raise RuntimeError("I/O error: No space left (os error 28)")
    assert refused.value.errno == 28

    with pytest.raises(RuntimeError, match="something else"), full_disk_as_os_error():
        raise RuntimeError("something else")


# Base models that are themselves trained on something: the kind, its classes, and the modules of theirs that are met.
TRAINED = {
    "bert, as many classes": (save_tiny_bert, BertForSequenceClassification, 2, "classifier"),
    "bert, other classes": (save_tiny_bert, BertForSequenceClassification, 5, "classifier"),
    "roberta, as many classes": (save_tiny_roberta, RobertaForSequenceClassification, 2, "classifier"),
    "roberta, other classes": (save_tiny_roberta, RobertaForSequenceClassification, 3, "classifier"),
    "modernbert, as many classes": (save_tiny_modernbert, ModernBertForSequenceClassification, 2, "head, classifier"),
    "modernbert, other classes": (save_tiny_modernbert, ModernBertForSequenceClassification, 4, "head, classifier"),
    "modernbert, words": (save_tiny_modernbert, ModernBertForMaskedLM, 2, "head"),
}
FAR = 100.0  # what the weights of their heads lie around


@pytest.fixture(params=TRAINED.values(), ids=TRAINED)
def trained(request, tmp_path):
    """A base model with a head, and what is said of it."""
    save, kind, num_labels, modules = request.param
    model = kind.from_pretrained(save(tmp_path, initializer_range=0.05), num_labels=num_labels)
    for name, weight in model.named_parameters():
        if not name.startswith(f"{model.base_model_prefix}.") and "decoder" not in name:
            torch.nn.init.normal_(weight, FAR)
    model.save_pretrained(tmp_path)
    return found(tmp_path), modules


def drawn_from(config):
    """The head of a model that is made from its configuration."""
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    return {name: weight for name, weight in model.named_parameters() if in_head(model, name)}


def in_head(model, name):
    return not name.startswith(f"{model.base_model_prefix}.")


def test_a_head_that_the_base_model_brings_is_left_aside_and_a_fresh_one_drawn(trained, capsys):
    base, modules = trained
    model = fresh_encoder(base, NAMES, max_tokens=16, seed=1).model
    said = f"model {base.name} brings a head of its own ({modules}): left aside, a fresh one is trained\n"
    assert capsys.readouterr().out == said

    expected = drawn_from(AutoConfig.from_pretrained(base.folder, num_labels=2))
    head = {name: weight for name, weight in model.named_parameters() if in_head(model, name)}
    assert head.keys() == expected.keys()
    for name, weight in head.items():
        assert weight.shape == expected[name].shape
        assert weight.abs().max() < FAR / 10
        # 64 draws know their deviation to 9 %; norms and biases have none
        assert weight.std().item() == pytest.approx(expected[name].std().item(), rel=0.35), name
        assert weight.mean().item() == pytest.approx(expected[name].mean().item(), abs=0.1), name


def test_a_fresh_head_is_the_seeds_and_is_trained_whatever_the_base_model_brings(trained):
    base, _ = trained
    one, again, other = (fresh_encoder(base, NAMES, max_tokens=16, seed=seed) for seed in (1, 1, 2))
    weights = [made.model.classifier.state_dict() for made in (one, again, other)]
    matrices = [next(weight for weight in state.values() if weight.ndim == 2) for state in weights]

    assert torch.equal(matrices[0], matrices[1])
    assert not torch.equal(matrices[0], matrices[2])
    assert one.fresh == {name for name, _ in one.model.named_children() if name in ("classifier", "head")}


def test_the_encoder_of_a_base_model_with_a_head_is_the_files(trained):
    base, _ = trained
    model, _ = load_encoder(base, NAMES)
    file = load_file(base.folder / "model.safetensors")

    encoder = {name: weight for name, weight in model.named_parameters() if not in_head(model, name)}
    assert len(encoder) > 10
    assert all(torch.equal(weight, file[name]) for name, weight in encoder.items())


@pytest.mark.parametrize(("kept", "lost"), [("weight", "bias"), ("bias", "weight")])
def test_of_a_pooler_without_one_of_its_parts_nothing_is_kept(tiny_base, tmp_path, capsys, kept, lost):
    folder = shutil.copytree(tiny_base.folder, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights[f"pooler.dense.{kept}"].fill_(FAR)
    del weights[f"pooler.dense.{lost}"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    one, again, other = (fresh_encoder(found(folder), NAMES, max_tokens=16, seed=seed) for seed in (1, 1, 2))
    dense, same, different = (made.model.bert.pooler.dense for made in (one, again, other))

    said = f"model {found(folder).name} brings a part of bert.pooler alone: left aside, a fresh one is trained\n"
    assert capsys.readouterr().out == said * 3
    assert one.fresh == {"pooler", "classifier"}
    assert not dense.bias.any()
    # 1,024 draws know their deviation to 2 %
    assert dense.weight.std().item() == pytest.approx(one.model.config.initializer_range, rel=0.1)
    assert torch.equal(dense.weight, same.weight)
    assert not torch.equal(dense.weight, different.weight)


def test_a_base_model_without_a_head_says_nothing(tiny_base, capsys):
    load_encoder(tiny_base, NAMES)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["encoder.layer.1.output.dense.weight", "pooler.dense.weight"])
def test_a_weight_of_the_encoder_in_another_size_is_refused_by_name(tiny_base, tmp_path, name):
    folder = shutil.copytree(tiny_base.folder, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights[name] = weights[name][:-1].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(
        StudyError,
        match=rf"do not fit its config\.json: bert\.{name} has another size; take both files from one model$",
    ):
        load_encoder(found(folder), NAMES)
