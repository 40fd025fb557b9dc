from dataclasses import replace

from stages.reporting.numbers import NONE
from tests.reporting.study.made_findings import difference, one_seed, side, study, with_left_out
from tests.reporting.study.said import said

MINUS = "\N{MINUS SIGN}"


def test_the_claim_has_its_margin_interval_verdict_and_the_rows_that_would_settle_it():
    assert f"56,000 * 1.0 inconclusive {MINUS}0.4 [{MINUS}1.8, +0.9] 90 % 3 6,059" in said(study())


def test_what_was_planned_names_its_file_and_its_looks_and_what_was_not_says_so():
    text = said(study())
    assert "Fixed in metrics/study/sst2-files-minilm.claim.yaml (SHA-256 5ad1c0ffee00...) before its cells ran" in text
    assert "at 56,000 labels, looked at with 3 and 5 seeds, at levels with which all looks together err" in text

    waiting = replace(study(), comparisons=tuple(replace(one, planned=False) for one in study().comparisons))
    assert "No look has its cells yet, so none of these verdicts was planned." in said(waiting)
    assert "no claim was fixed before the cells ran" in said(replace(study(), claim=None))


def test_no_verdict_is_called_a_match():
    assert "matches" not in said(study())
    assert "inconclusive" in said(study())


def test_rows_needed_are_told_only_where_the_question_is_open():
    text = said(study())
    assert f"2.0 non-inferior {MINUS}0.4 [{MINUS}1.8, +0.9] 90 % 3 {NONE}" in text
    assert f"1.0 inferior {MINUS}2.5 [{MINUS}3.9, {MINUS}1.2] 90 % 3 {NONE}" in text


def test_where_full_was_not_run_the_question_stays_open():
    assert "No size has finished cells of both lora and full" in said(one_seed())


def test_labels_to_a_target_are_an_interval_or_out_of_reach():
    text = said(study())
    assert "lora 80 % 810 to 2,000 1,200" in text
    assert "lora 85 % 9,100 at the earliest, no upper bound 22,000" in text
    assert "lora 90 % not reached within the 95 % band not up to 224,000" in text


def test_below_the_smallest_size_the_curve_says_nothing():
    found = study()
    low = replace(found.targets[0], target=0.6, low=250.0, value=250.0, high=250.0)
    assert "lora 60 % 250 or fewer 250 or fewer" in said(replace(found, targets=(low,)))


def test_a_curve_without_a_fit_says_why():
    assert "full: 2 sizes are too few for a fit, which takes six." in said(study())


def test_every_difference_stands_in_the_table_of_its_family():
    text = said(study())
    methods, sizes, contrasts = (
        text.index(name) for name in ("Methods at one size:", "Sizes of one method:", "Protocols at one size:")
    )
    assert methods < text.index("lora, 250 less head, 250 ") < sizes
    assert sizes < text.index("lora, 500 less lora, 250 +") < contrasts
    assert contrasts < text.index("lora, 1,750 steps, 500 less lora, 500 +1.2 [")


def test_a_difference_near_none_has_no_sign():
    flat = difference("methods", side("lora", 8000), side("head", 8000), -0.0003)
    assert f"lora, 8,000 less head, 8,000 0.0 [{MINUS}1.6, +1.6]" in said(replace(study(), differences=(flat,)))


def test_what_does_not_count_is_named_with_its_reason_beside_the_verdicts():
    text = said(with_left_out())
    assert "lora, 250: validation loss 0.69, where knowing nothing is 0.69" in text
    assert "lora, 2,000, seed 44: validation accuracy 70.1 %" in text
    assert "And 3 seeds of which none failed do not exclude that up to 63 % would: no verdict" in text


def test_the_uncertainty_has_its_shares_and_what_more_of_each_would_leave():
    """1e-4 / 3 + 0.03 / 872 + 0.04 / 2616 = 0.00008303."""
    assert "56,000 0.91 40 % 41 % 18 % 0.84 0.76" in said(study())


def test_a_difference_with_a_side_that_does_not_count_bears_a_dagger():
    short = replace(difference("sizes", side("lora", 500), side("lora", 250), 0.1), left_out=True)
    text = said(replace(study(), differences=(short,)))
    assert "lora, 500 less lora, 250 † +10.0 [" in text
    assert "† One side was not trained enough to count." in text
    assert "Hollow squares" in text


def test_more_labels_have_a_row_for_each_number():
    text = said(study())
    assert "lora 56,000 14,000 +0.4 [" in text
    assert "11 % of 90 % 37 minutes" in text
