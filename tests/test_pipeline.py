"""dvc.yaml tells the truth about the code."""

import configparser
import importlib
import json
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import grimp
import pytest

from stages.foundation.files import read_yaml

VIEWS = {
    "check": "stages.check:CheckView",
    "prepare": "stages.corpus.params:PrepareView",
    "subsample": "stages.corpus.params:SubsampleView",
    "train": "stages.methods:TrainView",
    "evaluate": "stages.engine.params:EvaluateView",
    "report": "stages.reporting.params:ReportView",
}
STAGES = list(VIEWS)


@pytest.fixture(scope="module")
def pipeline(repository):
    return read_yaml(repository / "dvc.yaml")["stages"]


@pytest.fixture
def imports():
    """All imports, and those of `stages.methods`, which finds its modules as it is imported."""
    graph = grimp.build_graph("stages")
    for method in graph.find_children("stages.methods"):
        graph.add_import(importer="stages.methods", imported=method)
    return graph


def without_training(graph, repository):
    """The same without what a method imports once it trains or predicts, as .importlinter lists it.

    The report reads what a method says of itself and runs none: which code trains it changes no word of the page.
    """
    contracts = configparser.ConfigParser()
    contracts.read(repository / ".importlinter")
    for line in contracts["importlinter:contract:torch"]["ignore_imports"].split("\n"):
        importer, _, imported = line.partition(" -> ")
        if importer.startswith("stages.methods.") and imported.startswith("stages."):
            for method in graph.find_children("stages.methods"):
                graph.remove_import(importer=method, imported=imported)
    return graph


def keys_of(view, path=""):
    """Dotted keys of all fields, sections opened."""
    hints = get_type_hints(view)
    for field in fields(view):
        if is_dataclass(hints[field.name]):
            yield from keys_of(hints[field.name], f"{path}{field.name}.")
        else:
            yield f"{path}{field.name}"


def names(entries):
    """Paths of outs, metrics or plots, with or without properties."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def test_the_pages_are_the_stages(repository, pipeline):
    pages = {file.stem for file in (repository / "stages").glob("*.py")} - {"__init__"}

    assert list(pipeline) == STAGES
    assert pages == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_every_module_that_a_stage_imports_is_a_dependency(repository, pipeline, imports, stage):
    page = f"stages.{stage}"
    if stage == "report":
        imports = without_training(imports, repository)
    if stage == "prepare":  # refuses what training would, before data are read; its outputs do not hang on it
        imports.remove_import(importer=page, imported="stages.methods")
    deps = pipeline[stage]["deps"]
    for module in {page} | imports.find_upstream_modules(page):
        file = module.replace(".", "/")
        if module == "stages":  # holds a docstring, and what is said of a missing package
            continue
        covered = any(file + ".py" == dep or file == dep or file.startswith(f"{dep}/") for dep in deps)
        assert covered, f"{stage} imports {module}, which dvc.yaml does not list"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_the_params_that_it_reads_and_no_other(pipeline, stage):
    module, name = VIEWS[stage].split(":")
    view = getattr(importlib.import_module(module), name)

    assert sorted(keys_of(view)) == sorted(pipeline[stage]["params"])


def test_every_key_of_params_yaml_is_declared(repository, pipeline):
    declared = {"study"} | {key for stage in pipeline.values() for key in stage["params"]}

    def check(tree, path=""):
        for name, value in tree.items():
            key = f"{path}{name}"
            if key not in declared:
                assert isinstance(value, dict), f"no stage declares {key}"
                check(value, f"{key}.")

    check(read_yaml(repository / "params.yaml"))


def test_training_can_be_restored_from_any_cache(pipeline):
    """An uncached file would keep a colleague's clone from restoring the stage."""
    assert {"metrics", "plots"}.isdisjoint(pipeline["train"])
    assert all(isinstance(out, str) for out in pipeline["train"]["outs"])


@pytest.mark.parametrize("stage", ["prepare", "subsample", "evaluate"])
def test_uncached_files_are_metrics_or_plots_so_that_the_run_cache_works(pipeline, stage):
    assert all(isinstance(out, str) for out in pipeline[stage]["outs"])


def test_no_stage_that_the_run_cache_restores_hangs_on_a_file_inside_a_folder_of_another(pipeline):
    """In a clone that lacks that folder of its own dvc.lock DVC then fails to load it, although the stage is cached."""
    made = [path for stage in pipeline.values() for path in names(stage.get("outs", []))]
    restored = [stage for stage in pipeline.values() if all(isinstance(out, str) for out in stage["outs"])]

    assert len(restored) == 4
    for stage in restored:
        assert not [dep for dep in stage["deps"] for path in made if dep.startswith(f"{path}/")]


def test_validation_and_test_do_not_move_with_the_experiment(pipeline):
    assert {"samples", "seed", "model", "method"}.isdisjoint(pipeline["prepare"]["params"])


def test_no_metric_bears_the_name_of_a_param(repository, pipeline):
    params = {key.split(".")[-1] for stage in pipeline.values() for key in stage["params"]}
    metrics = [path for stage in pipeline.values() for path in names(stage.get("metrics", []))]

    assert metrics
    for path in metrics:
        assert params.isdisjoint(json.loads((repository / path).read_text()))


def test_the_report_needs_nothing_that_trains(repository, pipeline, imports):
    read = without_training(imports, repository).find_upstream_modules("stages.report")

    assert "stages.methods.lora" in read
    assert {"stages.engine.classifier", "stages.engine.training.loop"}.isdisjoint(read)
    assert "stages/engine" not in pipeline["report"]["deps"]


def test_each_copy_of_the_workspace_is_checked_first(repository, pipeline):
    """What the first stage writes is in neither Git nor the cache, so that it is lacking wherever DVC makes a copy."""
    assert pipeline["check"]["outs"] == [{"data/checked.json": {"cache": False}}]
    assert "/checked.json" in (repository / "data/.gitignore").read_text().splitlines()
    assert "data/checked.json" in pipeline["prepare"]["deps"]
