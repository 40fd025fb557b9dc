from dataclasses import replace

import pytest

from stages.reporting.study.findings import Claim, Side
from stages.study.contrasts import comparisons, differences, leaks, precision_differences, trends
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


CLAIM = Claim(
    file="metrics/study/mine-minilm.claim.yaml",
    digest="c1a1",
    data="0123.dir",
    protocol="seed",
    tuned=False,
    sizes=(8000,),
    margins=(0.01,),
    alpha=0.05,
    seeds=(1, 2, 3),
    looks=(2, 3),
)


def ran_under(digest, cells):
    """The groups of cells that were made on commits that held the claim file with this digest."""
    rows = made_rows()
    found = {cell: made_result(cell, rows, value, claim=digest) for cell, value in cells.items()}
    return curves_of(found, rows, STUDY.methods)


def both(sizes=(1000, 8000), seeds=(1, 2, 3)):
    return rising("lora", sizes, seeds) | rising("full", sizes, seeds)


def test_lora_is_held_against_full_at_every_size_that_has_both():
    cells = rising("lora", [250, 1000, 8000]) | rising("full", [1000, 8000], start=0.65)

    found = comparisons(curves(cells), [0.01, 0.02], None)

    assert [(one.samples, one.result.margin) for one in found] == [
        (1000, 0.01),
        (1000, 0.02),
        (8000, 0.01),
        (8000, 0.02),
    ]
    assert not any(one.planned for one in found)
    assert all(0 < one.discordant < 1 for one in found)


def test_planned_is_what_the_claim_names_on_cells_that_ran_under_it():
    found = comparisons(ran_under("c1a1", both()), [0.01, 0.02], CLAIM)

    assert [(one.samples, one.result.margin, one.planned) for one in found] == [
        (1000, 0.01, False),
        (1000, 0.02, False),
        (8000, 0.01, True),
        (8000, 0.02, False),
    ]


@pytest.mark.parametrize(
    ("digest", "claim"),
    [
        ("", CLAIM),
        ("another", CLAIM),
        ("c1a1", replace(CLAIM, data="other.dir")),
        ("c1a1", replace(CLAIM, protocol="trained")),
        ("c1a1", replace(CLAIM, tuned=True)),
        ("c1a1", replace(CLAIM, seeds=(2, 4, 1))),
    ],
    ids=["no claim then", "another claim", "other data", "another protocol", "not tuned", "the second seed is missing"],
)
def test_cells_that_the_claim_does_not_cover_are_judged_as_not_planned(digest, claim):
    assert not any(one.planned for one in comparisons(ran_under(digest, both()), [0.01], claim))


def test_what_was_planned_is_judged_at_its_look_and_not_by_the_seeds_beyond_it():
    cells = both(sizes=[8000], seeds=(1, 2, 3))
    three_looks = replace(CLAIM, seeds=(3, 1, 2, 4), looks=(2, 4))

    (one,) = comparisons(ran_under("c1a1", cells), [0.01], three_looks)

    assert one.planned
    assert one.num_seeds == 2
    assert one.result.difference.confidence_level > 0.98  # an early look has hardly any level


def test_a_margin_of_the_command_line_moves_nothing_of_the_claim():
    found = comparisons(ran_under("c1a1", both(sizes=[8000])), [0.5], CLAIM)

    assert [(one.result.margin, one.planned) for one in found] == [(0.01, True), (0.5, False)]


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
