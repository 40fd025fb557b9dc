"""The table of all architectures: what it checks, what it times, what it tells."""

from dataclasses import asdict, replace

import pytest
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from stages.engine.adapters import find_targets
from stages.engine.packed.packed_encoder import _relative_scores
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_json
from tests.benchmark.architectures import (
    BOUND,
    CHANGED,
    COLUMNS,
    Conditions,
    Row,
    cells,
    kept_rows,
    main,
    page,
    peer,
    require,
)
from tests.benchmark.models import PUBLISHED, Published, save_random
from tests.benchmark.parity import measure_parity
from tests.benchmark.phrases import write_source
from tests.benchmark.table import Measurement, Parity, Result
from tests.benchmark.task import Task, peft_names, read_rows, read_settings, read_shape
from tests.test_benchmark import MACHINE, measured
from tests.tiny_models import LORA, TINY, save_tiny_bert, save_tiny_mpnet

ROUNDING = Parity(logits=4e-6, gradients=2e-6, full_gradients=3e-6)
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 20,
}
SHARED = Conditions(commit="abc", machine=MACHINE, settings=["12 steps."])


def row(parity=ROUNDING, *, model="minilm"):
    measurements: list[Measurement] = [
        measured("engine", [118, 120], predict_rates=[300]),
        measured("trainer-grouped", [40], predict_rates=[60]),
    ]
    return Row(
        parity=parity,
        result=Result(
            model=model,
            encoder_parameters=10_000_000,
            mean_tokens=12.5,  # so that a row needs 0.5 GFLOP
            product_rates={"fp32": 100e9, "bf16": 200e9},
            measurements=measurements,
        ),
    )


@pytest.fixture
def rows(tmp_path):
    write_source(tmp_path / "source", num_rows=200)
    return tmp_path / "source" / "train.tsv"


@pytest.mark.parametrize("kind", TINY)
def test_the_shape_counts_the_weights_of_the_encoders_linear_layers(tmp_path, kind):
    folder = TINY[kind](tmp_path)
    linear = [
        module.weight.numel()
        for name, module in AutoModel.from_pretrained(folder).named_modules()
        if isinstance(module, nn.Linear) and "pooler" not in name and name != "embeddings_project"
    ]

    assert read_shape(folder).parameters == sum(linear)


@pytest.mark.parametrize("kind", sorted(set(TINY) - {"deberta-v2"}))
def test_trainer_adapts_the_layers_of_the_roles_by_pefts_names(tmp_path, kind):
    model = AutoModelForSequenceClassification.from_pretrained(TINY[kind](tmp_path))
    names = peft_names(model.config.model_type, LORA.target_modules)

    assert adapted(model, names) == adapted(model, find_targets(model, LORA.target_modules, key="k").names) != set()


def adapted(model, names):
    """Full names of what PEFT takes these names for."""
    return {full for full, _ in model.named_modules() if any(f".{full}".endswith(f".{name}") for name in names)}


def test_names_that_are_no_roles_stay_for_trainer():
    assert peft_names("mpnet", ["query", "o", "value"]) == ["q", "o", "v"]


def test_random_models_have_the_published_sizes():
    sizes = {
        name: AutoConfig.for_model(one.kind, vocab_size=30_522, **one.sizes).to_dict()
        for name, one in PUBLISHED.items()
    }

    assert {config.get("hidden_size", config.get("dim")) for config in sizes.values()} == {768}
    assert sizes["modernbert-base"]["num_hidden_layers"] == 22
    assert sizes["modernbert-base"]["intermediate_size"] == 1152
    assert sizes["electra-base"]["embedding_size"] == 768
    assert all(sizes[name]["pad_token_id"] == 1 for name in ("roberta-base", "mpnet-base"))


@pytest.mark.parametrize("padding_id", [0, 1])
def test_a_random_model_pads_with_the_id_that_its_positions_count_from(tmp_path, padding_id):
    published = Published(kind="roberta", sizes=SMALL | {"pad_token_id": padding_id})

    folder = save_random(published, save_tiny_bert(tmp_path / "tiny"), tmp_path / "random")

    tokenizer = AutoTokenizer.from_pretrained(folder)
    short, long = tokenizer(["a film", "a very good film"], padding=True)["input_ids"]
    assert tokenizer.pad_token_id == AutoConfig.from_pretrained(folder).pad_token_id == padding_id
    assert short[-2:] == [padding_id] * 2
    assert padding_id not in long


@pytest.fixture
def tiny_mpnet(tmp_path, repository, rows, monkeypatch):
    monkeypatch.chdir(repository)
    return Task(folder=save_tiny_mpnet(tmp_path / "tiny"), params=read_settings(), rows=read_rows(rows, 64))


def test_parity_is_found_where_both_passes_compute_the_same(tiny_mpnet):
    require(measure_parity(tiny_mpnet), "mpnet")


def test_parity_is_missed_where_the_packed_pass_computes_something_else(tiny_mpnet, monkeypatch):
    monkeypatch.setattr("stages.engine.architectures.mpnet.bucket", lambda distances: distances * 0)

    with pytest.raises(StudyError, match=r"mpnet: the packed pass is not that of .*; rounding is 3e-05 at most"):
        require(measure_parity(tiny_mpnet), "mpnet")


def test_parity_is_missed_where_a_gradient_is_wrong_that_only_full_has(tiny_mpnet, monkeypatch):
    def half_learnt(bias, distances):
        scores = _relative_scores(bias, distances)
        return scores / 2 + scores.detach() / 2

    monkeypatch.setattr("stages.engine.packed.packed_encoder._relative_scores", half_learnt)

    found = measure_parity(tiny_mpnet)
    assert max(found.logits, found.gradients) <= BOUND < found.full_gradients


@pytest.mark.parametrize("found", [2 * BOUND, float("nan")])
@pytest.mark.parametrize("where", ["logits", "gradients", "full_gradients"])
def test_a_difference_that_is_more_than_rounding_ends_the_run(where, found):
    with pytest.raises(StudyError, match="bert: the packed pass is not"):
        require(replace(ROUNDING, **{where: found}), "bert")


def test_a_line_tells_checks_rates_ratios_and_share():
    packed, plain = cells(row()), cells(row(None))

    assert len(packed) == len(plain) == len(COLUMNS)
    assert packed[1:5] == ["packed, fp32", "4.0e-06", "2.0e-06", "3.0e-06"]
    assert packed[5:9] == ["119 [118, 120]", "40.0 (once)", "2.98", "59.5 % of 100 GFLOP/s"]
    assert packed[9:] == ["300 (once)", "60.0 (once)", "5.00"]
    assert plain[1:5] == ["plain, fp32", "-", "-", "-"]


def test_trainer_takes_bf16_only_where_there_is_a_unit_for_it():
    assert peer(MACHINE) == "trainer-grouped"
    assert peer(replace(MACHINE, bf16_units=["avx512_bf16"])) == "trainer-tuned"


def test_rows_are_kept_for_the_same_code_machine_and_settings_alone(tmp_path):
    def written(shared):
        write_json(tmp_path / "kept.json", {"conditions": asdict(shared), "models": [asdict(row()), asdict(plain)]})
        return tmp_path / "kept.json"

    plain = row(None, model="deberta")

    assert kept_rows(written(SHARED), SHARED) == {"minilm": row(), "deberta": plain}
    for other in ({"commit": "abd"}, {"settings": ["13 steps."]}, {"machine": replace(MACHINE, cores=4)}):
        assert kept_rows(written(SHARED), replace(SHARED, **other)) == {}
    edited = replace(SHARED, commit=f"abc, {CHANGED}")
    assert kept_rows(written(edited), edited) == {}
    assert kept_rows(tmp_path / "none.json", SHARED) == {}


def test_the_page_says_under_which_conditions():
    text = page(SHARED, [row()])

    assert "Abacus, 2 cores (no unit for bf16), threads: 1; torch 2.13.0. Commit abc." in text
    assert "12 steps." in text
    assert text.splitlines()[-1].startswith("| minilm | packed, fp32 |")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mpnet", "modernbert", "deberta-v2"])
def test_an_architecture_is_checked_and_timed_beside_trainer(tmp_path, repository, rows, monkeypatch, capsys, kind):
    monkeypatch.chdir(repository)
    tiny, out = TINY[kind](tmp_path / "tiny"), tmp_path / "table"

    places = ["--models", str(tiny), "--rows", str(rows), "--out", str(out)]
    main([*places, "--repeats", "1", "--steps", "2", "--warm-up-steps", "1"])

    assert out.with_suffix(".md").read_text() in capsys.readouterr().out
    (done,) = read_json(out.with_suffix(".json"))["models"]
    assert (done["parity"] is None) == (kind == "deberta-v2")
    assert all(one["train_rates"][0] > 0 < one["predict_rates"][0] for one in done["result"]["measurements"])
