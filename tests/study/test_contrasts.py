import pytest

from stages.reporting.study.findings import Claim, Side
from stages.study.contrasts import claim_of, comparisons, differences, leaks, precision_differences, trends
from stages.study.groups import curves_of
from tests.study.made_results import STUDY, a_cell, made_coverage, made_result, made_rows, rising


def curves(accuracies):
    coverage = made_coverage(accuracies)
    return curves_of(coverage.found(), coverage.results.rows, STUDY.methods)


def test_the_first_method_is_held_against_each_other_at_every_size():
    sizes = [250, 1000]
    found = differences(curves(rising("lora", sizes, start=0.8) | rising("tfidf", sizes, start=0.6)), 0.95)

    methods = [one for one in found if one.family == "methods"]
    assert [(one.first, one.second) for one in methods] == [
        (
            Side(curve="lora", method="lora", contrast="", samples=size),
            Side(curve="tfidf", method="tfidf", contrast="", samples=size),
        )
        for size in sizes
    ]
    for one in methods:
        assert one.num_seeds == 3
        assert one.difference.value == pytest.approx((one.gained - one.lost) / 400)
        assert one.difference.low <= one.difference.value <= one.difference.high
        assert one.difference.value > 0.1
        assert one.p_holm < 0.05
        assert one.significant


def test_each_size_of_the_first_method_is_held_against_the_next_smaller():
    found = differences(curves(rising("lora", [250, 1000, 8000], step=0.1)), 0.95)

    assert [(one.family, one.first.samples, one.second.samples) for one in found] == [
        ("sizes", 1000, 250),
        ("sizes", 8000, 1000),
    ]
    assert all(one.difference.low > 0 for one in found)


def test_p_values_are_corrected_within_their_family_and_never_shrink():
    found = differences(curves(rising("lora", step=0.01) | rising("tfidf", start=0.62, step=0.01)), 0.95)

    for family in ("methods", "sizes"):
        members = [one for one in found if one.family == family]
        smallest = min(members, key=lambda one: one.p_value)
        assert all(one.p_holm >= one.p_value for one in members)
        assert smallest.p_holm == pytest.approx(min(1, len(members) * smallest.p_value))


def test_another_protocol_is_held_against_the_plain_one_at_the_same_size_and_seeds():
    cells = {a_cell(samples=250, seed=seed): 0.6 for seed in (1, 2)}
    cells |= {a_cell(samples=250, seed=seed, contrast="fixed_steps", max_steps=1750): 0.8 for seed in (2, 3)}

    found = [one for one in differences(curves(cells), 0.95) if one.family == "contrasts"]

    (one,) = found
    assert one.first == Side(curve="lora, 1,750 steps", method="lora", contrast="fixed_steps", samples=250)
    assert one.second == Side(curve="lora", method="lora", contrast="", samples=250)
    assert one.num_seeds == 1
    assert found[0].difference.value > 0.1


def test_the_claim_is_asked_at_every_size_that_has_both_and_the_largest_with_the_first_margin_is_the_primary_one():
    cells = rising("lora", [250, 1000, 8000]) | rising("full", [1000, 8000], start=0.65)

    found = comparisons(curves(cells), [0.01, 0.02], claim_of(cells))

    assert [(one.samples, one.result.margin) for one in found] == [
        (1000, 0.01),
        (1000, 0.02),
        (8000, 0.01),
        (8000, 0.02),
    ]
    assert [one.primary for one in found] == [False, False, True, False]
    assert all(0 < one.discordant < 1 for one in found)


def test_a_method_far_below_is_inferior_and_one_far_above_is_non_inferior():
    worse = rising("lora", [1000], start=0.6) | rising("full", [1000], start=0.9)
    better = rising("lora", [1000], start=0.9) | rising("full", [1000], start=0.6)

    assert comparisons(curves(worse), [0.01], None)[0].result.verdict == "inferior"
    assert comparisons(curves(better), [0.01], None)[0].result.verdict == "non-inferior"


def test_without_full_fine_tuning_the_claim_is_not_asked():
    assert comparisons(curves(rising("lora") | rising("tfidf")), [0.01], None) == []


def test_a_trend_takes_three_sizes_and_two_seeds():
    assert trends(curves(rising("lora", [250, 1000]))) == []
    assert trends(curves(rising("lora", [250, 1000, 8000], seeds=[1]))) == []

    found = trends(curves(rising("lora", [250, 1000, 8000], step=0.1)))

    assert [(one.curve, one.num_seeds) for one in found] == [("lora", 3)]
    assert found[0].p_value < 0.05


def test_the_leak_is_shown_where_both_partitions_were_trained_on():
    cells = {a_cell(samples=size): 0.7 for size in (250, 8000)} | {a_cell(samples=8000, contrast="random"): 0.7}

    (leak,) = leaks(curves(cells))

    assert (leak.method, leak.samples, leak.num_seeds) == ("lora", 8000, 1)
    assert (leak.overlap_grouped, leak.overlap_random) == (0, 0.9)
    assert leak.val_random == pytest.approx(leak.val_grouped + 0.04)


def test_the_claim_is_what_the_grid_fixes_whatever_is_finished():
    grid = rising("lora", [1000, 8000]) | rising("full", [1000, 8000], seeds=[1, 2])

    assert claim_of(grid) == Claim(samples=8000, seeds=(1, 2))
    assert claim_of(rising("lora", [1000])) is None
    assert claim_of({a_cell("lora", contrast="random"): 1, a_cell("full", contrast="random"): 1}) is None

    finished = {
        cell: value for cell, value in grid.items() if (cell.samples, cell.method, cell.seed) != (8000, "full", 2)
    }
    assert not any(one.primary for one in comparisons(curves(finished), [0.01], claim_of(grid)))


def test_a_size_that_lacks_a_seed_is_left_out_of_the_trend_and_counted_so():
    cells = rising("lora", [250, 500, 1000, 8000], step=0.1)
    del cells[a_cell("lora", 8000, 3)]

    (trend,) = trends(curves(cells))

    assert (trend.num_seeds, trend.num_sizes) == (3, 3)


def test_what_counts_as_significant_follows_the_confidence_level_of_the_study():
    made = curves(rising("lora", [250, 1000], start=0.7, step=0.05))
    (one,) = differences(made, 0.95)

    assert 0 < one.p_holm < 1
    strict, lax = (differences(made, 1 - level)[0] for level in (one.p_holm / 2, one.p_holm * 1.01))
    assert not strict.significant
    assert lax.significant


def test_formats_are_compared_on_the_cells_that_have_both_and_a_cell_with_one_is_passed_over():
    rows = made_rows()

    def twins(seed, *accuracies):
        formats = zip(("bf16", "fp32"), accuracies, strict=False)
        return [made_result(a_cell(seed=seed), rows, value, precision_used=name) for name, value in formats]

    (found,) = precision_differences([twins(1, 0.8, 0.8), twins(2, 0.8, 0.7), twins(3, 0.8), []], rows, 0.95)

    assert (found.curve, found.samples, found.first, found.second, found.num_seeds) == ("lora", 1000, "bf16", "fp32", 2)
    assert found.difference.value == pytest.approx(0.05, abs=0.005)
    assert found.reclassified == pytest.approx(0.05, abs=0.005)
