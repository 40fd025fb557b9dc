from collections import Counter

import pytest

from stages.foundation.errors import ParamsError
from stages.study.cells import Cell, cells_of
from tests.study.made_results import STUDY, a_cell, with_study


def test_the_grid_is_every_size_with_every_seed_and_method():
    cells = cells_of(STUDY, dataset="mine", model="minilm")

    assert len(cells) == len(set(cells)) == 6 * 3 * 2
    assert Counter(cell.method for cell in cells) == {"lora": 18, "tfidf": 18}
    assert {cell.dataset for cell in cells} == {"mine"}


def test_an_interrupted_grid_holds_whole_curves_of_the_first_seeds():
    cells = cells_of(STUDY, dataset="mine", model="minilm")

    assert [cell.seed for cell in cells] == sorted(cell.seed for cell in cells)
    assert [cell.samples for cell in cells[:6]] == STUDY.sizes


def test_contrasts_repeat_the_grid_under_another_protocol_and_tfidf_has_no_steps_to_fix():
    cells = cells_of(with_study(contrasts=["fixed_steps", "random"]), dataset="mine", model="minilm")

    assert Counter((cell.contrast, cell.method) for cell in cells) == {
        ("", "lora"): 18,
        ("", "tfidf"): 18,
        ("fixed_steps", "lora"): 18,
        ("random", "lora"): 18,
        ("random", "tfidf"): 18,
    }
    assert {cell.max_steps for cell in cells if cell.contrast == "fixed_steps"} == {1750}


def test_validation_inside_the_samples_is_a_contrast_of_what_has_a_checkpoint_to_choose():
    cells = cells_of(with_study(contrasts=["inside"], inside_share=0.25), dataset="mine", model="minilm")
    inside = [cell for cell in cells if cell.contrast]

    assert {(cell.method, cell.validation_share) for cell in inside} == {("lora", 0.25)}
    assert inside[0].name == "mine-minilm-lora-inside25-n250-s1"
    assert inside[0].curve == "lora, validation inside"
    assert inside[0].overrides()["subsample.validation_share"] == 0.25


def test_a_cell_overrides_what_tells_it_apart_and_nothing_else():
    plain = {"samples": 1000, "seed": 1, "dataset": "mine", "model": "minilm", "method": "lora"}
    plain |= {"train.protocol": "seed"}

    assert a_cell().overrides() == plain
    assert a_cell(contrast="random").overrides() == plain | {"prepare.partition": "random"}
    assert a_cell(contrast="fixed_steps", max_steps=9).overrides() == plain | {"train.max_steps": 9}


@pytest.mark.parametrize("model", ["minilm", "owner/name@0123", "./my model", "a..b~^:?*[\\"])
def test_a_cell_has_a_name_that_git_takes_for_a_ref(model):
    name = Cell(dataset="mine", model=model, method="lora", contrast="", samples=8, seed=1).name

    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert name.startswith("mine-")
    assert name.endswith("-lora-n8-s1")


def test_cells_of_different_protocols_have_different_names_and_curves():
    cells = [a_cell(), a_cell(contrast="random"), a_cell(contrast="fixed_steps", max_steps=1750)]

    assert len({cell.name for cell in cells}) == 3
    assert [cell.curve for cell in cells] == ["lora", "lora, random carve", "lora, 1,750 steps"]


def test_the_studys_protocol_is_that_of_its_cells_and_of_none_that_has_no_steps():
    cells = cells_of(with_study(protocol="trained"), dataset="mine", model="minilm")

    assert {(cell.method, cell.overrides().get("train.protocol")) for cell in cells} == {
        ("lora", "trained"),
        ("tfidf", None),
    }
    assert {"trained" in cell.name for cell in cells if cell.method == "lora"} == {True}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"sizes": []}, "study.sizes is empty"),
        ({"sizes": [0, 8]}, "study.sizes must be 1 or more, got 0"),
        ({"seeds": [1, 1]}, "study.seeds names one value twice"),
        ({"methods": []}, "study.methods is empty"),
        ({"methods": ["lora", "magic"]}, "study.methods must name full or head or lora or tfidf, got 'magic'"),
        ({"margins": [1.0]}, "study.margins are fractions between 0 and 1, got 1.0"),
        ({"targets": [90.0]}, "study.targets are fractions between 0 and 1, got 90.0"),
        ({"precisions": []}, "study.precisions is empty"),
        ({"precisions": ["auto", "bf16"]}, r"study.precisions must be \[auto\] or name each, got"),
        ({"protocol": "trained", "contrasts": ["fixed_steps"]}, "fixed_steps belongs to study.protocol: seed"),
        ({"fixed_steps": 0}, "study.fixed_steps must be at least 1, got 0"),
        ({"inside_share": 0.0}, "study.inside_share must be above 0 and at most 0.5, got 0.0"),
        ({"inside_share": 0.6}, "study.inside_share must be above 0 and at most 0.5, got 0.6"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(change, complaint):
    with pytest.raises(ParamsError, match=complaint):
        with_study(**change)
