from dataclasses import replace

import pytest

from stages.reporting.study.answer import answer, caveats
from stages.reporting.study.findings import Findings
from tests.reporting.study.made_findings import (
    SIZES,
    bare,
    curve,
    difference,
    interval,
    one_seed,
    point,
    side,
    study,
    with_left_out,
)

MINUS = "\N{MINUS SIGN}"


def said(findings: Findings) -> list[str]:
    return [sentence.replace("\N{NARROW NO-BREAK SPACE}", " ") for sentence in answer(findings)]


def the_one(findings: Findings, start: str) -> str:
    (sentence,) = [sentence for sentence in said(findings) if sentence.startswith(start)]
    return sentence


def test_the_headline_tells_the_rise_of_the_first_method_with_its_intervals_and_seeds():
    assert said(study())[1] == (
        "lora goes from 70.3 % [67.4, 73.2] of 872 test rows right after 250 labels (3 seeds) "
        "to 85.5 % [83.4, 87.6] after 56,000 (3 seeds)."
    )


def test_one_size_is_no_rise():
    one = replace(study(), curves=(curve("lora", (1000,)),))
    assert said(one)[1].startswith("lora names the right class for ")


def test_the_last_step_names_the_sizes_alone():
    assert the_one(study(), "The last step").startswith(
        "The last step, from 32,000 to 56,000 labels, 3 seeds: +0.4 points"
    )


@pytest.mark.parametrize(
    ("value", "end"),
    [
        (0.03, "a gain."),
        (0.003, "which leaves open whether there is a gain."),
        (-0.03, "which leaves open whether there is a gain."),
    ],
)
def test_a_gain_is_said_of_a_significant_rise_alone(value, end):
    step = difference("sizes", side("lora", 56000), side("lora", 32000), value)
    assert the_one(replace(study(), differences=(step,)), "The last step").endswith(end)


def test_a_step_of_nearly_nothing_has_no_sign():
    step = difference("sizes", side("lora", 56000), side("lora", 32000), -0.0003)
    assert "3 seeds: 0.0 points (95 % interval" in the_one(replace(study(), differences=(step,)), "The last step")


def test_the_claim_has_its_verdict_and_what_would_settle_it():
    assert the_one(study(), "LoRA less full") == (
        f"LoRA less full fine-tuning at 56,000 labels, 3 seeds, as planned: {MINUS}0.4 points (90 % interval "
        f"{MINUS}1.8 to +0.9). With a margin of 1 point the question stays open (inconclusive); 6,059 test rows would "
        "settle it four times in five, were there truly no difference."
    )
    assert "The same margin at other sizes, each judged by itself: inferior at 8,000 labels." in said(study())


def test_a_claim_that_has_no_look_yet_is_said_to_wait():
    waiting = replace(study(), comparisons=tuple(replace(each, planned=False) for each in study().comparisons))

    assert the_one(waiting, "The claim that was fixed") == (
        "The claim that was fixed, LoRA against full fine-tuning at 56,000 labels, cannot be judged before 3 seeds of "
        "both have run under it. What follows was not planned."
    )
    assert ", not planned beforehand: " in the_one(waiting, "LoRA less full")


def test_cells_that_do_not_count_and_runs_that_failed_are_named():
    text = said(with_left_out())

    assert "Not trained enough to count, and so left out of fits and verdicts: lora at 250 and 500 labels." in text
    assert any(sentence.startswith("Failed runs: 1 run (lora at 2,000, seed 44).") for sentence in text)
    assert text[1].startswith("lora goes from 78.1 % [75.8, 80.4] of 872 test rows right after 1,000 labels")


def test_what_more_labels_bring_is_a_gain_a_chance_and_a_time():
    assert the_one(study(), "56,000 more labels") == (
        "56,000 more labels with lora, beyond 56,000: +0.9 points (95 % interval +0.3 to +1.5), "
        "a chance of 11 % to reach 90 %, some 37 minutes of training."
    )


@pytest.mark.parametrize(
    ("without", "end"), [(-0.004, ", the same verdict."), (0.02, "; so the failed runs decide, and it stays open.")]
)
def test_a_verdict_is_told_without_the_failed_runs_as_well(without, end):
    claim = study().comparisons[2]
    apart = replace(claim.result, without_failed=interval(without, 0.0135, 0.9))
    found = replace(study(), comparisons=(replace(claim, failed=(44,), result=apart),))

    assert the_one(found, "Without the 1 seed of which a run failed: ").endswith(end)


def test_a_question_without_cells_is_said_to_be_open():
    assert "Whether LoRA is as good as full fine-tuning cannot be told" in " ".join(said(one_seed()))
    assert said(bare()) == ["No experiment of this study is finished yet."]


def test_a_price_says_the_same_as_its_row_in_the_table():
    assert [sentence for sentence in said(study()) if sentence.startswith("Labels to reach")] == [
        "Labels to reach 80 % with lora: 810 to 2,000; by the curve 1,200.",
        "Labels to reach 85 % with lora: 9,100 at the earliest, no upper bound; by the curve 22,000.",
        "Labels to reach 90 % with lora: not reached within the 95 % band; by the curve not up to 224,000.",
    ]


def test_a_price_below_the_smallest_size_is_said_once():
    low = replace(study().targets[0], target=0.6, low=250.0, value=250.0, high=250.0)
    assert "Labels to reach 60 % with lora: 250 or fewer." in said(replace(study(), targets=(low,)))


def test_the_level_of_the_band_is_that_of_the_fit():
    first = study().curves[0]
    wider = replace(first, fit=replace(first.fit, confidence_level=0.8))
    assert "within the 80 % band" in " ".join(said(replace(study(), curves=(wider, *study().curves[1:]))))


def test_each_cheap_method_is_compared_at_the_largest_size_that_both_have():
    text = said(study())
    assert any(sentence.startswith("lora less head at 56,000 labels, 3 seeds: +") for sentence in text)
    assert any(sentence.startswith("lora less tfidf at 56,000 labels, 3 seeds: +") for sentence in text)
    assert not any(sentence.startswith("lora less full at") for sentence in text)
    assert "corrected for 20 such comparisons p is" in the_one(study(), "lora less head")


def test_more_steps_are_held_against_fixed_epochs_at_the_smallest_size():
    assert the_one(study(), "At 500 labels").startswith(
        "At 500 labels, lora with up to as many steps at every size (lora, 1,750 steps) less lora with fixed epochs, "
        "3 seeds: +1.2 points"
    )
    more = difference("contrasts", side("lora", 500, "fixed_steps"), side("lora", 500), 0.2)
    assert "too little training, not too little data." in the_one(replace(study(), differences=(more,)), "At 500")


def test_the_carve_at_random_is_no_matter_of_steps():
    carved = difference("contrasts", side("lora", 56000, "random"), side("lora", 56000), 0.02)
    assert not any("as many steps" in sentence for sentence in said(replace(study(), differences=(carved,))))


def test_a_leak_is_told_at_its_largest_size():
    assert the_one(study(), "Carved at random") == (
        "Carved at random, 99 % of the validation rows overlap with 56,000 training rows, and lora reads 91.6 % on "
        "them against 87.8 % on clean ones; on the test rows the two are 0.5 points apart."
    )


def test_the_caveats_name_what_the_intervals_leave_out():
    assert next(caveats(study())).endswith("the 872 test rows and the luck of a training run.")
    assert next(caveats(one_seed())).endswith("the 872 test rows, not the luck of a training run.")
    fewer = tuple(point("lora", size, seeds=(42, 43)[: 1 + at % 2]) for at, size in enumerate(SIZES))
    assert "Each point is the mean of 1 to 2 seeds" in " ".join(
        caveats(replace(study(), curves=(replace(curve("lora"), points=fewer),)))
    )
