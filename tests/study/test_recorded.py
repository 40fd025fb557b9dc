"""Which recorded cells make one study."""

from dataclasses import replace

import pytest

from stages.foundation.errors import StudyError
from stages.study import recorded
from stages.study.recorded import Place
from stages.study.store import Results, write_results
from tests.study.made_results import a_cell, made_result, made_rows

ROWS = made_rows()
TFIDF = {"precision_used": "fp64", "engine_used": "scikit-learn", "training_version": ""}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def record(*results):
    write_results("mine", Results(rows=ROWS, by_key={result.key: result for result in results}))


def seeds(number, method="lora", model="minilm", **numbers):
    cells = [replace(a_cell(method, seed=seed), model=model) for seed in range(1, number + 1)]
    made = [made_result(cell, ROWS, 0.7, **numbers) for cell in cells]
    return [replace(result, key=f"{result.key} {sorted(numbers.items())}") for result in made]


def recorded_study(dataset, precisions, *, model="minilm", **place):
    return recorded.recorded_study(dataset, precisions, model=model, place=Place(**place))


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
    record(*seeds(2), *seeds(1, "tfidf", protocol="other", **TFIDF))

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


def test_without_a_record_the_study_is_empty():
    assert recorded_study("mine", ["auto"]).cells == {}


@pytest.mark.parametrize("place", [Place(engine="plain", device="cpu"), Place(engine="packed", device="cuda")])
def test_engines_and_devices_are_never_mixed_and_what_is_left_out_is_told_with_how_to_choose_it(place, capsys):
    record(*seeds(3), *seeds(2, engine_used=place.engine, device_used=place.device), *seeds(1, "tfidf", **TFIDF))

    most = recorded_study("mine", ["auto"])
    told = capsys.readouterr().out
    other = recorded_study("mine", ["auto"], engine=place.engine, device=place.device)

    assert {cell.seed for cell in most.cells if cell.method == "lora"} == {1, 2, 3}
    assert {result.computation.engine for result in most.found().values()} == {"packed", "scikit-learn"}
    assert told == f"left out: {most.stale[0]}\n"
    assert most.stale == (
        f"2 cells by {place}, since engines and devices are never mixed: "
        f"`--engine {place.engine} --device {place.device}` shows those instead",
    )
    lora = {cell: result for cell, result in other.found().items() if cell.method == "lora"}
    assert {cell.seed for cell in lora} == {1, 2}
    assert {str(Place(engine=one.computation.engine, device=one.computation.device)) for one in lora.values()} == {
        str(place)
    }
    assert a_cell("tfidf") in other.cells


def test_a_cell_of_two_devices_is_one_result_and_no_twin_of_itself():
    record(*seeds(2), *seeds(2, device_used="cuda", precision_used="fp32"), *seeds(1, "full"))

    coverage = recorded_study("mine", ["bf16", "fp32"])

    assert [len(coverage.in_each_precision(cell)) for cell in coverage.cells] == [1, 1, 1]
    assert {result.precision for result in coverage.found().values()} == {"bf16"}


def test_a_method_of_which_the_common_engine_has_no_cell_keeps_its_own_on_the_common_device():
    elsewhere = seeds(2, "head", engine_used="plain", device_used="cuda")
    record(*seeds(3), *seeds(1, "full", engine_used="plain"), *elsewhere)

    found = recorded_study("mine", ["auto"]).found()

    assert {(cell.method, result.computation.engine) for cell, result in found.items()} == {
        ("lora", "packed"),
        ("full", "plain"),
    }


def test_formats_of_which_only_one_is_left_on_the_device_are_no_mixture():
    record(*seeds(3), *seeds(1, device_used="cuda", precision_used="fp32"))

    assert {cell.seed for cell in recorded_study("mine", ["auto"]).cells} == {1, 2, 3}


@pytest.mark.parametrize("model", ["minilm", "mpnet"])
def test_of_two_models_the_one_asked_for_is_shown_and_cells_that_no_model_decides_count_for_both(model, capsys):
    record(*seeds(2), *seeds(5, model="mpnet", protocol="1b1b"), *seeds(3, "tfidf", **TFIDF))

    found = recorded_study("mine", ["auto"], model=model).found()

    assert {cell.model for cell in found} == {result.cell.model for result in found.values()} == {model}
    assert sum(cell.method == "tfidf" for cell in found) == 3
    assert sum(cell.method == "lora" for cell in found) == {"minilm": 2, "mpnet": 5}[model]
    number, other = {"minilm": (5, "mpnet"), "mpnet": (2, "minilm")}[model]
    assert capsys.readouterr().out == (
        f"shown: {model}; {number} recorded cells are of another model: `--model {other}` shows them\n"
    )


def test_a_model_of_which_nothing_is_recorded_is_told_with_those_that_there_are():
    record(*seeds(2), *seeds(3, "tfidf", **TFIDF))

    with pytest.raises(StudyError, match=r"no recorded cell of mine is of the model mpnet; `--model minilm` shows "):
        recorded_study("mine", ["auto"], model="mpnet")


def test_cells_that_no_model_decides_need_none_that_is_recorded():
    record(*seeds(2, "tfidf", **TFIDF))

    assert len(recorded_study("mine", ["auto"], model="mpnet").found()) == 2


def test_in_the_format_asked_for_the_version_of_most_of_its_cells_counts():
    record(*seeds(3, precision_used="fp32"), *seeds(2, training_version=2))

    assert len(recorded_study("mine", ["bf16"]).cells) == 2
