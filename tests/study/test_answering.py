"""The loop, with cells that are made up in no time."""

import time

import pytest

from stages.foundation.errors import StudyError
from stages.study import answering, report
from stages.study.answering import Answering, State, advise, answer_within
from stages.study.budget import Budget
from stages.study.runner import Made
from tests.study.made_results import a_cell, made_coverage, made_rows, rising, with_study

METHODS = ("tfidf", "lora")
SIZES = (500, 1000, 2000)


def rows(_, samples):
    return float(samples)


class Study:
    """Cells that become true as soon as they are asked for."""

    def __init__(self, monkeypatch, tmp_path, *, failing=(), seeds=(1, 2), left=1e6, fake_pages=True):
        self.accuracies, self.asked, self.written = {}, [], []
        self.failing, self.cells_left = failing, None
        self.answering = Answering(
            root=tmp_path,
            study=with_study(protocol="seed", methods=list(METHODS)),
            dataset="mine",
            model="minilm",
            budget=Budget(sizes=SIZES, methods=METHODS, seeds=seeds, work=rows),
            every=SIZES,
            computations={method: [None] for method in METHODS},
            until=time.monotonic() + left,
        )
        monkeypatch.setattr(answering, "make_cell", self._make)
        monkeypatch.setattr(Answering, "stock", lambda *_: made_coverage(self.accuracies, made_rows()))
        if fake_pages:
            monkeypatch.setattr(answering, "_write", lambda _, state: self.written.append(state))

    def _make(self, _, cell, *__, **___):
        self.asked.append(cell)
        if self.cells_left is not None and len(self.asked) > self.cells_left:
            return None
        if cell.method in self.failing:
            return Made(cell=cell, seconds=1.0, complaint="out of memory", outcome="")
        better = 0.15 if cell.method == "lora" else 0.0
        self.accuracies[cell] = 0.6 + 0.03 * SIZES.index(cell.samples) + better
        return Made(cell=cell, seconds=cell.samples / 100 + 5, complaint="", outcome="test accuracy")

    def answer(self, capsys):
        answer_within(self.answering)
        return capsys.readouterr().out.replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_it_trains_until_nothing_is_left_and_answers(monkeypatch, tmp_path, capsys):
    study = Study(monkeypatch, tmp_path)
    text = study.answer(capsys)

    assert {cell.method for cell in study.asked[:3]} == {"tfidf"}
    assert {(cell.samples, cell.seed) for cell in study.asked if cell.method == "lora"} == {
        (size, seed) for size in SIZES for seed in (1, 2)
    }
    assert "so far: tfidf, " in text
    assert "Train with lora now: 80" in text
    assert "2,000 more (4,000 in all) " in text
    assert study.written


def test_given_again_it_makes_no_cell_twice(monkeypatch, tmp_path, capsys):
    study = Study(monkeypatch, tmp_path)
    first = study.answer(capsys).split("\n\n")[-1]
    number = len(study.asked)

    assert study.answer(capsys).split("\n\n")[-1] == first
    assert len(study.asked) == number


def test_a_method_that_fails_is_tried_once_and_named(monkeypatch, tmp_path, capsys):
    study = Study(monkeypatch, tmp_path, failing=("lora",))
    text = study.answer(capsys)

    assert [cell.method for cell in study.asked].count("lora") == 1
    assert "Train with tfidf now" in text
    assert "Not compared, so perhaps better: lora (it failed: out of memory)." in text


def test_a_cell_whose_time_is_over_ends_it_with_the_answer_of_the_others(monkeypatch, tmp_path, capsys):
    study = Study(monkeypatch, tmp_path)
    study.cells_left = 4
    text = study.answer(capsys)

    assert len(study.asked) == 5
    assert "not finished in time; the next call goes on with it" in text
    assert "Train with lora now" in text


def test_the_end_keeps_its_time_and_more_of_it_on_a_slow_machine(monkeypatch, tmp_path):
    asked = Study(monkeypatch, tmp_path, left=600).answering

    assert asked.left(15.0) == pytest.approx(570, abs=5)
    assert asked.left(80.0) == pytest.approx(540, abs=5)


def test_without_time_for_a_cell_it_says_what_to_do(monkeypatch, tmp_path):
    with pytest.raises(StudyError, match="no cell was finished in this time; give the same command again"):
        answer_within(Study(monkeypatch, tmp_path, left=5).answering)


def test_without_any_sound_method_it_says_why(monkeypatch, tmp_path):
    with pytest.raises(StudyError, match="tfidf: out of memory; lora: out of memory"):
        answer_within(Study(monkeypatch, tmp_path, failing=METHODS).answering)


def test_the_page_and_the_record_are_of_the_finished_cells(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    study, pages = Study(monkeypatch, tmp_path, fake_pages=False), []
    monkeypatch.setattr(report, "write_pages", lambda coverage, *_, **told: pages.append((coverage, told)))
    study.accuracies = rising("tfidf", SIZES, (1,)) | {a_cell("lora", 500, 1): None}
    study.cells_left = 0
    study.answer(capsys)
    (coverage, _), *_ = pages

    assert coverage.missing == []
    assert len(coverage.cells) == 3
    assert (tmp_path / "metrics/study/mine.csv").read_text().count("tfidf") >= 3


def test_cells_that_were_not_trained_enough_are_compared_with_nothing(monkeypatch, tmp_path):
    study = Study(monkeypatch, tmp_path)
    cells = rising("tfidf", SIZES, (1,)) | {a_cell("lora", 2000, 1): 0.6}
    coverage = made_coverage(cells)
    numbers = coverage.results.by_key["mine-minilm-lora-n2000-s1 bf16"].numbers
    numbers["val_loss"] = 0.69
    state = State.of(coverage, METHODS)
    advice = advise(study.answering, state, state.samples, state.decision, beside=15.0, failed={})

    assert state.compared == ("tfidf",)
    assert advice.not_compared[0][0] == "lora"
    assert "not trained enough (validation loss 0.69" in advice.not_compared[0][1]
