from dataclasses import replace

import pytest

from stages.study.forecast import SECONDS_BESIDE_TRAINING, duration, forecast
from tests.study.made_results import a_cell, made_result, made_rows

ROWS = made_rows(10)


def finished(**numbers):
    return made_result(a_cell(samples=numbers["train_rows"]), ROWS, 0.7, **numbers)


def test_the_nearest_finished_size_of_the_method_tells_the_seconds_of_a_row():
    done = [finished(train_rows=1000, train_seconds=10.0), finished(train_rows=8000, train_seconds=40.0)]

    ahead = forecast([a_cell(samples=500), a_cell(samples=16000)], done)

    assert ahead.seconds == {
        a_cell(samples=500): SECONDS_BESIDE_TRAINING + 5.0,
        a_cell(samples=16000): SECONDS_BESIDE_TRAINING + 80.0,
    }
    assert ahead.total_seconds == 2 * SECONDS_BESIDE_TRAINING + 85
    assert ahead.disk_bytes == 2 * 2**20
    assert ahead.unknown == []


def test_a_method_that_was_never_measured_gets_no_forecast():
    ahead = forecast([a_cell("full"), a_cell("lora", seed=2)], [finished(train_rows=1000)])

    assert ahead.unknown == ["full"]
    assert list(ahead.seconds) == [a_cell("lora", seed=2)]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (3600, "60 min"), (12000, "3 h 20 min")]
)
def test_durations_read_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_a_cell_of_fixed_steps_takes_as_long_as_its_steps():
    ahead = forecast(
        [a_cell(samples=250, contrast="fixed_steps", max_steps=1750)],
        [finished(train_rows=1000, train_seconds=16.0, steps=160)],
    )

    assert list(ahead.seconds.values()) == [pytest.approx(SECONDS_BESIDE_TRAINING + 175.0)]


def test_another_models_speed_tells_nothing():
    other = replace(a_cell(), model="bert-base-uncased")

    assert forecast([other], [finished(train_rows=1000)]).unknown == ["lora"]
