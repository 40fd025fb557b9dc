from dataclasses import replace

from stages.study.plan import say_plan
from tests.study.made_results import STUDY, a_cell, made_standing, rising


def said(standing, capsys, jobs=1):
    say_plan(standing, STUDY, jobs=jobs)
    return capsys.readouterr().out


def test_the_grid_is_shown_with_what_is_done_and_what_is_missing(capsys):
    cells = {a_cell(samples=250): 0.7, a_cell(samples=8000): None, a_cell("tfidf", 250): None}

    lines = said(made_standing(cells), capsys).splitlines()

    assert lines[0] == "3 cells: 1 finished, 2 missing"
    assert [line.split() for line in lines[2:5]] == [
        ["seed", "250", "8,000"],
        ["lora", "1", "done", "missing"],
        ["tfidf", "1", "missing"],
    ]


def test_time_and_disk_are_forecast_from_finished_cells_and_an_unknown_method_is_named(capsys):
    cells = {a_cell(samples=8000): 0.7, a_cell(samples=8000, seed=2): None, a_cell("full", 250): None}

    text = said(made_standing(cells), capsys, jobs=2)

    assert "forecast for 1 of them: 48 s with 2 at a time, 1 MiB in DVC's cache" in text
    assert "no forecast for full: no cell of it is finished" in text


def test_power_is_told_before_the_comparison_and_measured_once_there_is_one(capsys):
    before = said(made_standing({a_cell(): 0.7}), capsys)
    after = said(made_standing(rising("lora", [250]) | rising("full", [250])), capsys)

    assert "power, with 400 test rows" in before
    assert "(assumed: 3 to 7 % are usual of two good classifiers)" in before
    assert "  5.0 %: smallest difference that shows 3.1 points; test rows that would show `as good as`: " in before
    assert "3,092 with a margin of 1, 773 with a margin of 2" in before
    assert "(measured between lora and full)" in after


def test_without_any_experiment_the_power_waits_for_the_number_of_test_rows(capsys):
    standing = replace(made_standing({a_cell(): None}), num_test_rows=None)

    assert "power: the number of test rows is known once one cell is finished" in said(standing, capsys)


def test_stale_experiments_are_named_with_what_differs(capsys):
    standing = replace(made_standing({a_cell(): None}), stale=("n1000 (abc1234): other code",))

    assert "stale, left out: n1000 (abc1234): other code" in said(standing, capsys)
