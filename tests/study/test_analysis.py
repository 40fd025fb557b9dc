"""The whole way from finished cells to what the page says; slow parts once for all tests."""

from dataclasses import replace

import pytest

from stages.foundation.errors import StudyError
from stages.reporting.study.answer import answer, caveats
from stages.study.analysis import CONFIDENCE_LEVEL, analyse, curve_table
from stages.study.store import Results
from tests.reporting.study.made_findings import claim
from tests.study.made_results import a_cell, made_coverage, made_result, made_rows, rising, with_study

SIZES = [250, 500, 1000, 2000, 4000, 8000]


@pytest.fixture(scope="module")
def found():
    cells = rising("lora", SIZES, start=0.62, step=0.04) | rising("tfidf", SIZES, start=0.55, step=0.03)
    cells |= rising("full", [1000, 8000], start=0.7, step=0.12)
    cells |= {a_cell(samples=8000, seed=seed, contrast="random"): 0.82 for seed in (1, 2)}
    cells |= {a_cell(samples=250, seed=seed, contrast="fixed_steps", max_steps=1750): 0.75 for seed in (1, 2)}
    cells |= {a_cell("full", 250): None}
    study = with_study(methods=["lora", "full", "tfidf"], targets=[0.8, 0.99])
    return analyse(made_coverage(cells), study, with_sentences=False)


def told(found):
    return "\n".join(answer(found)).replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_every_finished_cell_is_in_a_curve_and_every_missing_one_is_named(found):
    by_name = {curve.name: curve for curve in found.curves}

    assert list(by_name) == ["lora", "full", "tfidf", "lora, 1,750 steps", "lora, random carve"]
    assert [point.samples for point in by_name["lora"].points] == SIZES
    assert all(point.seeds == (1, 2, 3) for point in by_name["lora"].points)
    assert found.missing == ("mine-minilm-full-n250-s1",)


def test_a_point_is_the_mean_of_its_seeds_within_its_interval(found):
    for curve in found.curves:
        for point in curve.points:
            mean = sum(point.seed_accuracies) / len(point.seed_accuracies)
            assert point.accuracy.value == pytest.approx(mean)
            assert point.accuracy.low < mean < point.accuracy.high


def test_labels_paid_are_the_samples_where_validation_lies_inside_and_more_where_it_does_not():
    cells = {a_cell(): 0.8, a_cell(contrast="inside", validation_share=0.2): 0.78, a_cell("tfidf"): 0.7}
    found = analyse(made_coverage(cells), with_study(), with_sentences=False)

    told = {
        curve.name: (point.train_rows, point.val_rows, point.labels_paid)
        for curve in found.curves
        for point in curve.points
    }
    assert told == {
        "lora": (1000, 1000, 2000),
        "lora, validation inside": (800, 200, 1000),
        "tfidf": (1000, 0, 1000),
    }


def test_where_every_cell_validates_inside_its_samples_tfidf_pays_for_what_it_does_not_train_on():
    cell = a_cell("tfidf")
    coverage = made_coverage({cell: 0.7})
    inside = made_result(cell, coverage.results.rows, 0.7, train_rows=800, val_rows=200)
    results = replace(coverage.results, by_key={inside.key: inside})

    point = analyse(replace(coverage, results=results), with_study(), with_sentences=False).curves[0].points[0]

    assert (point.train_rows, point.val_rows, point.labels_paid) == (800, 200, 1000)


def test_a_curve_is_fitted_from_three_sizes_on_and_says_why_not_below(found):
    by_name = {curve.name: curve for curve in found.curves}

    assert by_name["lora"].fit is not None
    assert by_name["full"].fit is None
    assert "at least 3" in by_name["full"].refusal
    assert {target.curve for target in found.targets} == {"lora", "tfidf"}


def test_the_answer_tells_the_rise_the_claim_and_the_price(found):
    text = told(found)

    assert text.startswith("With 8,000 labels, use full: ")
    assert "\nlora goes from " in text
    assert "after 250 labels (3 seeds) to " in text
    assert "LoRA less full fine-tuning at 8,000 labels, 3 seeds, not planned beforehand: " in text
    assert "How far to trust that: from small sizes alone, " in text
    assert "8,000 more labels with lora, beyond 8,000: " in text
    assert "With a margin of 1 point " in text
    assert "Labels to reach 80 % with lora: " in text
    assert "Labels to reach 99 % with lora: " in text
    assert "(lora, 1,750 steps) less lora with fixed epochs, 2 seeds: +" in text
    assert "Carved at random, 90 % of the validation rows overlap with 8,000 training rows" in text


@pytest.mark.parametrize(("full", "verdict"), [(0.795, "non-inferior"), (0.8, "inconclusive"), (0.95, "inferior")])
def test_as_good_as_is_said_with_a_non_inferior_verdict_alone(full, verdict):
    cells = {a_cell("lora", seed=seed): 0.8 for seed in (1, 2, 3)}
    cells |= {a_cell("full", seed=seed): full for seed in (1, 2, 3)}
    margin = {"non-inferior": 0.2, "inconclusive": 0.01, "inferior": 0.01}[verdict]

    found = analyse(made_coverage(cells), with_study(methods=["lora", "full"], margins=[margin]), with_sentences=False)

    (sentence,) = [one for one in answer(found) if one.startswith("LoRA less full")]
    assert verdict in sentence
    assert ("is as good as" in sentence) == (verdict == "non-inferior")


def test_the_verdicts_at_other_sizes_stand_beside_the_claim():
    full = {250: 0.95, 500: 0.95, 1000: 0.8, 2000: 0.5, 4000: 0.8}
    cells = {a_cell("lora", size, seed): 0.8 for size in full for seed in (1, 2, 3)}
    cells |= {a_cell("full", size, seed): accuracy for size, accuracy in full.items() for seed in (1, 2, 3)}

    found = analyse(made_coverage(cells), with_study(methods=["lora", "full"]), with_sentences=False)

    sentences = list(answer(found))
    verdict = next(at for at, sentence in enumerate(sentences) if sentence.startswith("LoRA less full"))
    assert "at 4,000 labels" in sentences[verdict]
    assert sentences[verdict + 1] == (
        "The same margin at other sizes, each judged by itself: non-inferior at 2,000 labels; "
        "inferior at 250 and 500 labels; inconclusive at 1,000 labels."
    )


def test_a_claim_at_the_only_size_has_no_others_beside_it():
    cells = {a_cell(method, seed=seed): 0.8 for method in ("lora", "full") for seed in (1, 2, 3)}

    found = analyse(made_coverage(cells), with_study(methods=["lora", "full"]), with_sentences=False)

    assert not any("other sizes" in sentence for sentence in answer(found))


def test_without_a_claim_nothing_was_planned():
    cells = rising("lora", [1000], seeds=(1, 2)) | rising("full", [1000], seeds=(1, 2))
    found = analyse(made_coverage(cells), with_study(methods=["lora", "full"]), with_sentences=False)

    assert "at 1,000 labels, 2 seeds, not planned beforehand: " in told(found)


def test_a_claim_whose_cells_did_not_run_under_it_is_said_to_wait():
    cells = rising("lora", [1000, 8000]) | rising("full", [1000, 8000])

    waiting = analyse(made_coverage(cells), with_study(methods=["lora", "full"]), with_sentences=False, claim=claim())

    assert "cannot be judged before 3 seeds of both have run under it" in told(waiting)


def test_the_provenance_names_versions_commit_seeds_and_hardware(found):
    facts = dict(found.provenance)

    assert facts["seeds"] == "1, 2, 3"
    assert facts["numerical versions"].startswith("corpus 1, training 1, scoring 1, lora 1 (")
    assert facts["machine of each training"] == "a processor, 1 thread"
    assert facts["libraries"] == "torch 2, transformers 5, peft 1, scikit-learn 1.9"
    assert facts["commit of the code"] == "c0ffeec0ff"
    assert facts["commit of the code"] == "c0ffeec0ff"


def test_the_curve_for_dvc_has_a_row_for_each_point(found):
    table = curve_table(found)

    assert list(table) == ["method", "train_rows", "accuracy", "accuracy_low", "accuracy_high"]
    assert len(table) == sum(len(curve.points) for curve in found.curves)
    assert (table["accuracy_low"] < table["accuracy"]).all()


def test_one_seed_and_one_size_read_well():
    found = analyse(made_coverage({a_cell(): 0.8}), with_study(), with_sentences=False)

    assert told(found).startswith("With 1,000 labels, use lora: 80")
    assert "\nlora names the right class for 80" in told(found)
    assert "not the luck of a training run" in next(caveats(found))
    assert "cannot be told: no size has cells of both" in told(found)


def test_without_a_finished_cell_there_is_nothing_to_report():
    with pytest.raises(StudyError, match="no cell of this grid is finished"):
        analyse(made_coverage({a_cell(): None}), with_study(), with_sentences=False)


def test_cells_that_were_not_trained_enough_are_in_no_fit_and_no_verdict():
    rows = made_rows()
    cells = rising("lora", SIZES, start=0.62, step=0.04) | rising("full", [250, 1000], start=0.7, step=0.1)
    results = {
        cell: made_result(cell, rows, accuracy, **({"val_loss": 0.69} if cell.samples == 250 else {}))
        for cell, accuracy in cells.items()
    }
    coverage = replace(
        made_coverage(cells, rows), results=Results(rows=rows, by_key={each.key: each for each in results.values()})
    )

    found = analyse(coverage, with_study(methods=["lora", "full"]), with_sentences=False)

    assert [(curve.name, point.samples) for curve, point in found.left_out] == [("lora", 250), ("full", 250)]
    assert {one.samples for one in found.comparisons} == {1000}
    assert found.curves[0].fit.sizes[0] == pytest.approx(500)
    assert "left out of fits and verdicts: lora at 250 labels; full at 250 labels." in told(found)


def test_a_failed_run_is_named_and_the_verdict_told_without_it():
    rows = made_rows()
    cells = {a_cell(method, seed=seed): 0.8 for method in ("lora", "full") for seed in (1, 2, 3, 4)}
    made = [
        made_result(cell, rows, 0.7 if broken else 0.8, **({"val_accuracy": 0.7} if broken else {}))
        for cell in cells
        for broken in [cell.method == "full" and cell.seed == 4]
    ]
    coverage = replace(made_coverage(cells, rows), results=Results(rows=rows, by_key={each.key: each for each in made}))

    found = analyse(coverage, with_study(methods=["lora", "full"]), with_sentences=False)

    assert {one.failed for one in found.comparisons} == {(4,)}
    assert all(one.result.without_failed is not None for one in found.comparisons)
    assert "Failed runs: 1 run (full at 1,000, seed 4)." in told(found)
    assert "Without the 1 seed of which a run failed: " in told(found)


def test_nothing_is_told_of_more_labels_than_there_are():
    rows = made_rows()
    cells = rising("lora", SIZES, start=0.62, step=0.04)
    made = [made_result(cell, rows, accuracy, pool_rows=10_000) for cell, accuracy in cells.items()]
    coverage = replace(made_coverage(cells, rows), results=Results(rows=rows, by_key={each.key: each for each in made}))

    found = analyse(coverage, with_study(methods=["lora"]), with_sentences=False)

    assert [each.more for each in found.more_labels] == [2_000]
    assert {target.reach for target in found.targets} == {10_000}


def test_one_confidence_level_holds_for_all_that_is_told(found):
    assert found.confidence_level == CONFIDENCE_LEVEL
    intervals = [each.difference for each in found.differences] + [each.accuracy for each in found.slices]
    intervals += [point.accuracy for curve in found.curves for point in curve.points]
    assert {interval.confidence_level for interval in intervals} == {CONFIDENCE_LEVEL}
    assert {target.smallest for target in found.targets} == {250}
