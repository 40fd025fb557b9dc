from dataclasses import replace

from tests.reporting.study.made_findings import bare, study
from tests.reporting.study.said import said


def test_each_size_has_a_method_to_use_with_its_chance_and_what_a_wrong_choice_costs():
    text = said(study())
    assert "8,000 full 85.5 % [83.5, 87.5] 70 % 0.10 lora, full and tfidf" in text
    assert "250 tfidf 61.0 % [59.0, 63.0] \N{EN DASH} \N{EN DASH} tfidf" in text


def test_the_page_opens_with_the_choice_where_most_methods_were_compared():
    text = said(study())
    assert (
        text.index("With 8,000 labels, use full: 85.5 % [83.5, 87.5] of test rows right; the best of lora, full") < 200
    )
    assert "No cell counts yet." in said(bare())


def test_a_chance_is_never_told_as_certain():
    sure = study().choices[1]
    options = (sure.decision.options[0], replace(sure.decision.options[1], chance=1.0), sure.decision.options[2])
    found = replace(study(), choices=(replace(sure, decision=replace(sure.decision, options=options)),))
    assert "with a chance of 99 %" in said(found)


def test_what_was_tuned_and_trained_long_enough_is_not_said_to_be_otherwise():
    better = said(replace(study(), protocol="trained", tuned=True))
    assert "Learning rates were chosen by validation" in better
    assert "Small sizes take fewer optimizer steps" not in better
    assert "not tuned for each size" in said(study())
