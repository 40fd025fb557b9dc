import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stages.study import runner
from stages.study.runner import Processes
from tests.foundation.test_locks import ended

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
STUBBORN = SLEEP.format(before="[signal.signal(kind, signal.SIG_IGN) for kind in (signal.SIGINT, signal.SIGTERM)]")


def wait_until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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
        wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
        return thread, statuses, int(log.read_text().split()[0])

    return begin


def test_a_program_runs_to_its_end_and_what_it_says_is_logged(tmp_path):
    words = [sys.executable, "-c", "import sys; print('made'); print('spoilt', file=sys.stderr); sys.exit(3)"]

    assert Processes().run(words, root=tmp_path, environment=os.environ, log=tmp_path / "log") == 3
    assert sorted((tmp_path / "log").read_text().split()) == ["made", "spoilt"]


def test_a_stop_reaches_the_stage_behind_the_program_which_may_clean_up(start):
    running = Processes()
    thread, statuses, stage = start(running, KIND)

    running.stop()
    thread.join()

    assert statuses == [7], "the program itself was not killed"
    wait_until(lambda: ended(stage))


@pytest.mark.parametrize("stage", [DEAF, STUBBORN])
def test_what_does_not_hear_is_asked_less_kindly_and_no_stage_stays(start, monkeypatch, stage):
    monkeypatch.setattr(runner, "PATIENCE", 0.3)
    running = Processes()
    thread, statuses, pid = start(running, stage)

    running.stop()
    thread.join()

    assert statuses == [-signal.SIGTERM]
    wait_until(lambda: ended(pid))


def test_a_second_interrupt_shortens_the_patience(start):
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background ignore it
    running = Processes()
    thread, statuses, stage = start(running, DEAF)
    began = time.monotonic()
    threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()

    try:
        running.stop()
    finally:
        signal.signal(signal.SIGINT, ignored)
    thread.join()

    assert statuses == [-signal.SIGTERM]
    assert time.monotonic() - began < runner.PATIENCE
    wait_until(lambda: ended(stage))


def test_after_a_stop_nothing_begins(tmp_path):
    running = Processes()
    running.stop()
    words = [sys.executable, "-c", "open('made', 'w')"]

    assert running.run(words, root=tmp_path, environment=os.environ, log=tmp_path / "log") is None
    assert not (tmp_path / "made").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_study_that_is_killed_takes_its_experiments_along(tmp_path):
    """No handler of ours runs then."""
    code = (
        "import os, sys; from pathlib import Path; from stages.study.runner import Processes\n"
        "words = [sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(60)']\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "Processes().run(words, root=folder, environment=os.environ, log=folder / 'log')"
    )
    repository = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", code], cwd=repository) as study:
        log = tmp_path / "log"
        wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
        study.kill()

    wait_until(lambda: ended(int(log.read_text())))
