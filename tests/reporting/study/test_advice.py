from dataclasses import replace

import pytest

from stages.foundation.interval import Interval
from stages.reporting.study.advice import Advice, MoreOfCurve, advice_in_words, so_far, why_not
from stages.statistics.decision import Decision, Option, Rivalry

PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


def interval(value, half):
    return Interval(value=value, low=value - half, high=value + half, confidence_level=0.95)


def decided(chance=0.8, loss=0.001):
    return Decision(
        options=(
            Option(accuracy=interval(0.75, 0.04), chance=1 - chance, loss=0.05),
            Option(accuracy=interval(0.8, 0.04), chance=chance, loss=loss),
        ),
        best=1,
        rivalry=Rivalry(position=0, difference=interval(0.05, 0.06), by_rows=0.0006, by_seeds=0.0002),
    )


ADVICE = Advice(
    samples=400,
    largest=400,
    num_test_rows=872,
    methods=("tfidf", "lora"),
    num_seeds=(3, 1),
    decision=decided(),
    more=MoreOfCurve(method="lora", samples=400, gains=((400, interval(0.02, 0.015)), (1200, interval(0.04, 0.03)))),
    refusal="",
    not_compared=(),
)


def said(advice):
    return [sentence.replace("\N{NARROW NO-BREAK SPACE}", " ") for sentence in advice_in_words(advice)]


def the_one(advice, start):
    (sentence,) = [sentence for sentence in said(advice) if sentence.startswith(start)]
    return sentence


def test_the_choice_comes_first_with_its_interval_and_seeds():
    assert said(ADVICE)[0] == (
        "Train with lora now: 80.0 % (95 % interval 76.0 to 84.0) of 872 test rows right with 400 labels (1 seed)."
    )


def test_how_sure_is_a_chance_and_what_a_wrong_choice_costs():
    assert the_one(ADVICE, "How sure") == (
        "How sure: 80 % that it is the best of tfidf and lora; taking it costs 0.10 points on average, the cases in "
        "which another is better included, so that lora is a fair choice all the same."
    )
    assert "fair choice" not in the_one(replace(ADVICE, decision=decided(loss=0.02)), "How sure")


def test_a_chance_is_never_called_certain():
    assert "How sure: 99 % that" in the_one(replace(ADVICE, decision=decided(chance=1.0)), "How sure")


def test_more_labels_are_told_as_gains_with_intervals():
    assert the_one(ADVICE, "What more labels") == (
        "What more labels would bring, by the curve of lora (95 % intervals): "
        "400 more (800 in all) +2.0 [+0.5, +3.5] points; 1,200 more (1,600 in all) +4.0 [+1.0, +7.0] points."
    )


def test_the_curve_of_another_method_is_named_with_the_reason():
    more = replace(ADVICE.more, method="tfidf")
    told = the_one(replace(ADVICE, more=more, refusal="a curve needs at least 3 sizes"), "What more labels")

    assert "by the curve of tfidf (" in told
    assert told.endswith("points; that of lora is not known: a curve needs at least 3 sizes.")


def test_without_a_curve_it_is_said_why_and_that_nothing_follows_from_it():
    told = the_one(replace(ADVICE, more=None, refusal="a curve needs at least 3 sizes"), "What more labels bring")

    assert "a curve needs at least 3 sizes" in told
    assert "anything from no gain to a clear one is possible" in told


def test_what_would_make_it_surer_goes_by_the_shares_of_the_variance():
    told = the_one(ADVICE, "What would make the choice surer")

    assert "75 % of its variance comes from having 872 test rows, 25 % from the luck of the runs" in told
    assert f"now the difference is known to {PLUS_MINUS}5.5 points" in told
    assert f"four times the test labels {PLUS_MINUS}3.7, with four times the seeds {PLUS_MINUS}5.0" in told


def test_a_choice_that_is_settled_points_to_labels_and_models():
    told = said(replace(ADVICE, decision=decided(chance=0.98)))

    assert any("as good as settled" in sentence and "another --model" in sentence for sentence in told)


@pytest.mark.parametrize(("rows", "told"), [(60, True), (872, False)])
def test_few_test_rows_are_named(rows, told):
    assert any("test rows are few" in sentence for sentence in said(replace(ADVICE, num_test_rows=rows))) == told


def test_a_comparison_below_the_largest_size_says_so():
    told = the_one(replace(ADVICE, largest=1600), "This holds at")

    assert told == "This holds at 400 labels, the largest size at which these were all trained; there are 1,600."


def test_one_method_alone_is_no_choice():
    alone = replace(
        ADVICE,
        methods=("tfidf",),
        num_seeds=(1,),
        decision=Decision(options=decided().options[:1], best=0, rivalry=None),
        not_compared=(("lora", "reason"), ("full", "reason"), ("head", "another")),
    )

    assert "nothing else was trained at 400 labels" in the_one(alone, "How sure")
    assert the_one(alone, "Not compared") == "Not compared, so perhaps better: lora and full (reason); head (another)."
    assert said(alone)[0].startswith("Train with tfidf now")


def test_no_estimate_is_replaced_by_what_a_test_did_not_show():
    assert not any("not shown" in sentence or "significant" in sentence for sentence in said(ADVICE))


def test_the_answer_so_far_is_a_line():
    assert so_far(("tfidf", "lora"), 400, decided()).replace("\N{NARROW NO-BREAK SPACE}", " ") == (
        "so far: lora, 80.0 % (95 % interval 76.0 to 84.0) at 400 labels; "
        "the best of tfidf and lora with a chance of 80 %"
    )


@pytest.mark.parametrize(
    ("sizes", "seconds", "left_out", "told"),
    [
        ([], 120.0, "", "a run there takes about 2 minutes; more minutes train it"),
        ([], None, "", "how long a run takes is not known yet; more minutes tell"),
        ([100], 120.0, "", "trained at 100 labels alone; a run there takes about 2 minutes; more minutes train it"),
        ([100], 120.0, "validation loss 0.69", "not trained enough (validation loss 0.69)"),
    ],
)
def test_why_a_method_was_not_compared(sizes, seconds, left_out, told):
    assert why_not(sizes, seconds, left_out) == told
