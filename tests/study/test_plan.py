from dataclasses import replace

import pytest

from stages.study.plan import SECONDS_BESIDE_TRAINING, forecast, say_plan
from tests.study.made_results import STUDY, a_cell, made_coverage, made_result, made_rows, rising

ROWS = made_rows(10)


def said(coverage, capsys, jobs=1):
    say_plan(coverage, STUDY, jobs=jobs)
    return capsys.readouterr().out


def test_the_grid_is_shown_with_what_is_done_and_what_is_missing(capsys):
    cells = {a_cell(samples=250): 0.7, a_cell(samples=8000): None, a_cell("tfidf", 250): None}

    lines = said(made_coverage(cells), capsys).splitlines()

    assert lines[0] == "3 cells: 1 finished, 2 missing"
    assert [line.split() for line in lines[2:5]] == [
        ["seed", "250", "8,000"],
        ["lora", "1", "done", "missing"],
        ["tfidf", "1", "missing"],
    ]


def test_time_and_disk_are_forecast_from_finished_cells_and_an_unknown_method_is_named(capsys):
    cells = {a_cell(samples=8000): 0.7, a_cell(samples=8000, seed=2): None, a_cell("full", 250): None}

    text = said(made_coverage(cells), capsys, jobs=2)

    assert "forecast for 1 of them: 48 s with 2 at a time, 1 MiB in DVC's cache" in text
    assert "no forecast for full: no cell of it is finished" in text


def test_power_is_told_before_the_comparison_and_measured_once_there_is_one(capsys):
    before = said(made_coverage({a_cell(): 0.7}), capsys)
    after = said(made_coverage(rising("lora", [250]) | rising("full", [250])), capsys)

    assert "power, with 400 test rows" in before
    assert "(assumed: 3 to 7 % are usual of two good classifiers)" in before
    assert "  5.0 %: smallest difference that shows 3.1 points; test rows that would show `as good as`: " in before
    assert "3,092 with a margin of 1, 773 with a margin of 2" in before
    assert "(measured between lora and full)" in after


def test_without_any_experiment_the_power_waits_for_the_number_of_test_rows(capsys):
    coverage = replace(made_coverage({a_cell(): None}), num_test_rows=None)

    assert "power: the number of test rows is known once one cell is finished" in said(coverage, capsys)


def test_stale_experiments_are_named_with_what_differs(capsys):
    coverage = replace(made_coverage({a_cell(): None}), stale=("n1000 (abc1234): other code",))

    assert "stale, left out: n1000 (abc1234): other code" in said(coverage, capsys)


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


def test_under_the_protocol_trained_fewer_rows_take_no_fewer_steps():
    done = finished(train_rows=1000, train_seconds=10.0)
    trained = replace(done, cell=replace(done.cell, protocol="trained"))
    few, many = (replace(a_cell(samples=samples), protocol="trained") for samples in (250, 4000))

    assert forecast([few, many], [trained]).seconds == {
        few: SECONDS_BESIDE_TRAINING + 10.0,
        many: SECONDS_BESIDE_TRAINING + 40.0,
    }
    assert forecast([few], [done]).unknown == ["lora"]


def test_a_method_that_was_never_measured_gets_no_forecast():
    ahead = forecast([a_cell("full"), a_cell("lora", seed=2)], [finished(train_rows=1000)])

    assert ahead.unknown == ["full"]
    assert list(ahead.seconds) == [a_cell("lora", seed=2)]


def test_a_cell_of_fixed_steps_takes_as_long_as_its_steps():
    ahead = forecast(
        [a_cell(samples=250, contrast="fixed_steps", max_steps=1750)],
        [finished(train_rows=1000, train_seconds=16.0, steps=160)],
    )

    assert list(ahead.seconds.values()) == [pytest.approx(SECONDS_BESIDE_TRAINING + 175.0)]


def test_another_models_speed_tells_nothing():
    other = replace(a_cell(), model="bert-base-uncased")

    assert forecast([other], [finished(train_rows=1000)]).unknown == ["lora"]


def test_the_speed_of_a_method_without_a_model_is_known_whichever_model_is_asked_for():
    done = made_result(a_cell("tfidf"), ROWS, 0.7, train_seconds=2.0)

    ahead = forecast([replace(a_cell("tfidf", seed=2), model="bert-base-uncased")], [done])

    assert list(ahead.seconds.values()) == [SECONDS_BESIDE_TRAINING + 2.0]
