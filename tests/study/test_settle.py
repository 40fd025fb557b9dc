"""The looks, with cells that are made up in no time."""

import time
from dataclasses import replace

import pytest

from stages.foundation.errors import StudyError
from stages.reporting.study.findings import Claim
from stages.study import settle as room
from stages.study.claim import ClaimFile
from stages.study.runner import LocalWorkers, Made
from stages.study.settle import Settling, settle
from tests.study.made_results import made_coverage, made_result

FIXED = ClaimFile(
    dataset="mine",
    data="0123.dir",
    test_rows=400,
    model="minilm",
    protocol="seed",
    tuned=False,
    methods=["lora", "full"],
    sizes=[1000, 4000],
    margins=[0.05],
    alpha=0.05,
    seeds=[1, 2, 3, 4, 5],
    looks=[2, 3, 5],
)
CLAIM = Claim(
    file="metrics/study/mine-minilm.claim.yaml",
    digest="c1a1",
    data="0123.dir",
    protocol="seed",
    tuned=False,
    sizes=(1000, 4000),
    margins=(0.05,),
    alpha=0.05,
    seeds=(1, 2, 3, 4, 5),
    looks=(2, 3, 5),
)


class Study:
    """Cells that become true as soon as they are asked for; `accuracies` by method and size."""

    def __init__(self, monkeypatch, accuracies, *, failing=(), **changes):
        self.accuracies, self.made, self.failing = accuracies, {}, failing
        self.asked = replace(
            Settling(
                root=None,
                fixed=FIXED,
                claim=CLAIM,
                values={},
                computations={"lora": [None], "full": [None]},
                workers=LocalWorkers(1),
                until=None,
                stock=self._stock,
            ),
            **changes,
        )
        monkeypatch.setattr(room, "make_cells", self._make)

    def _make(self, _, cells, *__, **___):
        for cell in cells:
            if cell.seed not in self.failing:
                self.made[cell] = self.accuracies[cell.method, cell.samples]
        return [
            Made(cell=cell, seconds=1.0, complaint="out of memory", outcome="") for cell in cells - self.made.keys()
        ]

    def _stock(self, cells):
        coverage = made_coverage({cell: self.made.get(cell) for cell in cells})
        rows = coverage.results.rows
        results = {
            result.key: made_result(result.cell, rows, self.made[result.cell], claim="c1a1")
            for result in coverage.results.by_key.values()
        }
        return replace(coverage, results=replace(coverage.results, by_key=results))

    def seeds_at(self, samples):
        return {cell.seed for cell in self.made if cell.samples == samples}

    def settle(self, capsys):
        settle(self.asked)
        return capsys.readouterr().out.replace("\N{NARROW NO-BREAK SPACE}", " ")


PLAIN = {("lora", 1000): 0.6, ("full", 1000): 0.9, ("lora", 4000): 0.8, ("full", 4000): 0.83}


def test_a_size_that_is_settled_gets_no_more_seeds_and_the_others_go_on(monkeypatch, capsys):
    study = Study(monkeypatch, PLAIN)
    text = study.settle(capsys)

    assert study.seeds_at(1000) < study.seeds_at(4000)
    assert "1,000 labels, 2 seeds: LoRA less full fine-tuning " in text
    assert "margin 5.0: inferior" in text
    assert "margin 5.0: open, a chance of " in text
    assert text.splitlines()[-1] == "looks used 14 cells of the 20 that 5 seeds at every size would take"


def test_every_cell_is_of_a_look_and_none_is_made_twice(monkeypatch, capsys):
    study = Study(monkeypatch, PLAIN)
    study.settle(capsys)
    before = dict(study.made)

    for samples in FIXED.sizes:
        for method in FIXED.methods:
            seeds = {cell.seed for cell in study.made if (cell.samples, cell.method) == (samples, method)}
            assert seeds in ({1, 2}, {1, 2, 3}, {1, 2, 3, 4, 5})
    assert "0 cells made now" in study.settle(capsys)
    assert study.made == before


def test_cells_that_fail_are_named_and_the_same_command_goes_on(monkeypatch, capsys):
    study = Study(monkeypatch, PLAIN, failing=(2,))
    with pytest.raises(StudyError, match=r"2 cells failed: (mine-minilm-(lora|full)-n1000-s2(, |;)){2}"):
        study.settle(capsys)

    study.failing = ()
    assert "margin 5.0: inferior" in study.settle(capsys)


def test_without_time_for_a_look_none_begins_and_what_it_would_take_is_told(monkeypatch, capsys):
    study = Study(monkeypatch, PLAIN)
    study.settle(capsys)  # so that the time of a cell is known
    kept = {cell: value for cell, value in study.made.items() if cell.seed < 4}
    study.made = dict(kept)
    study.asked = replace(study.asked, until=time.monotonic() + 1)
    text = study.settle(capsys)

    assert study.made == kept
    assert "not settled within the time; 4 cells to its next look, some " in text
