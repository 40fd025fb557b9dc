"""What workers run in tests of them, and with them whoever leads: `python -m tests.foundation.worker_program wait`."""

import os
import sys
import time
from pathlib import Path

from stages.foundation import workers
from stages.foundation.errors import StudyError
from stages.foundation.stage import run_stage
from stages.foundation.workers import with_workers

PROGRAM, WHAT = "tests.foundation.worker_program", "WORKER_TEST_DOES"
LONG = 60  # seconds; longer than any test waits


def work() -> None:
    """By the environment: leave a file with the number of the process, fail, or wait."""
    with with_workers(PROGRAM, 3) as these:
        Path(f"worker-{these.number}").write_text(str(os.getpid()))
        what = os.environ[WHAT]
        if these.number:
            sys.stdout.write("nobody reads this\n")
        if what == "fail" and these.number == 2:
            raise StudyError("this worker\nis out of order")
        these.arrive()
        if what == "wait":
            time.sleep(LONG)


if __name__ == "__main__":
    workers.STUCK_SECONDS = float(os.environ.get("WORKER_TEST_STUCK", "60"))
    if os.environ.get(workers.NUMBER):
        run_stage("train", work)
    else:
        work()
        sys.stdout.write("ended\n")
