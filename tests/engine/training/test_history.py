"""The log of a training, the epoch that is kept, and what the training cost."""

import json
import resource
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.engine.training.history import (
    Epoch,
    Fit,
    best_epoch,
    choice_of_epoch,
    peak_memory_mib,
    read_history,
    write_cost,
    write_history,
    write_validations,
)

SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
MEASURED = ("train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate")


def history_of(val_losses) -> list[Epoch]:
    others = dict.fromkeys(MEASURED, 0.5)
    return [Epoch(**others | {"epoch": at, "val_loss": loss}) for at, loss in enumerate(val_losses, 1)]


@SAME_FOLDER
@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys(MEASURED, FINITE)), min_size=1, max_size=5))
def test_a_history_survives_its_file_to_the_last_bit(tmp_path, rows):
    history = [Epoch(epoch=at, **row) for at, row in enumerate(rows, 1)]
    write_history(tmp_path / "history.csv", history)

    assert read_history(tmp_path / "history.csv") == history


def test_the_columns_are_those_that_dvc_draws(tmp_path):
    write_history(tmp_path / "history.csv", history_of([0.25]))

    assert (tmp_path / "history.csv").read_text() == f"epoch,{','.join(MEASURED)}\n1,0.5,0.25,0.5,0.5,0.5\n"


@given(losses=st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_the_first_epoch_of_the_lowest_validation_loss_is_kept(losses):
    kept = best_epoch(history_of(losses))

    assert kept.epoch == 1 + int(np.argmin(losses))  # the first of equals
    assert kept.val_loss == min(losses)


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([0.3], ""),
        ([0.3, 0.2, 0.4], ", epoch 2 is kept"),
        ([0.2, 0.3], ", epoch 1 is kept"),
        ([0.3, 0.2], ", epoch 2 is kept (the validation loss fell to the end: more epochs may help)"),
    ],
)
def test_it_is_said_which_epoch_is_kept_and_whether_more_may_help(losses, said):
    assert choice_of_epoch(history_of(losses)) == said


def test_the_cost_is_told_as_it_is_shown(tmp_path):
    logits = np.zeros((1, 4, 2), dtype=np.float32)
    fit = Fit(
        history=history_of([0.3]),
        validation_logits=logits,
        train_seconds=12.345,
        samples_per_second=640.06,
        resumed=2,
    )
    write_cost(tmp_path / "cost.json", fit)

    told = json.loads((tmp_path / "cost.json").read_text())
    assert told.pop("peak_memory_mib") == pytest.approx(peak_memory_mib(), rel=0.01)
    assert told == {"train_seconds": 12.3, "samples_per_second": 640.1, "resumed": 2}


@pytest.mark.parametrize(("platform", "a_gibibyte"), [("linux", 2**20), ("darwin", 2**30)])
def test_memory_is_told_in_mebibytes_whatever_the_system_counts_in(monkeypatch, platform, a_gibibyte):
    """Linux counts in KiB and macOS in bytes (getrusage(2) of each)."""
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=a_gibibyte))
    monkeypatch.setattr(sys, "platform", platform)

    assert peak_memory_mib() == 1024


def test_the_logits_of_every_validation_are_a_row_for_each_text_and_epoch(tmp_path):
    logits = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    write_validations(tmp_path / "validations.parquet", logits)

    rows = pd.read_parquet(tmp_path / "validations.parquet")
    assert rows["epoch"].tolist() == [1, 1, 1, 2, 2, 2]
    assert rows["row"].tolist() == [0, 1, 2, 0, 1, 2]
    np.testing.assert_array_equal(rows.filter(like="logit_").to_numpy(), logits.reshape(6, 4))
