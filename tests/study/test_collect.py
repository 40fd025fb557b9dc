from dataclasses import replace

from stages.study.collect import Coverage
from tests.study.made_results import a_cell, made_coverage


def test_a_cell_is_missing_until_one_of_its_keys_has_a_result():
    coverage = made_coverage({a_cell(): 0.7, a_cell(seed=2): None})
    assert coverage.missing == [a_cell(seed=2)]

    either: Coverage = replace(coverage, cells={a_cell(): ["another", *coverage.cells[a_cell()]]})
    assert either.missing == []
    assert set(either.found()) == {a_cell()}


def test_a_result_that_no_model_decides_is_that_of_every_models_cell():
    coverage = made_coverage({a_cell("tfidf"): 0.7})
    (key,) = coverage.results.by_key
    other = replace(a_cell("tfidf"), model="mpnet")

    asked = replace(coverage, cells={other: [key]})

    assert asked.missing == []
    assert asked.found()[other].cell == other
