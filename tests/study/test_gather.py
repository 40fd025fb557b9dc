import json
from dataclasses import replace

import numpy as np
import pytest

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.split import Split, write_split
from stages.scoring.tables import write_predictions
from stages.study import gather as room
from stages.study.gather import gather
from stages.study.identity import Computation, Identity
from stages.study.repository import Experiment
from tests.study.made_results import a_cell

PARAMS = {"method": "lora", "train.max_steps": None, "train.epochs": 5, "train.batch_size": 32}
COMPUTATION = Computation(precision="bf16", engine="packed", device="cpu")


@pytest.fixture
def made(tmp_path, monkeypatch):
    """An experiment on two test rows, whose outputs are at hand."""
    monkeypatch.chdir(tmp_path)
    split = Split(row_ids=np.arange(2), sentences=["a film", "not a film"], labels=np.arange(2), label_names=("b", "g"))
    write_split(paths.TEST, split)
    write_split(paths.SUBSET, split)  # of which one row is a part of the other
    for file in (paths.TEST_PREDICTIONS, paths.VALIDATION_PREDICTIONS):
        write_predictions(file, split, np.array([[1, 3], [2, 0.5]], dtype=np.float32))
    paths.DATA_CARD.write_text(json.dumps({"synthetic": True}))
    monkeypatch.setattr(room, "read_outputs", lambda _root, _commit, files: [file.read_bytes() for file in files])
    monkeypatch.setattr(room, "digest_at", lambda _root, commit, cell: f"{commit[:2]} {cell.model}")
    return Experiment(
        name="n1000",
        commit="c" * 40,
        baseline="b" * 40,
        identity=Identity(data="d", params=PARAMS, computation=COMPUTATION, versions={}),
        lock={"stages": {"train": {"params": {"params.yaml": PARAMS}}}},
        metrics={
            paths.POOL_METRICS: {"corpus_version": 1, "pool_balanced_max": 57368},
            paths.SUBSET_METRICS: {"subset_val_any": 7},
            paths.SCORES: {"train_rows": 1000, "epochs_run": 3},
            paths.COST_METRICS: {},
            paths.PROVENANCE_METRICS: {"weights_sha256": "a1"},
        },
        altered=[],
    )


def test_a_cell_is_recorded_with_what_its_stages_said_and_what_is_measured_of_its_outputs(made, tmp_path):
    rows, result = gather(tmp_path, made, a_cell())

    assert rows.num_words.tolist() == [2, 3]
    assert rows.negates.tolist() == [False, True]
    assert result.logits.tolist() == [[0, 2], [0, -1.5]]
    assert result.key == made.identity.key
    told = {name: result.numbers[name] for name in ("data", "synthetic", "pool_rows", "steps", "train_rows")}
    assert told == {"data": "d", "synthetic": True, "pool_rows": 57368, "steps": 96, "train_rows": 1000}
    assert result.numbers["sources"] == 1
    assert result.numbers["claim"] == "cc minilm"


@pytest.mark.parametrize("weights", ["", "a1"])
def test_base_weights_are_recorded_as_the_identity_has_them(made, tmp_path, weights):
    """So that the computation of a recorded cell can be told from its record."""
    identity = replace(made.identity, computation=replace(COMPUTATION, weights=weights))
    _, result = gather(tmp_path, replace(made, identity=identity), a_cell())

    assert result.numbers["weights_sha256"] == weights


def test_an_experiment_that_was_trained_on_another_number_of_rows_is_refused(made, tmp_path):
    with pytest.raises(StudyError, match="experiment n1000 was trained on 1000 rows, not 250"):
        gather(tmp_path, made, a_cell(samples=250))


@pytest.mark.parametrize(("share", "samples"), [(0, 800), (0.2, 1000)])
def test_what_validates_out_of_the_samples_is_part_of_the_cells_size(made, tmp_path, share, samples):
    params = PARAMS | {"subsample.validation_share": share}
    scores = {"train_rows": 800, "val_rows": 200, "epochs_run": 3}
    of_share = replace(
        made,
        lock={"stages": {"train": {"params": {"params.yaml": params}}}},
        metrics={**made.metrics, paths.SCORES: scores},
    )

    _, result = gather(tmp_path, of_share, a_cell(samples=samples))

    assert (result.numbers["train_rows"], result.numbers["steps"]) == (800, 75)
    with pytest.raises(StudyError, match=f"was trained on {samples} rows, not {1800 - samples}"):
        gather(tmp_path, of_share, a_cell(samples=1800 - samples))


def test_an_experiment_whose_outputs_are_gone_gives_nothing(made, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "read_outputs", lambda *_: None)

    assert gather(tmp_path, made, a_cell()) is None
