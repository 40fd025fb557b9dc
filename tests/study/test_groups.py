import numpy as np

from stages.study.groups import curves_of, paired
from tests.study.made_results import STUDY, a_cell, made_coverage


def curves(accuracies):
    coverage = made_coverage(accuracies)
    return curves_of(coverage.found(), coverage.results.rows, STUDY.methods)


def test_curves_come_in_the_order_of_the_methods_sizes_and_seeds_ascend_and_contrasts_come_last():
    cells = [
        a_cell("tfidf", 1000),
        a_cell("lora", 1000, contrast="random"),
        a_cell("lora", 8000, 2),
        a_cell("lora", 8000, 1),
        a_cell("lora", 250),
    ]

    found = curves(dict.fromkeys(cells, 0.7))

    assert list(found) == ["lora", "tfidf", "lora, random carve"]
    assert list(found["lora"]) == [250, 8000]
    assert found["lora"][8000].seeds == (1, 2)


def test_a_group_knows_which_rows_each_seed_has_right():
    group = curves({a_cell(seed=seed): accuracy for seed, accuracy in ((1, 0.6), (2, 0.9))})["lora"][1000]

    assert group.hits.shape == (2, 400)
    np.testing.assert_array_equal(group.hits, group.logits.argmax(axis=2) == group.labels)
    assert group.hits[1].mean() > group.hits[0].mean()


def test_pairs_are_made_of_the_seeds_that_both_have():
    cells = [a_cell("lora", seed=seed) for seed in (1, 2, 3)] + [a_cell("tfidf", seed=seed) for seed in (2, 3, 4)]
    found = curves(dict.fromkeys(cells, 0.7))

    first, second = paired(found["lora"][1000], found["tfidf"][1000])

    assert first.seeds == second.seeds == (2, 3)
    assert first.cell.method == "lora"


def test_without_a_common_seed_there_is_no_pair():
    found = curves({a_cell("lora", seed=1): 0.7, a_cell("tfidf", seed=2): 0.7})

    assert paired(found["lora"][1000], found["tfidf"][1000]) is None
