"""Workers of a stage: started, heard of, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from stages.foundation import workers as module
from stages.foundation.errors import StudyError
from stages.foundation.workers import FOLLOWED, WorkerLostError, Workers, with_workers, worker_number
from tests.foundation.worker_program import LONG, PROGRAM, WHAT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are started as POSIX has it")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(WHAT, "nothing")
    monkeypatch.delenv("STUDY_TRACEBACK", raising=False)
    return tmp_path


def within(seconds, condition):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pids(folder, *numbers):
    """Of the workers, once they have begun."""
    files = [folder / f"worker-{number}" for number in numbers]
    within(LONG, lambda: all(file.exists() and file.read_text() for file in files))
    return [int(file.read_text()) for file in files]


def runs(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_one_alone_starts_nothing():
    others = set(psutil.Process().children())  # of other tests
    with with_workers(PROGRAM, 1) as these:
        assert (these.number, these.count, these.leads) == (0, 1, True)
        assert not these.place.name
    assert set(psutil.Process().children()) <= others


def test_each_of_several_runs_the_program_under_its_number_and_none_says_anything(folder, capfd):
    with with_workers(PROGRAM, 3) as these:
        these.arrive()
        assert these.leads
        assert len(set(pids(folder, 1, 2)) | {os.getpid()}) == 3

    assert capfd.readouterr() == ("", "")
    assert not these.place.exists()
    assert worker_number() == 0


def test_those_that_run_on_are_ended_with_the_block(folder, monkeypatch):
    monkeypatch.setenv(WHAT, "wait")
    monkeypatch.setattr(module, "TIDY_SECONDS", 0.1)
    with with_workers(PROGRAM, 3) as these:
        these.arrive()
        others = pids(folder, 1, 2)
        assert all(map(runs, others))

    assert not any(map(runs, others))


def test_one_that_fails_is_told_by_its_own_last_line(monkeypatch, capfd):
    monkeypatch.setenv(WHAT, "fail")

    with (
        pytest.raises(WorkerLostError, match=r"^worker 2 failed: train: this worker is out of order$"),
        with_workers(PROGRAM, 3) as these,
    ):
        these.arrive()
    assert capfd.readouterr() == ("", "")


def test_what_it_says_is_shown_when_asked_for(monkeypatch, capfd):
    monkeypatch.setenv(WHAT, "fail")
    monkeypatch.setenv("STUDY_TRACEBACK", "1")

    with pytest.raises(WorkerLostError, match="worker 2 failed: "), with_workers(PROGRAM, 3) as these:
        these.arrive()
    assert "Traceback (most recent call last)" in capfd.readouterr().err


def test_one_that_is_killed_is_told_by_the_signal(folder, monkeypatch):
    monkeypatch.setenv(WHAT, "wait")

    with with_workers(PROGRAM, 3) as these:
        these.arrive()
        os.kill(pids(folder, 1)[0], signal.SIGKILL)
        assert str(these.lost("")) == "worker 1 was ended by SIGKILL (out of memory?)"
        these.stop()


def test_where_none_has_ended_the_symptom_is_told(folder, monkeypatch):
    monkeypatch.setenv(WHAT, "wait")
    monkeypatch.setattr(module, "TIDY_SECONDS", 0.1)

    with with_workers(PROGRAM, 2) as these:
        these.arrive()
        assert str(these.lost("a line\nis broken")) == "the workers lost each other (a line is broken)"
        these.stop()


def test_of_several_that_have_ended_the_one_that_did_not_follow_another_is_told(tmp_path):
    these = Workers(number=0, count=3, place=tmp_path)
    for number, words in ((1, f"raise SystemExit({FOLLOWED})"), (2, "raise SystemExit(3)")):
        (tmp_path / f"{number}.stderr").write_text("")
        these._others[number] = subprocess.Popen([sys.executable, "-c", words])
        these._others[number].wait()

    assert str(these.lost("")) == "worker 2 failed: exit status 3"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_asks_to_stop_is_for_worker_0_alone(folder, monkeypatch, kind):
    monkeypatch.setenv(WHAT, "wait")
    monkeypatch.setattr(module, "TIDY_SECONDS", 0.1)

    with with_workers(PROGRAM, 2) as these:
        these.arrive()
        [other] = pids(folder, 1)
        os.kill(other, kind)
        time.sleep(0.2)
        assert runs(other)


def test_in_a_worker_that_hears_no_more_of_others_there_is_nothing_to_say(tmp_path):
    with pytest.raises(SystemExit) as left:
        Workers(number=1, count=2, place=tmp_path).lost("connection closed")

    assert left.value.code == FOLLOWED


@pytest.fixture
def leader(folder, monkeypatch):
    """A program that leads workers, so that it can be ended."""
    started = []

    def start(what, **environment):
        child = subprocess.Popen(
            [sys.executable, "-m", PROGRAM],
            env=os.environ | {WHAT: what, "PYTHONPATH": str(ROOT)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system sees to it on Linux alone")
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_none_outlives_the_one_that_started_it_however_it_ends(folder, leader, kind):
    child = leader("wait")
    others = pids(folder, 1, 2)
    child.send_signal(kind)
    child.wait()

    within(5, lambda: not any(map(runs, others)))


def test_one_that_waits_for_ever_for_a_worker_that_is_gone_is_ended_with_a_line(folder, leader):
    """As it may on a CUDA device, which no closed connection wakes."""
    child = leader("wait", WORKER_TEST_STUCK="0.2")
    others = pids(folder, 0, 1, 2)[1:]
    os.kill(others[1], signal.SIGKILL)
    said = child.communicate(timeout=LONG / 2)[1]

    assert child.returncode == 1
    assert said == (
        "worker_program: worker 2 was ended by SIGKILL (out of memory?); "
        "the same command goes on from the last checkpoint\n"
    )
    within(5, lambda: not any(map(runs, others)))


def test_a_lost_worker_is_a_fault_that_is_told_in_one_line():
    assert issubclass(WorkerLostError, StudyError)
