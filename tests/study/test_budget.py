from dataclasses import replace

import numpy as np
import pytest

from stages.study.budget import (
    Budget,
    Step,
    Trained,
    affordable,
    decision_size,
    forecast,
    in_order,
    ladder,
    lever,
    next_step,
    pilot,
    seeds_of,
    worth_of_seed,
)
from stages.study.pool import Pool

SECONDS_A_STEP = {"head": 0.01, "lora": 0.1, "full": 0.2}


def work(method, samples):
    """Rows of tfidf; of the others five passes of batches of 32, and 1,000 steps at least."""
    return float(samples if method == "tfidf" else max(1000, 5 * samples // 32))


BUDGET = Budget(
    sizes=(1000, 2000, 4000, 8000, 16000), methods=("tfidf", "head", "lora", "full"), seeds=(1, 2, 3), work=work
)


def pool(*classes, ratio="balanced"):
    return Pool(rows={"grouped": np.array(classes)}, class_ratio=ratio, num_test_rows=100)


def trained(method, samples, seed=1, seconds=None):
    taken = SECONDS_A_STEP.get(method, 0.0) * work(method, samples) if seconds is None else seconds
    return Trained(method=method, samples=samples, seed=seed, seconds=taken)


def following(cells, left=1e9, chances=None, worth=None, budget=BUDGET):
    return next_step(budget, cells, left=left, beside=15.0, chances=chances or {}, worth=worth or {})


def made(cells, number, **options):
    """The cells and so many more, as planned."""
    cells = list(cells)
    for _ in range(number):
        step = following(cells, **options)
        cells.append(trained(step.method, step.samples, step.seed))
    return cells


def names(cells):
    return [(cell.method, cell.samples) for cell in cells]


def test_sizes_are_halves_of_the_largest_that_go_evenly_into_the_classes():
    assert ladder(pool(210, 191)) == [22, 46, 94, 190, 382]
    assert all(size % 3 == 0 for size in ladder(pool(1000, 700, 801)))
    assert ladder(pool(1000, 700, 801))[-1] == 2100


def test_the_smallest_size_has_enough_rows_of_each_class():
    assert ladder(pool(64, 64)) == [16, 32, 64, 128]
    assert ladder(pool(5, 5)) == [2, 4, 10]


def test_a_natural_class_ratio_takes_every_row():
    assert ladder(pool(900, 100, ratio="natural"))[-1] == 1000


def test_more_time_adds_smaller_sizes_and_moves_none():
    sizes = ladder(pool(8000, 8000))
    little, much = (affordable(sizes, seconds=60 * minutes, methods=BUDGET.methods) for minutes in (4, 60))

    assert len(little) == 3
    assert much == tuple(sizes)
    assert much[-3:] == little


def test_cheap_methods_come_first_and_unknown_ones_last():
    assert in_order(["full", "majority", "lora", "tfidf", "head"]) == ("tfidf", "head", "lora", "full", "majority")


def test_seeds_are_those_of_the_params_then_further_ones_without_those_of_tuning():
    assert seeds_of([4, 5], [7], 5) == (4, 5, 6, 8, 9)
    assert seeds_of([9, 3], [10], 4) == (9, 3, 11, 12)
    assert len(seeds_of(range(20), [], 5)) == 20


def test_the_pilot_is_the_largest_size_that_costs_no_more_than_the_smallest():
    assert pilot(BUDGET, "lora") == 4000  # as many steps as at 1,000 rows
    assert pilot(BUDGET, "tfidf") == 1000
    assert pilot(replace(BUDGET, sizes=(100, 200, 400)), "tfidf") == 400


def test_a_forecast_is_scaled_by_the_steps_and_not_by_the_rows():
    cells = [trained("lora", 4000, seconds=100.0)]

    assert forecast("lora", 1000, cells, work, beside=15) == pytest.approx(115)
    assert forecast("lora", 16000, cells, work, beside=15) == pytest.approx(15 + 100 * 2500 / 1000)
    assert forecast("full", 1000, cells, work, beside=15) is None


def test_a_forecast_takes_the_cells_that_did_most_nearly_as_much():
    cells = [trained("head", 1000, seconds=20.0), trained("head", 16000, seconds=30.0)]

    assert forecast("head", 16000, cells, work, beside=0) == pytest.approx(30)


def test_the_cheap_methods_are_seen_at_all_sizes_before_the_dear_ones_begin():
    cells = made([], 10)

    assert {name for name, _ in names(cells)} == {"tfidf", "head"}
    assert len(set(names(cells))) == 10
    assert names(cells)[0] == ("tfidf", 1000)  # its pilot
    assert following(cells) == Step(method="lora", samples=4000, seed=1, seconds=None, reason="dear")


def test_a_short_time_compares_methods_before_it_draws_curves():
    cells = made([], 2, budget=replace(BUDGET, sizes=(100, 200, 400)))

    assert names(cells) == [("tfidf", 400), ("head", 400)]


def test_the_dear_methods_go_from_the_largest_size_down_to_the_third():
    cells = made([], 16)[10:]

    assert names(cells) == [
        ("lora", 4000),  # pilots
        ("lora", 16000),
        ("full", 4000),
        ("full", 16000),
        ("lora", 8000),
        ("full", 8000),
    ]


def test_a_dear_method_that_cannot_be_the_best_is_left_alone_below_the_largest_size():
    cells = made([], 14)

    assert following(cells, chances={"lora": 0.01, "full": 0.9}).method == "full"


def test_a_cell_that_does_not_fit_into_the_time_gives_way_to_one_that_does():
    cells = [*made([], 10), trained("lora", 4000), trained("full", 4000)]

    assert names([following(cells, left=400)]) == [("lora", 16000)]  # 265 s
    assert names([following(cells, left=200)]) == [("lora", 8000)]  # 140 s
    assert following(cells, left=30) is None


def test_nothing_starts_without_the_time_that_its_forecast_asks_for():
    cells = [trained("tfidf", 1000)]
    tfidf = replace(BUDGET, methods=("tfidf",))

    assert following(cells, left=18.1, budget=tfidf).samples == 16000
    assert following(cells, left=17.9, budget=tfidf) is None


def test_after_the_first_round_the_seed_that_is_worth_most_per_minute_is_next():
    cells = made([], 16)
    worth = {("tfidf", 16000): 1.0, ("lora", 16000): 5.0, ("lora", 8000): 4.0}

    assert following(cells, worth=worth) == Step(
        method="tfidf", samples=16000, seed=2, seconds=15.0, reason="seeds"
    )  # 1 in 15 s, where lora brings 5 in 265 s and 4 in 140 s
    assert following(cells, worth=worth | {("tfidf", 16000): 0.01}).samples == 8000


def test_nothing_is_left_where_no_seed_is_worth_anything_or_all_are_trained():
    cells = made([], 16)

    assert following(cells, worth={("tfidf", 16000): 0.0}) is None
    cells += [trained("tfidf", 16000, seed) for seed in (2, 3)]
    assert following(cells, worth={("tfidf", 16000): 1.0}) is None


def test_a_seed_is_worth_more_where_it_decides_and_less_where_many_are():
    spreads = {
        ("lora", 1000): (1e-4, 1),
        ("lora", 2000): (1e-4, 1),
        ("lora", 4000): (1e-4, 1),
        ("full", 4000): (1e-4, 3),
    }
    worth = worth_of_seed(spreads, {"lora": 0.6, "full": 0.4}, decided_at=4000)

    assert worth["lora", 4000] > worth["lora", 1000] > worth["lora", 2000]
    assert worth["full", 4000] == pytest.approx(0.4 * 1e-4 / 12)
    assert worth_of_seed(spreads, {"lora": 0.99, "full": 0.01}, decided_at=4000)["full", 4000] == 0


def test_the_lever_of_a_size_is_its_weight_in_a_line_drawn_on():
    # Sizes at 0, 1 and 2 doublings, the line read at 4: weights 1/3 + 3 (x - 1) / 2.
    assert [lever([1, 2, 4], size) for size in (1, 2, 4)] == pytest.approx(
        [(1 / 3 - 1.5) ** 2, 1 / 9, (1 / 3 + 1.5) ** 2]
    )
    assert lever([1000], 1000) == 0


def test_methods_are_compared_at_the_largest_size_that_most_of_them_have():
    both = {("tfidf", 1000): 1, ("head", 1000): 1, ("tfidf", 2000): 1, ("head", 2000): 1, ("tfidf", 4000): 1}

    assert decision_size(both) == 2000
    assert decision_size({}) is None
