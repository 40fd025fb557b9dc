"""The claim file: written once, committed, and known again by every cell that runs under it."""

import subprocess
from dataclasses import replace

import pytest

from stages.foundation.errors import StudyError
from stages.study.claim import (
    committed_claim,
    propose,
    read_claim,
    read_claim_file,
    require_unseen,
    write_claim,
)
from stages.study.gather import digest_at
from stages.study.store import claim_digest, claim_file
from tests.study.made_results import a_cell, with_study


def a_claim(**changes):
    fixed = propose(
        with_study(sizes=[8000, 1000], protocol="trained"),
        dataset="mine",
        model="minilm",
        data="0123.dir",
        test_rows=400,
        seeds=[1, 2, 3, 4],
    )
    return replace(fixed, **changes)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (["init", "-q"], ["config", "user.name", "a"], ["config", "user.email", "a@b.c"]):
        subprocess.run(["git", *words], check=True)
    (tmp_path / "metrics/study").mkdir(parents=True)
    return tmp_path


def commit():
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "commit", "-qm", "a claim"], check=True)


def test_a_claim_is_what_params_yaml_asks_on_as_many_seeds_as_the_last_look():
    fixed = a_claim()

    assert (fixed.sizes, fixed.margins, fixed.seeds, fixed.looks) == ([1000, 8000], [0.01, 0.02], [1, 2, 3], [2, 3])
    assert (fixed.methods, fixed.protocol, fixed.tuned) == (["lora", "full"], "trained", False)


def test_a_claim_is_read_as_it_was_written(repository):
    file = write_claim(a_claim())

    assert file == claim_file("mine", "minilm")
    assert read_claim_file(file) == a_claim()
    assert read_claim("mine", "minilm").digest == claim_digest(file.read_text())
    assert read_claim("mine", "mpnet") is None


def test_a_claim_that_is_fixed_is_not_replaced_by_another_and_may_be_given_again(repository):
    file = write_claim(a_claim())
    before = file.read_text()
    write_claim(a_claim())

    with pytest.raises(StudyError, match="fixes another claim"):
        write_claim(a_claim(margins=[0.05]))
    assert file.read_text() == before


@pytest.mark.parametrize("model", ["google-bert/bert-base-uncased@86b5e09", "/models/mine", "minilm"])
def test_a_model_of_any_name_has_a_file_of_its_own_in_the_folder(model):
    assert claim_file("mine", model).parent.as_posix() == "metrics/study"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("looks: [3, 2]", "looks must rise"),
        ("looks: [1, 3]", "looks must rise from 2"),
        ("seeds: [1, 2]", "as many as the last look, 3"),
        ("seeds: [1, 2, 2]", "and differ"),
        ("methods: [full, lora]", "methods must be"),
        ("alpha: 0", "between 0 and 1"),
        ("margins: []", "must name one"),
        ("margin: 0.1", "unknown key margin"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused_by_its_file_and_key(repository, line, complaint):
    file = write_claim(a_claim())
    key = line.partition(":")[0]
    kept = [each for each in file.read_text().splitlines() if not each.startswith(f"{key}:")]
    file.write_text("\n".join([*kept, line]))

    with pytest.raises(StudyError, match=complaint) as refused:
        read_claim_file(file)
    assert str(file) in str(refused.value)


def test_only_what_the_last_commit_holds_is_settled(repository):
    with pytest.raises(StudyError, match="no claim is fixed"):
        committed_claim(repository, "mine", "minilm")
    file = write_claim(a_claim())
    with pytest.raises(StudyError, match=r"git add metrics/study/mine-minilm\.claim\.yaml"):
        committed_claim(repository, "mine", "minilm")
    commit()
    assert committed_claim(repository, "mine", "minilm") == a_claim()

    file.write_text(file.read_text().replace("0.01", "0.05"))
    with pytest.raises(StudyError, match="not in the last commit as it is"):
        committed_claim(repository, "mine", "minilm")


def test_a_cell_is_known_by_the_claim_of_the_commit_that_it_was_made_on(repository):
    (repository / "code.py").write_text("")
    commit()
    file = write_claim(a_claim())
    commit()

    assert digest_at(repository, "HEAD", a_cell()) == claim_digest(file.read_text())
    assert digest_at(repository, "HEAD~1", a_cell()) == ""


def test_a_claim_about_cells_that_are_there_is_refused_with_seeds_that_are_free():
    cells = a_claim().cells(3, 1000, {})

    require_unseen(cells, missing=cells)
    with pytest.raises(StudyError, match=r"seed 1, 2 are finished already.*--seeds 4-6"):
        require_unseen(cells, missing=cells[3:])


def test_the_cells_of_a_look_are_both_methods_on_its_first_seeds():
    cells = a_claim().cells(2, 1000, {("lora", 1000): 0.001})

    assert [(cell.method, cell.seed, cell.tuned) for cell in cells] == [
        ("lora", 1, 0.001),
        ("full", 1, None),
        ("lora", 2, 0.001),
        ("full", 2, None),
    ]
    assert {cell.protocol for cell in cells} == {"trained"}
