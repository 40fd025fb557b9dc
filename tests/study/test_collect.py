import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.study import collect
from stages.study.cells import VARIED
from stages.study.collect import Coverage, recorded_study, take_stock
from stages.study.identity import Workspace
from stages.study.repository import Experiment, git
from stages.study.resolve import SCIKIT_LEARN
from stages.study.store import Results, write_results
from tests.pages.workspace import write_params
from tests.study.made_results import a_cell, made_coverage, made_result, made_rows

ROWS = made_rows()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def record(*results):
    write_results("mine", Results(rows=ROWS, by_key={result.key: result for result in results}))


def seeds(number, method="lora", **numbers):
    return [made_result(a_cell(method, seed=seed), ROWS, 0.7, **numbers) for seed in range(1, number + 1)]


def test_recorded_cells_of_one_version_make_a_study_without_any_workspace():
    record(*seeds(2))

    coverage = recorded_study("mine", ["auto"])

    assert set(coverage.found()) == {a_cell(seed=1), a_cell(seed=2)}
    assert coverage.missing == []
    assert coverage.num_test_rows == 400


@pytest.mark.parametrize("differs", ["training_version", "method_version", "data", "protocol"])
def test_recorded_cells_of_several_versions_are_not_mixed(differs):
    record(*seeds(2), made_result(a_cell(seed=3), ROWS, 0.7, **{differs: 2}))

    coverage = recorded_study("mine", ["auto"])

    assert {cell.seed for cell in coverage.cells} == {1, 2}
    assert coverage.stale == (
        "mine-minilm-lora-n1000-s3 (c0ffeec, bf16): other data, params, version or number format",
    )


def test_each_method_may_have_a_protocol_of_its_own():
    """Their params differ; only the data and the model are common."""
    record(*seeds(2), *seeds(1, "tfidf", protocol="other", precision_used="fp64", training_version=""))

    assert {cell.method for cell in recorded_study("mine", ["auto"]).cells} == {"lora", "tfidf"}


def test_number_formats_are_not_mixed_unasked():
    record(*seeds(2), made_result(a_cell(seed=3), ROWS, 0.7, precision_used="fp32"))

    with pytest.raises(StudyError, match=r"2 in bf16 and 1 in fp32.*`--precisions bf16,fp32` pools them"):
        recorded_study("mine", ["auto"])
    assert {cell.seed for cell in recorded_study("mine", ["bf16"]).cells} == {1, 2}
    assert {cell.seed for cell in recorded_study("mine", ["fp32"]).cells} == {3}


def test_where_formats_are_pooled_the_first_one_named_is_taken_and_the_other_is_at_hand():
    halves, whole = seeds(1), seeds(1, precision_used="fp32")
    record(*halves, *whole)

    for order in (["bf16", "fp32"], ["fp32", "bf16"]):
        coverage = recorded_study("mine", order)
        assert coverage.found()[a_cell()].precision == order[0]
        assert [result.precision for result in coverage.in_each_precision(a_cell())] == order


def test_a_cell_is_missing_until_one_of_its_keys_has_a_result():
    coverage = made_coverage({a_cell(): 0.7, a_cell(seed=2): None})
    assert coverage.missing == [a_cell(seed=2)]

    either: Coverage = replace(coverage, cells={a_cell(): ["another", *coverage.cells[a_cell()]]})
    assert either.missing == []
    assert set(either.found()) == {a_cell()}


@pytest.fixture
def made(tmp_path):
    """The experiment of one cell, in a project of its own."""
    git(tmp_path, "init", "-q")
    subprocess.run(["dvc", "init", "-q"], check=True, capture_output=True)
    write_params({"prepare.validation_rows": 40})
    workspace, cell = Workspace(Path()), a_cell("tfidf")
    params = dict(zip(VARIED, workspace.varied(cell), strict=True))
    return Experiment(
        name="n1000",
        commit="c" * 40,
        baseline="b" * 40,
        identity=workspace.identity(cell, SCIKIT_LEARN, data=""),
        lock={"stages": {"train": {"params": {"params.yaml": params}}}},
        metrics={paths.SCORES: {"test_rows": 9}},
        altered=[],
    )


def stock(monkeypatch, *there):
    monkeypatch.setattr(collect, "experiments", lambda _: list(there))
    return take_stock(Path(), [a_cell("tfidf")], {"tfidf": [SCIKIT_LEARN]})


def test_an_experiment_with_metrics_of_another_run_leaves_its_cell_unfinished_and_is_named(made, monkeypatch):
    altered = replace(made, name="by-hand", metrics={paths.SCORES: {}}, altered=[paths.SCORES])

    coverage = stock(monkeypatch, altered)

    assert coverage.missing == [a_cell("tfidf")]
    assert coverage.stale == ["by-hand (bbbbbbb): metrics/scores.json as committed is not what its dvc.lock records"]
    assert coverage.num_test_rows is None


def test_a_sound_experiment_of_the_same_cell_counts(made, monkeypatch):
    altered = replace(made, name="by-hand", metrics={paths.SCORES: {}}, altered=[paths.SCORES])

    for there in ([made, altered], [altered, made]):
        coverage = stock(monkeypatch, *there)
        assert coverage.missing == []
        assert list(coverage.finished.values()) == [made]
        assert coverage.num_test_rows == 9


def test_without_a_record_the_study_is_empty():
    assert recorded_study("mine", ["auto"]).cells == {}
