import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from stages.foundation import paths
from stages.methods import METHODS
from stages.study.cells import VARIED
from stages.study.collect import Coverage, take_stock
from stages.study.identity import Workspace
from stages.study.repository import Experiment, git
from tests.pages.workspace import write_params
from tests.study.made_results import a_cell, made_coverage

SCIKIT_LEARN = METHODS["tfidf"].computation


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


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The experiment of one cell, in a project of its own."""
    monkeypatch.chdir(tmp_path)
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


def stock(*there):
    return take_stock(Path(), [a_cell("tfidf")], {"tfidf": [SCIKIT_LEARN]}, there)


def test_an_experiment_with_metrics_of_another_run_leaves_its_cell_unfinished_and_is_named(made):
    altered = replace(made, name="by-hand", metrics={paths.SCORES: {}}, altered=[paths.SCORES])

    coverage = stock(altered)

    assert coverage.missing == [a_cell("tfidf")]
    assert coverage.stale == ["by-hand (bbbbbbb): metrics/scores.json as committed is not what its dvc.lock records"]
    assert coverage.num_test_rows is None


def test_a_sound_experiment_of_the_same_cell_counts(made):
    altered = replace(made, name="by-hand", metrics={paths.SCORES: {}}, altered=[paths.SCORES])

    for there in ([made, altered], [altered, made]):
        coverage = stock(*there)
        assert coverage.missing == []
        assert list(coverage.finished.values()) == [made]
        assert coverage.num_test_rows == 9
