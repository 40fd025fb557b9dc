import itertools
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from stages.engine import threads
from stages.engine.threads import Crowd, polite_threads, share_threads

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells how long threads queue")
THREADS = 2  # what is tested waits for nobody with one


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def looks(monkeypatch):
    """Looks that come one after the other at once; gives a function that says how long threads had queued at each."""
    monkeypatch.setattr(threads, "LOOK_SECONDS", 0.001)
    clock = itertools.count()
    monkeypatch.setattr(threads.time, "monotonic", lambda: next(clock))

    def queue(shares):
        seconds = itertools.accumulate(itertools.chain([0.0], shares, itertools.repeat(0.0)))
        monkeypatch.setattr(threads, "_seconds_queued", lambda: next(seconds))

    return queue


@pytest.fixture
def seen(monkeypatch):
    """What a crowd was told, in order, without making one."""
    told = []
    monkeypatch.setattr(Crowd, "gather", lambda _: told.append("gather"))
    monkeypatch.setattr(Crowd, "disperse", lambda _: told.append("disperse"))
    return told


def watched(looks, seen, shares):
    looks(shares)
    with polite_threads():
        deadline = time.perf_counter() + 10
        while "disperse" not in seen:
            assert time.perf_counter() < deadline
            time.sleep(0.001)
    return seen


def num_threads():
    return len(list(Path("/proc/self/task").iterdir()))


def test_threads_that_queue_for_a_core_get_company_until_they_have_long_been_at_rest(looks, seen):
    told = watched(looks, seen, [0.0, 0.7, 0.7, *[0.0] * (threads.CALM_LOOKS - 1), 0.7])

    assert told[:4] == ["gather", "gather", "gather", "disperse"]


def test_a_little_queueing_neither_calls_company_nor_sends_it_away(looks, seen):
    told = watched(looks, seen, [0.1] * 50)

    assert "gather" not in told


def test_company_is_threads_that_come_and_go():
    torch.ones(threads.PARALLEL).add_(1)
    crowd, before = Crowd(), num_threads()

    crowd.gather()
    crowd.gather()
    deadline = time.monotonic() + 10
    while num_threads() < before + 2:  # a thread, and at least one of OpenMP's of its own
        assert time.monotonic() < deadline
        time.sleep(0.01)
    crowd.disperse()

    deadline = time.monotonic() + 10
    while num_threads() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_company_changes_no_bit_of_a_product():
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(300, 500, generator=generator), torch.randn(500, 200, generator=generator)
    alone = (left @ right).sum()
    crowd = Crowd()
    crowd.gather()
    try:
        assert torch.equal((left @ right).sum(), alone)
        assert torch.get_num_threads() == THREADS
    finally:
        crowd.disperse()


@pytest.mark.parametrize(("processes", "threads"), [(1, 2), (2, 1), (3, 1)])
def test_processes_share_the_threads_that_one_would_have(processes, threads):
    share_threads(processes)

    assert torch.get_num_threads() == threads


def test_one_thread_waits_for_nobody_and_is_not_watched():
    torch.set_num_threads(1)
    with polite_threads():
        assert all(thread.name != "polite threads" for thread in threading.enumerate())


def test_the_watch_ends_with_what_it_watches_also_if_that_fails():
    def failing():
        with polite_threads():
            assert any(thread.name == "polite threads" for thread in threading.enumerate())
            raise KeyError

    with pytest.raises(KeyError):
        failing()

    assert all(thread.name != "polite threads" for thread in threading.enumerate())
