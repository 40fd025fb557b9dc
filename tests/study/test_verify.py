from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.foundation.errors import StudyError
from stages.study import verify as module
from stages.study.verify import PREFIX, verify
from tests.study.made_results import a_cell, made_coverage, rising


@pytest.fixture
def again(monkeypatch):
    """Experiments whose logits are the recorded ones and something more; gives what was asked of whom."""
    asked, removed, coverage = [], [], made_coverage(rising("lora", [250, 500]) | {a_cell("tfidf"): None})
    added = {}

    def run_once(root, cell, computation, *, prefix, threads):
        asked.append((cell, computation.precision, threads))
        return f"{prefix}{cell.name}"

    def read_outputs(root, commit, files):
        name = commit.removeprefix(f"commit-of-{PREFIX}")
        (result,) = (one for one in coverage.results.by_key.values() if one.cell.name == name)
        logits = result.logits + np.array([0.0, added.get(name, 0.0)], dtype=np.float32)
        rows = coverage.results.rows
        told = {"row_id": rows.row_ids, "label": rows.labels}
        frame = pd.DataFrame(told | {"logit_0": logits[:, 0], "logit_1": logits[:, 1]})
        frame.to_parquet(content := BytesIO())
        return [content.getvalue()]

    def git(root, command, *words):
        if command == "rev-parse":
            return "aa" + 38 * "b"
        if command == "update-ref":
            removed.append(words[-1])
            return ""
        name = words[-1].rpartition("/")[2]
        return f"commit-of-{name}\n"

    for name, stand_in in (("run_once", run_once), ("read_outputs", read_outputs), ("git", git)):
        monkeypatch.setattr(module, name, stand_in)
    return coverage, added, asked, removed


def test_cells_that_come_out_the_same_are_said_to_and_leave_no_experiment(again, capsys):
    coverage, _, asked, removed = again

    verify(Path(), coverage, number=2, seed=7)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 of 6 recorded cells, drawn with seed 7, run again:"
    assert all(line.endswith("(c0ffeec, bf16): the same bit for bit") for line in lines[1:3])
    assert lines[3] == "largest difference: the same bit for bit"
    assert {precision for _, precision, _ in asked} == {"bf16"}, "in the number format of the record"
    assert {threads for *_, threads in asked} == {1}, "with the threads of the record"
    assert sorted(removed) == sorted(f"refs/exps/aa/{38 * 'b'}/{PREFIX}{cell.name}" for cell, *_ in asked)


def test_the_largest_differences_are_told(again, capsys):
    coverage, added, asked, _ = again
    added["mine-minilm-lora-n250-s1"] = 0.5

    verify(Path(), coverage, number=99, seed=1)

    *_, last = capsys.readouterr().out.splitlines()
    assert len(asked) == 6
    assert last.startswith("largest difference: logits off by 5.0e-01 at most, another class for ")
    assert " for 0 test rows" not in last


def test_the_same_seed_draws_the_same_cells(again):
    coverage, _, asked, _ = again

    for _ in range(2):
        verify(Path(), coverage, number=3, seed=2)

    assert asked[:3] == asked[3:]


def test_without_a_recorded_cell_there_is_nothing_to_verify():
    with pytest.raises(StudyError, match="no recorded cell of this grid has today's data, params and numerical ver"):
        verify(Path(), made_coverage({a_cell(): None}), number=3, seed=1)
