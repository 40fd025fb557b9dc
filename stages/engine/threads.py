"""How PyTorch's threads wait for each other while other programs want the same cores.

At the end of every parallel product OpenMP's threads wait for the slowest. GNU's library (libgomp, which PyTorch brings
along) lets them spin for some 300,000 rounds: best on an idle machine, and the worst on a busy one, where a thread that
spins holds the core that the slowest one queues for. With more threads than processors it spins 100 rounds only
(libgomp's manual, GOMP_SPINCOUNT). So as long as threads of this process are seen to queue for a core, one thread more
is kept, which does nothing but be counted. No product gets more threads or fewer, so no number changes.

`python -m tests.benchmark.busy` shows both: on an idle machine nothing is lost, on a busy one most of the speed stays.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import torch

TASKS = Path("/proc/self/task")  # Linux; elsewhere nothing is watched
LOOK_SECONDS = 0.25
QUEUEING = (
    0.2  # core-seconds a second that threads wait for a core; 0.01 was seen on an idle machine, 0.7 on a busy one
)
AT_REST = 0.05
CALM_LOOKS = 8  # looks at rest in a row, before threads may spin again
PARALLEL = 400_000  # numbers; enough that PyTorch adds them up with all its threads


def share_threads(processes: int) -> None:
    """Leave this process its share of the threads that it would have alone: `OMP_NUM_THREADS`, or one for each core.

    So the cores that a study gives each of its jobs are shared among the processes of that job.
    """
    if processes > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // processes))


@contextmanager
def polite_threads() -> Iterator[None]:
    """Watch over the threads of this process while something trains or predicts."""
    if torch.get_num_threads() == 1 or not (TASKS / str(os.getpid()) / "schedstat").is_file():
        yield  # one thread waits for nobody
        return
    ended = Event()
    watch = Thread(target=_watch, args=(ended,), name="polite threads", daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()


def _watch(ended: Event) -> None:
    crowd = Crowd()
    try:
        _keep_company(crowd, ended)
    finally:
        crowd.disperse()


def _keep_company(crowd: "Crowd", ended: Event) -> None:
    calm = 0
    waited, since = _seconds_queued(), time.monotonic()
    while not ended.wait(LOOK_SECONDS):
        before, waited = waited, _seconds_queued()
        began, since = since, time.monotonic()
        share = (waited - before) / (since - began)
        calm = calm + 1 if share < AT_REST else 0
        if share > QUEUEING:
            crowd.gather()
        elif calm >= CALM_LOOKS:
            crowd.disperse()


class Crowd:
    """Idle OpenMP threads, as many as it takes for libgomp to count more threads than processors."""

    def __init__(self) -> None:
        self._members: list[Thread] = []
        self._over = Event()

    def gather(self) -> None:
        """Be there; nothing if it is."""
        if self._members:
            return
        self._over = Event()
        missing = len(os.sched_getaffinity(0)) + 1 - torch.get_num_threads()
        self._members = [Thread(target=_stand_by, args=(self._over,), daemon=True) for _ in range(max(1, missing))]
        for member in self._members:
            member.start()

    def disperse(self) -> None:
        """Be gone; a thread that ends takes its OpenMP threads along."""
        self._over.set()
        for member in self._members:
            member.join()
        self._members = []


def _stand_by(over: Event) -> None:
    torch.ones(PARALLEL).add_(1)  # makes OpenMP threads of this thread's own, which stay as long as it does
    over.wait()


def _seconds_queued() -> float:
    """How long the threads of this process have waited for a core so far, together."""
    nanoseconds = 0
    for task in TASKS.iterdir():
        try:
            nanoseconds += int((task / "schedstat").read_text().split()[1])
        except OSError:  # it has ended meanwhile
            continue
    return nanoseconds / 1e9
