import pytest

from stages.study.gather import recorded_study
from stages.study.results import Results, write_results
from tests.study.made_results import a_cell, made_result, made_rows


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_recorded_cells_of_one_version_make_a_study_without_any_workspace():
    rows = made_rows()
    made = [made_result(a_cell(seed=seed), rows, 0.7) for seed in (1, 2)]
    write_results("mine", Results(rows=rows, by_key={result.key: result for result in made}))

    standing = recorded_study("mine")

    assert set(standing.found()) == {a_cell(seed=1), a_cell(seed=2)}
    assert standing.missing == []
    assert standing.num_test_rows == 400


@pytest.mark.parametrize("differs", ["code", "data", "protocol"])
def test_recorded_cells_of_several_versions_are_not_mixed(differs):
    rows = made_rows()
    made = [made_result(a_cell(seed=seed), rows, 0.7) for seed in (1, 2)]
    made.append(made_result(a_cell(seed=3), rows, 0.7, **{differs: "other"}))
    write_results("mine", Results(rows=rows, by_key={result.key: result for result in made}))

    standing = recorded_study("mine")

    assert {cell.seed for cell in standing.cells} == {1, 2}
    assert standing.stale == ("mine-minilm-lora-n1000-s3 (c0ffeec): another version",)


def test_without_a_record_the_study_is_empty():
    assert recorded_study("mine").cells == {}
