import html
import re
from dataclasses import replace

from stages.reporting.document import to_html
from stages.reporting.numbers import NONE
from stages.reporting.study.evidence import labels_paid
from stages.reporting.study.page import study_document
from tests.reporting.study.made_findings import SEEDS, SIZES, curve, interval, mistakes, one_seed, study, with_left_out
from tests.reporting.study.said import said


def test_beside_every_fit_stands_its_backtest_and_the_last_value():
    text = said(study())
    for method in ("lora", "head", "tfidf"):
        assert re.search(rf"{method} 8,000 56,000 \d\d\.\d % \[\d\d\.\d, \d\d\.\d\] \d\d\.\d % \+0\.7 ", text)


def test_a_fit_that_could_not_be_tested_says_so():
    found = study()
    untested = tuple(replace(each, fit=each.fit and replace(each.fit, backtests=())) for each in found.curves)
    assert "Whether the curves predict is not known" in said(replace(found, curves=untested))


def test_what_does_not_count_bears_a_dagger():
    text = said(with_left_out())
    assert re.search(r" 500 \d\d\.\d % \[[^]]*\] † ", text)
    assert not re.search(r" 1,000 \d\d\.\d % \[[^]]*\] † ", text)
    assert "† Not trained enough to count." in text
    assert "†" not in said(study())


def test_one_seed_is_called_one_seed():
    assert "One seed, 872 test rows." in said(one_seed())


def test_a_point_with_fewer_seeds_than_the_others_says_so():
    found = study()
    fewer = tuple(replace(point, seeds=SEEDS[:1]) for point in found.curves[1].points)
    curves = (found.curves[0], replace(found.curves[1], points=fewer))
    assert "[81.7, 85.9], 1 seed" in said(replace(found, curves=curves))


def test_every_size_has_its_row():
    found = replace(study(), curves=(curve("lora"),))
    for size in SIZES:
        assert re.search(rf" {size:,} \d\d\.\d % \[", said(found))


def test_fixed_epochs_and_fixed_steps_stand_side_by_side():
    assert re.search(r"8,000 83\.5 % \[[^]]*\] 1,082 84\.1 % \[[^]]*\] 1,750 \+0\.6", said(study()))


def test_calibration_has_a_temperature_and_values_before_and_after():
    assert "lora 1.54 8.2 [6.7, 9.7] 2.1 [1.0, 3.2] 3.0 0.410 → 0.352 0.119 → 0.111" in said(study())


def test_more_classes_make_more_slices_and_nothing_else():
    found = study()
    extra = tuple(replace(found.slices[0], name=f"class number {index}") for index in range(30))
    assert "class number 29 (128)" in said(replace(found, slices=extra))


def test_text_that_is_not_at_hand_leaves_its_row_number():
    assert "(the text is not at hand) labelled “negative”" in said(study())


def test_that_no_text_is_at_hand_is_said_once():
    found = study()
    text = said(replace(found, mistakes=tuple(replace(row, sentence="") for row in found.mistakes)))
    assert "Their texts are not at hand here. labelled “negative”" in text
    assert "(the text is not at hand)" not in text


def test_mistakes_keep_their_letters():
    assert html.escape(mistakes()[0].sentence) in to_html(study_document(study()), {})


def test_the_leak_is_told_with_its_share_and_its_effect():
    assert "0.0 % → 99.3 % 87.8 % → 91.6 %" in said(study())


def test_a_long_list_of_missing_cells_is_shortened_and_counted():
    missing = tuple(f"cell-{number}" for number in range(50))
    text = said(replace(study(), missing=missing))
    assert "Not finished, of the grid: 50." in text
    assert "cell-7 and 42 more" in text
    assert "cell-8" not in text


def test_a_finished_grid_says_so():
    assert "Every cell of the grid is finished." in said(replace(study(), missing=()))


def test_the_gain_of_more_steps_is_the_paired_difference_of_the_same_cells():
    found = study()
    unpaired = replace(found, differences=tuple(each for each in found.differences if each.family != "contrasts"))
    assert re.search(rf"8,000 83\.5 % \[[^]]*\] 1,082 84\.1 % \[[^]]*\] 1,750 {NONE}", said(unpaired))


def test_what_number_formats_differ_by_stands_beside_what_they_were_pooled_for():
    text = said(study())

    assert "What the format alone does, from cells that were computed in both:" in text
    assert "lora, 1,000: bf16 less fp32" in text
    assert "+0.4 [\N{MINUS SIGN}0.8, +1.6]" in text
    assert "5.2 %" in text


def test_formats_that_were_never_compared_are_said_to_be_so_and_one_alone_is_not_talked_about():
    assert "none was computed in both, so what that does is not measured" in said(replace(study(), precisions=()))
    assert "pooled" not in said(replace(study(), pooled_precisions=(), precisions=()))


def test_each_total_of_labels_has_its_best_recipe_and_validation_labels_are_paid_for():
    found = study()
    first = found.own_curves[0]

    def at(samples, val_rows, accuracy, train_rows=None):
        return replace(
            first.points[0],
            samples=samples,
            train_rows=train_rows or samples,
            val_rows=val_rows,
            accuracy=interval(accuracy, 0.02),
        )

    curves = (
        replace(first, name="lora", points=(at(250, 1000, 0.6), at(8000, 1000, 0.9))),
        replace(first, name="tfidf", points=(at(250, 0, 0.55), at(1000, 0, 0.7))),
        replace(first, name="inside", contrast="inside", points=(at(1000, 200, 0.75, train_rows=800),)),
        replace(first, name="random", contrast="random", points=(at(250, 0, 0.99),)),
    )
    table = labels_paid(replace(found, curves=curves)).blocks[0]

    assert [row[:3] for row in table.rows] == [
        ("250", "tfidf", "250"),
        ("1,000", "inside", "800 + 200"),
        ("9,000", "lora", "8,000 + 1,000"),
    ]


def test_what_tuning_tried_and_chose_is_told_and_a_choice_at_the_edge_named():
    text = said(study())
    assert "lora, 1,000 5 values, 0.000125 to 0.002 0.001 0.500 0.450 no" in text
    assert "tfidf, 8,000 5 values, 0.25 to 4 4 0.325 0.800 yes" in text
    assert "No value was tuned: every cell has those of params.yaml." in said(replace(study(), sensitivities=()))
