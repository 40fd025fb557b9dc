from dataclasses import replace

from tests.reporting.study.made_findings import bare, curve, study


def test_its_own_curves_are_those_under_the_plain_protocol():
    assert [each.name for each in study().own_curves] == ["lora", "full", "head", "tfidf"]


def test_a_method_is_paired_with_itself_under_fixed_steps_and_nothing_else_is():
    assert [(own.name, steps.name) for own, steps in study().with_fixed_steps] == [("lora", "lora, 1,750 steps")]
    assert replace(study(), curves=(curve("head"), *study().curves[4:])).with_fixed_steps == ()


def test_the_most_seeds_are_those_of_any_point():
    assert study().most_seeds == 3
    assert bare().most_seeds == 0
