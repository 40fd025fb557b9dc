import os
import sys
import threading
import time

import pytest

from stages.study import experiments
from stages.study.experiments import Experiments

# As DVC: it leaves interrupts to the stage for which it waits, and tells how that ended.
PARENT = """\
import signal, subprocess, sys
stage = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
signal.signal(signal.SIGINT, signal.SIG_IGN)
stage.stdout.readline()
print(stage.pid, flush=True)
sys.exit(7 if stage.wait() else 0)
"""
SLEEP = "import signal, time; {before}; print(flush=True); time.sleep(60)"
KIND = SLEEP.format(before="signal.signal(signal.SIGINT, signal.default_int_handler)")
DEAF = SLEEP.format(before="signal.signal(signal.SIGINT, signal.SIG_IGN)")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def start(tmp_path):
    """Run the parent and its stage in a thread; gives where the exit status will be, and the stage's pid."""

    def begin(running, stage):
        statuses, log = [], tmp_path / "log"
        words = [sys.executable, "-c", PARENT, stage]

        def run():
            statuses.append(running.run(words, root=tmp_path, environment=os.environ, log=log))

        thread = threading.Thread(target=run)
        thread.start()
        deadline = time.monotonic() + 30
        while not log.exists() or not log.read_text().strip():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return thread, statuses, int(log.read_text().split()[0])

    return begin


def test_a_program_runs_to_its_end_and_what_it_says_is_logged(tmp_path):
    words = [sys.executable, "-c", "import sys; print('made'); print('spoilt', file=sys.stderr); sys.exit(3)"]

    assert Experiments().run(words, root=tmp_path, environment=os.environ, log=tmp_path / "log") == 3
    assert sorted((tmp_path / "log").read_text().split()) == ["made", "spoilt"]


def test_a_stop_reaches_the_stage_behind_the_program_which_may_clean_up(start):
    running = Experiments()
    thread, statuses, stage = start(running, KIND)

    running.stop()
    thread.join()

    assert statuses == [7], "the program itself was not killed"
    assert not alive(stage)


def test_what_does_not_hear_an_interrupt_is_terminated(start, monkeypatch):
    monkeypatch.setattr(experiments, "PATIENCE", 0.3)
    running = Experiments()
    thread, statuses, stage = start(running, DEAF)

    running.stop()
    thread.join()

    assert statuses[0] < 0
    deadline = time.monotonic() + 10
    while alive(stage):  # an orphan, until the system buries it
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_after_a_stop_nothing_begins(tmp_path):
    running = Experiments()
    running.stop()
    words = [sys.executable, "-c", "open('made', 'w')"]

    assert running.run(words, root=tmp_path, environment=os.environ, log=tmp_path / "log") is None
    assert not (tmp_path / "made").exists()
