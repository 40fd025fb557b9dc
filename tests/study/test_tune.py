"""Learning rates chosen by validation, on seeds that never count."""

from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.foundation.errors import ParamsError, StudyError
from stages.study.cells import TuningParams
from stages.study.tune import (
    Trial,
    at_the_edge,
    chosen,
    read_trials,
    require_chosen,
    sensitivities,
    trial_cells,
    write_trials,
)
from tests.pages.workspace import write_params
from tests.study.made_results import with_study

TUNING = TuningParams(factors=[0.5, 1.0, 2.0], seeds=[7, 8])
TUNED = with_study(tuned=True, tuning=TUNING, sizes=[250])


def trial(value, loss, seed=7, **other):
    plain = Trial(
        model="minilm",
        method="lora",
        protocol="seed",
        samples=250,
        seed=seed,
        value=value,
        key=f"{value} {seed} {sorted(other.items())}",
        val_loss=loss,
        val_accuracy=0.7,
        best_epoch=3,
        epochs_run=5,
        precision_used="bf16",
        commit="c0ffee",
    )
    return replace(plain, **other)


def trials(losses, **other):
    """A trial for each value and seed."""
    return [
        trial(value, loss, seed, **other)
        for value, by_seed in losses.items()
        for seed, loss in zip(TUNING.seeds, by_seed, strict=True)
    ]


def test_every_method_and_size_gets_the_same_number_of_trials(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params({})
    study = with_study(methods=["lora", "tfidf"], sizes=[1000, 250], tuning=TUNING)

    cells = trial_cells(study, dataset="mine", model="minilm")

    assert len(cells) == len(set(cells)) == 2 * 2 * 3 * 2
    assert {cell.seed for cell in cells} == {7, 8}
    assert {cell.tuned for cell in cells if cell.method == "lora"} == {2.5e-4, 5e-4, 1e-3}
    assert {cell.tuned for cell in cells if cell.method == "tfidf"} == {0.5, 1.0, 2.0}
    assert len({cell.name for cell in cells}) == len(cells)
    assert cells[0].overrides()["train.lora.learning_rate"] == 2.5e-4


@given(losses=st.lists(st.lists(st.floats(0.01, 5), min_size=2, max_size=2), min_size=3, max_size=3))
def test_the_lowest_mean_validation_loss_over_the_seeds_is_chosen(losses):
    by_value = dict(zip((2.5e-4, 5e-4, 1e-3), losses, strict=True))

    value = chosen(trials(by_value), TUNED, model="minilm")["lora", 250]

    assert fmean(by_value[value]) == min(map(fmean, losses))


def test_accuracy_of_the_validation_rows_chooses_nothing():
    made = [*trials({1.0: (0.5, 0.5), 2.0: (0.4, 0.4)}), *trials({3.0: (0.6, 0.6)}, val_accuracy=0.99)]

    assert chosen(made, TUNED, model="minilm") == {("lora", 250): 2.0}


@pytest.mark.parametrize(
    "made",
    [
        [],
        trials({1.0: (0.5, 0.5), 2.0: (0.4, 0.4)}),  # a value is missing
        trials({1.0: (0.5, 0.5), 2.0: (0.4, 0.4), 3.0: (0.6, 0.6)})[:-1],  # a seed is missing
        trials({1.0: (0.5, 0.5), 2.0: (0.4, 0.4), 3.0: (0.6, 0.6)}, model="mpnet"),
        trials({1.0: (0.5, 0.5), 2.0: (0.4, 0.4), 3.0: (0.6, 0.6)}, protocol="trained"),
    ],
)
def test_unfinished_and_other_trials_choose_nothing(made):
    assert chosen(made, TUNED, model="minilm") == {}


def test_a_method_without_model_and_steps_is_tuned_once_for_all_models_and_protocols():
    made = trials({1.0: (0.5, 0.5), 2.0: (0.4, 0.4), 3.0: (0.6, 0.6)}, method="tfidf", model="")

    for model in ("minilm", "mpnet"):
        assert chosen(made, replace(TUNED, protocol="trained"), model=model) == {("tfidf", 250): 2.0}


def test_a_choice_at_the_edge_is_named():
    made = trials({1.0: (0.5, 0.5), 2.0: (0.4, 0.4), 3.0: (0.6, 0.6)})

    assert at_the_edge(made, {("lora", 250): 2.0}) == []
    assert at_the_edge(made, {("lora", 250): 3.0}) == ["lora at 250 rows: 3 is the largest that was tried"]


def test_a_grid_of_which_something_is_not_tuned_says_what_to_type():
    study = replace(TUNED, sizes=[250, 1000])

    with pytest.raises(StudyError, match=r"stages\.study tune --dataset mine --methods lora,tfidf --sizes 250,1000"):
        require_chosen({("lora", 250): 1.0}, study, dataset="mine")


def test_trials_survive_their_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = [*trials({1.0: (0.5, 0.25), 2.5e-4: (0.4, 0.3)}), trial(1.0, 0.1, method="tfidf", model="", key="0e1")]

    write_trials("mine", made)

    assert sorted(read_trials("mine"), key=repr) == sorted(made, key=repr)
    assert read_trials("other") == []


def test_a_seed_that_chose_must_not_count():
    with pytest.raises(ParamsError, match=r"study\.seeds and study\.tuning\.seeds share \[1\]"):
        with_study(tuning=replace(TUNING, seeds=[1]))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"factors": []}, "factors is empty"), ({"factors": [0.0]}, "above 0"), ({"seeds": [7, 7]}, "twice")],
)
def test_trials_that_cannot_be_are_refused(change, complaint):
    with pytest.raises(ParamsError, match=complaint):
        replace(TUNING, **change)


def test_what_was_tried_is_the_mean_loss_of_each_value_with_the_choice_once_every_trial_is_there():
    made = trials({2.5e-4: (0.5, 0.7), 5e-4: (0.4, 0.4), 1e-3: (0.9, 0.7)})
    others = trials({2.5e-4: (0.1, 0.1)}, model="mpnet") + trials({2.5e-4: (0.1, 0.1)}, protocol="trained")

    (one,) = sensitivities([*others, *made], TUNED, model="minilm")
    (early,) = sensitivities(made[:-1], TUNED, model="minilm")

    assert (one.method, one.samples, one.tuned, one.num_seeds) == ("lora", 250, "learning rate", 2)
    assert one.values == (2.5e-4, 5e-4, 1e-3)
    assert one.losses == pytest.approx((0.6, 0.4, 0.8))
    assert one.chosen == 5e-4
    assert early.chosen is None
