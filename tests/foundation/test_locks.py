import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stages.foundation.errors import StudyError
from stages.foundation.locks import alone, in_turn

REPOSITORY = Path(__file__).resolve().parents[2]
STAGE = "from stages.foundation.locks import end_with_parent; import time; {call}; print(flush=True); time.sleep(60)"
PARENT = """\
import subprocess, sys
stage = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
stage.stdout.readline()
print(stage.pid, flush=True)
stage.wait()
"""


def ended(pid):
    """Also one that nobody has buried yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
@pytest.mark.parametrize(("call", "follows"), [("end_with_parent()", True), ("pass", False)])
def test_a_stage_ends_with_the_program_that_started_it_if_it_asks_to(call, follows):
    words = [sys.executable, "-c", PARENT, STAGE.format(call=call)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=REPOSITORY) as parent:
        stage = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + (10 if follows else 0.5)
    while not ended(stage) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert ended(stage) == follows
    if not follows:
        os.kill(stage, signal.SIGKILL)


def test_work_that_is_done_already_is_refused_with_the_number_of_its_process(tmp_path):
    lock = tmp_path / "locks/train.lock"
    code = (
        f"from pathlib import Path; from stages.foundation.locks import alone\nwith alone(Path({str(lock)!r}), 'w'): "
    )
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}print(flush=True); input()"],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        cwd=REPOSITORY,
    ) as other:
        other.stdout.readline()
        with (
            pytest.raises(StudyError, match=rf"the training already runs \(process {other.pid}\); wait for its end"),
            alone(lock, "the training"),
        ):
            pytest.fail("two hold the lock")
        other.kill()

    with alone(lock, "the training"):
        assert lock.read_text() == str(os.getpid())


def test_work_that_another_process_does_is_waited_for(tmp_path, capsys):
    lock = tmp_path / "unpack.lock"
    program = (
        "import sys; from pathlib import Path; from stages.foundation.locks import in_turn\n"
        f"with in_turn(Path({str(lock)!r}), 'unpacking'): print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE, cwd=REPOSITORY
    ) as other:
        other.stdout.readline()
        threading.Timer(0.5, other.stdin.close).start()  # which ends its `input()`
        with in_turn(lock, "unpacking"):
            assert other.wait() == 1
            assert lock.read_text() == str(os.getpid())
    assert capsys.readouterr().out == f"waiting for process {other.pid}: unpacking\n"
