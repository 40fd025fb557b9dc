import numpy as np
import pytest

from stages.foundation import paths
from stages.foundation.files import read_json, write_json, write_text
from stages.foundation.params import read_params
from stages.reporting.experiment.advice import next_steps
from stages.reporting.experiment.outputs import read_outputs
from stages.reporting.params import ReportView
from tests.reporting.finished_experiment import PARAMS, history, make_test_split, write_experiment

FALLING = (0.69, 0.60, 0.55, 0.50, 0.46)
FLAT = (0.69, 0.50, 0.46, 0.45, 0.4499)
RISING = (0.69, 0.45, 0.50, 0.55, 0.60)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def advice(*, val_loss=FALLING, train_loss=None, params=None, scores=None, pool=None, **experiment) -> list[str]:
    """What is advised after an experiment with these losses, one per epoch, and these other numbers."""
    write_experiment(num_epochs=len(val_loss), **experiment)
    epochs = history(len(val_loss)).assign(val_loss=val_loss)
    epochs["train_loss"] = val_loss if train_loss is None else train_loss
    write_text(paths.HISTORY_PLOT, epochs.to_csv(index=False))
    kept = {"best_epoch": int(np.argmin(val_loss)) + 1, "epochs_run": len(val_loss)}
    write_json(paths.SCORES, read_json(paths.SCORES) | kept | (scores or {}))
    write_json(paths.POOL_METRICS, read_json(paths.POOL_METRICS) | (pool or {}))
    text = PARAMS
    for old, new in (params or {}).items():
        assert old in text
        text = text.replace(old, new)
    write_text(paths.PARAMS, text)
    steps = next_steps(read_params("report", ReportView), read_outputs())
    return [" ".join(filter(None, step)).replace("\N{NARROW NO-BREAK SPACE}", " ") for step in steps]


def test_a_validation_loss_that_still_falls_asks_for_more_epochs():
    assert advice()[0] == (
        "The validation loss was still falling in the last epoch (by 8.0 %), so more epochs may help: "
        "dvc exp run -S train.epochs=10"
    )


def test_where_the_steps_are_fixed_more_steps_are_named():
    assert "-S train.max_steps=320" in advice(params={"max_steps: null": "max_steps: 160"})[0]


def test_where_the_least_steps_decide_they_are_named():
    few, many = {"protocol: seed": "protocol: trained"}, {"samples: 1000": "samples: 32000"}

    assert advice(params=few)[0].endswith("-S train.trained.min_steps=2000")
    assert advice(params=few | many, scores={"train_rows": 32000})[0].endswith("-S train.epochs=10")


def test_a_fall_by_a_hair_at_the_end_of_the_learning_rate_is_no_reason_for_more_epochs():
    first = advice(val_loss=FLAT)[0]

    assert first.startswith("The validation loss hardly fell in the last epoch")
    assert "may help" not in first


def test_one_epoch_is_not_said_to_fall():
    assert advice(val_loss=(0.6,))[0].startswith("One epoch cannot tell whether the validation loss still falls")


def test_a_model_that_fits_its_rows_far_better_than_validation_asks_for_labels_and_not_for_epochs():
    first = advice(val_loss=RISING, train_loss=(0.6, 0.4, 0.3, 0.2, 0.1))[0]

    assert "training rows (loss 0.100) far better than validation (at best 0.450, after epoch 2 of 5)" in first
    assert first.endswith("more labels may help, more epochs hardly.")


def test_without_such_a_gap_nothing_is_said_of_labels():
    first = advice(val_loss=RISING, train_loss=(0.6, 0.5, 0.45, 0.4, 0.38))[0]

    assert first == "The validation loss was lowest after epoch 2 of 5: longer training is not likely to help."


def test_a_model_that_has_hardly_learned_is_not_told_that_it_was_trained_for_long_enough():
    told = advice(val_loss=RISING, train_loss=(0.7, 0.69, 0.68, 0.68, 0.67), scores={"test_accuracy_low": 0.49})

    assert told[0].startswith("It is not shown to do better than always answering “negative”")
    assert told[1].endswith("this takes 1,000: dvc exp run -S train.protocol=trained")


def test_where_the_steps_were_enough_it_is_not_told_which_of_epochs_and_labels_is_missing():
    told = advice(
        val_loss=RISING,
        train_loss=(0.7, 0.69, 0.68, 0.68, 0.67),
        scores={"test_accuracy_low": 0.49},
        params={"protocol: seed": "protocol: trained"},
    )

    assert told[1].endswith("whether epochs or labels are missing, the curves do not tell.")


def test_a_model_that_guesses_better_than_the_most_frequent_class_is_not_told_so():
    assert not any("always answering" in step for step in advice(scores={"test_accuracy_low": 0.51}))


def test_a_method_without_epochs_gets_no_word_about_them():
    assert not any("epoch" in step for step in advice(params={"method: lora": "method: tfidf"}))


@pytest.mark.parametrize(
    ("rows", "most", "named"),
    [(1000, 60000, "samples=2000"), (1000, 1500, "samples=1500"), (1000, 1000, "samples=500"), (6, 6, "samples=2")],
)
def test_the_next_size_fits_into_the_pool_and_the_classes(rows, most, named):
    (step,) = [
        step
        for step in advice(params={"samples: 1000": f"samples: {rows}"}, pool={"pool_balanced_max": most})
        if "samples=" in step
    ]

    assert step.endswith(f": dvc exp run -S {named}")


def test_the_whole_curve_is_a_study():
    assert any(step.endswith(": python -m stages.study plan") for step in advice())


def test_in_natural_ratio_the_whole_pool_counts():
    told = advice(params={"balanced": "natural"}, pool={"pool_rows": 1001, "pool_balanced_max": 10})

    assert any("1,001 of the 1,001 rows at hand: dvc exp run -S samples=1001" in step for step in told)


def test_a_pool_that_is_used_up_and_cannot_be_halved_asks_for_labels():
    told = advice(params={"samples: 1000": "samples: 2"}, pool={"pool_balanced_max": 2})

    assert "All 2 rows that the pool gives are used: more accuracy most likely takes more labels." in told


def test_where_all_is_right_labels_are_not_asked_for():
    told = advice(num_wrong=0)

    assert "All 60 test rows are right: only more, or harder, ones show progress." in told
    assert not any("samples=" in step for step in told)


def test_texts_that_are_cut_are_to_be_read_further():
    assert (
        "Of 20.0 % of the test texts only the first 128 tokens are read; where the model can read more, that may "
        "help: dvc exp run -S train.max_tokens=256"
    ) in advice(scores={"test_rows_cut": 12})
    assert not any("max_tokens" in step for step in advice(scores={"test_rows_cut": 0}))


def test_a_wide_interval_is_told_with_what_would_halve_it():
    wide = {"test_accuracy_low": 0.8, "test_accuracy_high": 0.9}

    assert (
        "The interval of the accuracy is 10.0 points wide, for want of test rows: 240 instead of 60 would halve that."
        in advice(scores=wide)
    )
    assert not any("want of test rows" in step for step in advice(scores=wide | {"test_accuracy_low": 0.86}))


def test_a_class_without_test_rows_is_asked_for():
    split = make_test_split(("bad", "good", "so so"))
    split = split.take(np.flatnonzero(split.labels < 2))

    assert "Give the test split rows of “so so”: there are none, so no score here says how well that goes." in advice(
        split=split, num_wrong=0
    )


def test_an_experiment_without_anything_special_gets_three_sentences():
    narrow = {"test_accuracy_low": 0.87, "test_accuracy_high": 0.9}

    assert len(advice(scores=narrow)) == 3


@pytest.mark.parametrize(("method", "did"), [("lora", "chose the epoch and fitted"), ("tfidf", "fitted")])
def test_validation_rows_of_another_mixture_of_classes_are_named_with_the_param_that_gives_them_the_pools(method, did):
    told = advice(params={"class_ratio: balanced": "class_ratio: natural", "method: lora": f"method: {method}"})

    (step,) = (line for line in told if "mixture" in line)
    assert f"so another mixture of classes {did} the probabilities" in step
    assert step.endswith("dvc exp run -S prepare.validation_ratio=natural")


@pytest.mark.parametrize(
    "changes",
    [
        {"params": {"class_ratio: balanced": "class_ratio: balanced"}},
        {"params": {"class_ratio: balanced, validation_share: 0": "class_ratio: natural, validation_share: 0.2"}},
        {"params": {"class_ratio: balanced": "class_ratio: natural"}, "pool": {"pool_balanced_max": 60210}},
    ],
)
def test_where_the_mixtures_are_one_none_is_named(changes):
    assert not [line for line in advice(**changes) if "mixture" in line]
