import numpy as np

from stages.study.groups import curves_of
from stages.study.slices import MISTAKES, mistakes, slices
from tests.study.made_results import STUDY, a_cell, made_coverage, made_rows


def a_group(accuracies=(0.6, 0.7, 0.8)):
    coverage = made_coverage({a_cell(seed=seed): value for seed, value in enumerate(accuracies)})
    return curves_of(coverage.found(), coverage.results.rows, STUDY.methods)["lora"][1000]


def test_lengths_negation_and_classes_each_part_all_rows():
    rows = made_rows()

    sizes = {part.name: part.num_rows for part in slices(a_group(), rows, 0.95)}

    lengths = [sizes[name] for name in ("up to 9 words", "10 to 19 words", "20 words or more")]
    assert sum(lengths) == sizes["with a negation"] + sizes["without a negation"] == 400
    assert sizes["class bad"] + sizes["class good"] == 400
    assert sizes["up to 9 words"] == (rows.num_words <= 9).sum()


def test_the_accuracy_of_a_part_is_that_of_its_rows():
    rows, group = made_rows(), a_group()

    found = {part.name: part for part in slices(group, rows, 0.95)}

    expected = group.hits[:, rows.labels == 1].mean()
    accuracy = found["class good"].accuracy
    np.testing.assert_allclose(accuracy.value, expected)
    assert accuracy.low < expected < accuracy.high


def test_the_hardest_rows_are_those_that_most_seeds_get_wrong():
    rows, group = made_rows(), a_group()

    found = mistakes(group, rows, {})

    assert len(found) == MISTAKES
    assert [row.num_wrong for row in found] == sorted((row.num_wrong for row in found), reverse=True)
    assert found[0].num_wrong == 3
    wrong = (~group.hits).sum(axis=0)
    assert all(wrong[row.row_id] == row.num_wrong for row in found)
    for row in found:
        assert row.actual == rows.label_names[rows.labels[row.row_id]]
        assert row.predicted != row.actual
        assert 0 < row.confidence <= 1
        assert row.sentence == ""


def test_a_text_is_shown_where_it_is_given():
    rows, group = made_rows(), a_group()
    texts = {int(row): f"text {row}" for row in rows.row_ids}

    assert all(row.sentence == f"text {row.row_id}" for row in mistakes(group, rows, texts))


def test_a_classifier_that_errs_nowhere_has_no_mistakes():
    assert mistakes(a_group(), made_rows(), {}) != []
    group = a_group()
    perfect = type(group)(results=group.results[:1], labels=group.predicted[0])
    rows = made_rows()
    agreed = type(rows)(
        row_ids=rows.row_ids,
        labels=perfect.labels,
        num_words=rows.num_words,
        negates=rows.negates,
        label_names=rows.label_names,
    )

    assert mistakes(perfect, agreed, {}) == []
