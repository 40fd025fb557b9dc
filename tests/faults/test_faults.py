"""A few faults of those of `python -m tests.faults`, and what its table says of them."""

import random
import re

import pytest

from tests.faults.__main__ import LOADING, SHORT, page, players, run, slug, table
from tests.faults.kinds import FAULTS
from tests.faults.project import OUTPUTS
from tests.faults.scene import Fault, Ground, LostWork, Outcome, Scene, damage, play


@pytest.mark.slow
def test_a_short_run_loses_nothing_and_says_what_to_do(tmp_path):
    outcomes = run(SHORT, 1, 7, tmp_path)

    assert {name: (one.lost, one.unclear) for name, one in outcomes.items()} == {name: ([], []) for name in SHORT}
    assert all(one.tries == 1 or one.hindrance for one in outcomes.values())


def test_the_table_tells_what_was_recovered_lost_unclear_or_not_possible():
    outcomes = {
        "a": Outcome(tries=5, lost=["why"], unclear=["what", "what"]),
        "b": Outcome(hindrance="not possible here: why"),
    }

    assert table(outcomes).splitlines()[2:] == ["| a | 5 | 4 | 1 | 2 |", "| b | not possible here: why |  |  |  |"]
    assert "`python -m tests.faults --tries 5 --seed 1`: 1 lost, 2 unclear." in page(outcomes, 5, 1)


def test_every_kind_has_a_name_of_its_own_that_the_command_line_takes(tmp_path):
    names = [slug(name) for name in players(Ground(tmp_path))]

    assert len(set(names)) == len(names) == len(FAULTS) + 9
    assert all(re.fullmatch(r"[a-z.-]+", name) for name in names)
    assert set(SHORT) <= set(players(Ground(tmp_path)))


@pytest.fixture
def ground(tmp_path, monkeypatch):
    """Projects without DVC, in which one file is all that is made."""
    monkeypatch.setitem(OUTPUTS, "report", ["made.txt"])
    (tmp_path / "project").mkdir()
    (tmp_path / "project/made.txt").write_text("right")
    (tmp_path / "project/dvc.lock").write_text("stages: {}\n")
    place = Ground(tmp_path)
    monkeypatch.setattr(place, "project", lambda _: tmp_path / "project")
    return place


def give(*words, tells=""):
    def happen(scene):
        scene.give("sh", "-c", " ".join(words), tells=tells)

    return Fault(name="a fault", happen=happen, compared=("report",))


@pytest.mark.parametrize(
    ("said", "tells", "unclear"),
    [
        ("echo do this; exit 1", "do this", 0),
        ("echo do that; exit 1", "do this", 1),
        ("exit 1", "", 1),
        ("echo Traceback \\(most recent call last\\):; echo do this; exit 1", "do this", 1),
        ("echo failed to transfer", "do this", 1),  # which DVC says on a full disk, and ends with 0
        ("true", "do this", 0),
    ],
)
def test_a_message_is_clear_if_it_says_what_to_do(tmp_path, ground, said, tells, unclear):
    outcome = play(give(said, tells=tells), 2, tmp_path, ground, 0)

    assert (outcome.tries, len(outcome.lost), len(outcome.unclear)) == (2, 0, 2 * unclear)


@pytest.mark.parametrize("said", ["echo wrong > made.txt", "rm made.txt"])
def test_other_results_and_missing_ones_are_lost(tmp_path, ground, said):
    outcome = play(give(said), 1, tmp_path, ground, 0)

    assert outcome.lost == ["a fault, try 0: other results: made.txt"]
    assert (tmp_path / "a-fault-0").exists()  # to be looked at


def test_a_command_that_does_not_end_well_any_more_is_lost_work(tmp_path, ground):
    def happen(scene):
        scene.again("sh", "-c", "echo why; exit 1")

    (lost,) = play(Fault(name="a fault", happen=happen, compared=()), 1, tmp_path, ground, 0).lost

    assert lost == "a fault, try 0: sh -c echo why; exit 1 does not end well any more: why"


def test_what_cannot_be_made_here_is_not_tried(tmp_path, ground):
    fault = Fault(name="a fault", happen=lambda _: None, hindrance=lambda: "not possible here")

    assert play(fault, 3, tmp_path, ground, 0) == Outcome(hindrance="not possible here")


def test_a_bit_is_turned_and_nothing_else_tells(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"content")
    file.chmod(0o444)
    before = file.stat()
    damage(file, random.Random(0))

    after = file.stat()
    assert file.read_bytes() != b"content"
    assert (before.st_size, before.st_mtime_ns, before.st_mode) == (after.st_size, after.st_mtime_ns, after.st_mode)


def test_an_interruption_while_python_loads_is_told_apart():
    begin = "Traceback (most recent call last):\n"
    loading = f'{begin}  File "<frozen importlib._bootstrap>", line 1, in _find\nKeyboardInterrupt\n'
    running = f'{begin}  File "stages/train.py", line 1, in main\nKeyboardInterrupt\n'

    assert "Traceback" not in LOADING.sub("", f"some words\n{loading}")
    assert "Traceback" in LOADING.sub("", running + loading)
    assert "Traceback" in LOADING.sub("", loading + running)


def test_what_still_runs_is_ended_with_its_try(tmp_path, ground):
    started = []

    def happen(scene: Scene):
        started.append(scene.start("sleep", "600"))
        raise LostWork("why")

    play(Fault(name="a fault", happen=happen, compared=()), 1, tmp_path, ground, 0)

    assert started[0].process.returncode == -9
