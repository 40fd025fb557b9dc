"""Which recorded cells make one study."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from stages.foundation.errors import StudyError
from stages.study import __main__ as commands
from stages.study import recorded, report
from stages.study.identity import Workspace
from stages.study.recorded import Place
from stages.study.store import Results, write_results
from tests.pages.workspace import write_params
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


def recorded_study(dataset, precisions, *, model="minilm", protocol="seed", tuned=None, **place):
    place = Place(**place)
    return recorded.recorded_study(dataset, precisions, model=model, protocol=protocol, tuned=tuned, place=place)


def test_recorded_cells_of_one_version_make_a_study_without_any_workspace():
    record(*seeds(2))

    coverage = recorded_study("mine", ["auto"])

    assert set(coverage.found()) == {a_cell(seed=1), a_cell(seed=2)}
    assert coverage.missing == []
    assert coverage.num_test_rows == 400


@pytest.mark.parametrize("differs", ["training_version", "method_version", "data", "params_digest"])
def test_recorded_cells_of_several_versions_are_not_mixed(differs):
    record(*seeds(2), made_result(a_cell(seed=3), ROWS, 0.7, **{differs: 2}))

    coverage = recorded_study("mine", ["auto"])

    assert {cell.seed for cell in coverage.cells} == {1, 2}
    assert coverage.stale == (
        "mine-minilm-lora-n1000-s3 (c0ffeec, bf16): other data, params, version or number format",
    )


def of_protocol(protocol, *results):
    return [
        replace(result, cell=replace(result.cell, protocol=protocol), key=f"{result.key}, {protocol}")
        for result in results
    ]


def test_one_protocol_is_shown_and_the_other_named(capsys):
    record(*seeds(2), *of_protocol("trained", *seeds(3)), *seeds(1, "tfidf", **TFIDF))

    by_method = Counter((cell.method, cell.protocol) for cell in recorded_study("mine", ["auto"]).cells)
    assert by_method == {("lora", "seed"): 2, ("tfidf", "seed"): 1}
    assert "shown: protocol seed; 3 recorded cells are of trained: `--protocol trained`" in capsys.readouterr().out
    by_method = Counter(
        (cell.method, cell.protocol) for cell in recorded_study("mine", ["auto"], protocol="trained").cells
    )
    assert by_method == {("lora", "trained"): 3, ("tfidf", "seed"): 1}


def test_a_protocol_of_which_nothing_is_recorded_is_refused_with_the_other():
    record(*seeds(2))

    with pytest.raises(StudyError, match="no recorded cell is of the protocol trained; `--protocol seed` shows those"):
        recorded_study("mine", ["auto"], protocol="trained")


def test_tuned_cells_and_others_are_not_mixed(capsys):
    tuned = [
        replace(result, cell=replace(result.cell, tuned=value), key=f"{result.key} {value}")
        for value in (1e-3, 2e-3)
        for result in seeds(3)
    ]
    record(*seeds(2), *tuned)

    assert {cell.tuned for cell in recorded_study("mine", ["auto"]).cells} == {None}
    assert "left out: 6 recorded cells with other values of what is tuned" in capsys.readouterr().out
    kept = recorded_study("mine", ["auto"], tuned={("lora", 1000): 2e-3}).cells
    assert [(cell.tuned, cell.seed) for cell in kept] == [(2e-3, 1), (2e-3, 2), (2e-3, 3)]


def test_each_method_may_have_params_of_its_own():
    """Their params differ; only the data and the model are common."""
    record(*seeds(2), *seeds(1, "tfidf", params_digest="other", **TFIDF))

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
    record(*seeds(2), *seeds(5, model="mpnet", params_digest="1b1b"), *seeds(3, "tfidf", **TFIDF))

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


@pytest.fixture
def grid(monkeypatch):
    """A repository without data, models or a cache; gives what records cells of today, and what gives a command."""
    grid = {"study.sizes": [1000], "study.seeds": [1, 2], "study.methods": ["lora", "tfidf"], "study.protocol": "seed"}
    write_params({"dataset": "mine"} | grid)
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@x.y"]
    for words in (["git", "init", "-q"], ["dvc", "init", "-q"], [*git, "commit", "-qm", "m", "--allow-empty"]):
        subprocess.run(words, check=True, capture_output=True)
    reported = []
    monkeypatch.setattr(report, "write_report", lambda coverage, *_, **__: reported.append(coverage))
    monkeypatch.setattr("stages.study.resolve._ask_engine", lambda *_: pytest.fail("the engine was asked"))

    def record_today(*results):
        today = Workspace(Path())
        keys = [today.identity(one.cell, one.computation, data=one.numbers["data"]).key for one in results]
        record(*(replace(result, key=key) for result, key in zip(results, keys, strict=True)))

    def study(*words):
        monkeypatch.setattr(sys, "argv", ["study", *words])
        commands.main()
        return reported.pop() if reported else None

    return record_today, study


def test_a_report_of_the_grid_takes_the_format_that_there_is_and_asks_no_engine(grid):
    record_today, study = grid
    record_today(*seeds(2, precision_used="fp32"), *seeds(1, "tfidf", **TFIDF))

    coverage = study("report")

    assert {result.precision for result in coverage.found().values()} == {"fp32", "fp64"}
    assert coverage.missing == [a_cell("tfidf", seed=2)]


def test_a_report_of_the_grid_in_two_formats_waits_to_be_told_which(grid):
    record_today, study = grid
    record_today(*seeds(2), *seeds(1, precision_used="fp32"))

    with pytest.raises(SystemExit, match=r"2 in bf16 and 1 in fp32.*`--precisions bf16,fp32` pools them"):
        study("report")
    both = study("report", "--precisions", "fp32,bf16")
    assert [result.precision for result in both.in_each_precision(a_cell())] == ["fp32", "bf16"]
    assert [result.precision for result in both.found().values()] == ["fp32", "bf16"]


def test_a_report_of_the_grid_mixes_no_devices_and_calls_the_others_missing(grid, capsys):
    record_today, study = grid
    record_today(*seeds(2), *seeds(1, device_used="cuda"))

    coverage, told = study("report", "--methods", "lora"), capsys.readouterr().out
    other = study("report", "--methods", "lora", "--device", "cuda")

    assert told.startswith("left out: 1 cell by packed on cuda, since engines and devices are never mixed: ")
    assert {result.computation.device for result in coverage.found().values()} == {"cpu"}
    assert {result.computation.device for result in other.found().values()} == {"cuda"}
    assert other.missing == [a_cell(seed=2)]


def test_a_report_of_a_method_of_which_there_is_nothing_leaves_the_record_alone(grid):
    record_today, study = grid
    record_today(*seeds(2))

    coverage = study("report", "--methods", "full")

    assert coverage.missing == [a_cell("full", seed=1), a_cell("full", seed=2)]
    assert len(coverage.results.by_key) == 2


def test_a_recorded_cell_of_another_version_says_what_differs_from_the_nearest_that_counts(grid):
    record_today, study = grid
    record_today(*seeds(2))
    record(*seeds(1, precision_used="fp32", training_version=0), *seeds(1))

    assert "1 recorded cell (c0ffeec, fp32): other numerical version, other params" in study("report").stale


@pytest.mark.parametrize("command", ["plan", "run"])
def test_what_no_model_decides_is_finished_already_for_another_model(grid, command, capsys, monkeypatch):
    record_today, study = grid
    record_today(*seeds(2, "tfidf", **TFIDF))
    monkeypatch.setattr(commands, "make_cells", lambda _, cells, *__, **___: pytest.fail(str(cells)) if cells else [])

    study(command, "--methods", "tfidf", "--model", "bert-base-uncased")

    assert capsys.readouterr().out.startswith(
        {"plan": "2 cells: 2 finished, 0 missing\n", "run": "2 cells, 2 finished, 0 to make\n"}[command]
    )


def test_of_a_folder_whose_weights_changed_a_report_shows_the_cells_of_most_and_names_the_others(grid):
    _, study = grid
    today, made = Workspace(Path()), []
    for result in [*seeds(2, model="./own", weights_sha256="a1"), *seeds(1, model="./own", weights_sha256="b2")]:
        made.append(replace(result, key=today.identity(result.cell, result.computation, data="0123.dir").key))
    record(*made)

    coverage = study("report", "--methods", "lora", "--model", "./own")

    assert {result.computation.weights for result in coverage.found().values()} == {"a1"}
    assert len(coverage.found()) == 2
    assert coverage.missing == []
    assert coverage.stale == ("1 recorded cell (c0ffeec, bf16): other base weights",)
