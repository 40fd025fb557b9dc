"""Schedules: how many steps, when validated, at which learning rate."""

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.engine.params import TrainedParams, equal_shares
from stages.foundation.errors import ParamsError
from tests.engine.conftest import PARAMS

trained = st.builds(
    TrainedParams,
    min_steps=st.integers(20, 400),
    validations=st.integers(1, 20),
    warmup=st.floats(0, 0.9),
    patience=st.integers(1, 9),
)


@given(num_rows=st.integers(1, 500), batch_size=st.integers(1, 64), epochs=st.integers(1, 9))
def test_under_seed_every_epoch_is_a_pass_and_there_is_no_warmup(num_rows, batch_size, epochs):
    schedule = replace(PARAMS, batch_size=batch_size, epochs=epochs).schedule(num_rows)

    assert schedule.rounds == epochs * [ceil(num_rows / batch_size)]
    assert [schedule.rate(step) for step in range(schedule.steps)] == [
        1 - step / schedule.steps for step in range(schedule.steps)
    ]


@given(whole=st.integers(0, 500), parts=st.integers(1, 30))
def test_shares_are_as_equal_as_can_be(whole, parts):
    shares = equal_shares(whole, parts)

    assert len(shares) == parts
    assert sum(shares) == whole
    assert max(shares) - min(shares) <= 1


@given(own=trained, num_rows=st.integers(1, 5000))
def test_under_trained_few_rows_get_the_fewest_steps_and_many_rows_all_their_passes(own, num_rows):
    params = replace(PARAMS, protocol="trained", trained=own)
    schedule = params.schedule(num_rows)

    assert schedule.steps == max(own.min_steps, params.epochs * ceil(num_rows / params.batch_size))
    assert len(schedule.rounds) == own.validations
    assert schedule.patience == own.patience


@given(own=trained, num_rows=st.integers(1, 5000))
def test_the_rate_rises_to_its_highest_and_falls_to_nothing(own, num_rows):
    schedule = replace(PARAMS, protocol="trained", trained=own).schedule(num_rows)
    rates = [schedule.rate(step) for step in range(schedule.steps + 1)]
    top = schedule.warmup_steps

    assert rates[top] == max(rates) == 1
    assert rates[-1] == 0
    assert all(rate > 0 for rate in rates[:-1])
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_a_fixed_number_of_steps_belongs_to_seed():
    with pytest.raises(ParamsError, match=r"belongs to train\.protocol: seed; `trained` has train\.trained\.min_steps"):
        replace(PARAMS, protocol="trained", max_steps=100)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"validations": 0}, "validations must be at least 1, got 0"),
        ({"min_steps": 4}, "min_steps must be at least validations, 5, got 4"),
        ({"warmup": 1.0}, r"warmup must be in \[0, 1\), got 1.0"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
    ],
)
def test_what_makes_no_schedule_is_refused(change, complaint):
    with pytest.raises(ParamsError, match=complaint):
        replace(PARAMS.trained, **change)
