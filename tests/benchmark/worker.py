"""A process for each contestant, kept alive and told over a pipe what to do next.

So contestants take turns without loading anything again, only one computes at a time, no one's settings, such as
deterministic algorithms, reach another, and each has a peak memory of its own.

The parent imports neither torch nor transformers: Linux counts what a process was forked from into its peak memory.
"""

import resource
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Self, TypeVar

from tests.benchmark.contestants import enter
from tests.benchmark.machine import mebibytes
from tests.benchmark.task import Task

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Failure:
    """What a worker answers when an order fails."""

    traceback: str


class Worker:
    """One contestant in a process of its own.

    with Worker("trainer", task) as worker:
        seconds = worker.ask("train", num_rows=640, seed=0)
    """

    def __init__(self, name: str, task: Task) -> None:
        context = get_context("spawn")  # a fork would inherit the threads' state and the parent's memory
        self.name = name
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end, name, task), daemon=True)
        self._process.start()
        far_end.close()
        self.precision: str = self._answer()  # number format of the matrix products; comes once all is loaded

    def ask(self, order: str, **details: Any) -> Any:
        """Give an order, a method of the contestant or `peak_memory_mib`, and wait for what it returns."""
        self._pipe.send((order, details))
        return self._answer()

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"{self.name} died with exit code {self._process.exitcode}: out of memory?") from None
        if isinstance(answer, Failure):
            raise RuntimeError(f"{self.name} failed:\n{answer.traceback}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()  # which ends the worker's loop
        self._process.join()
        self._process.close()


def _serve(pipe: Connection, name: str, task: Task) -> None:
    """Load, then do as told until the other end closes."""
    try:
        contestant = enter(name, task)
        pipe.send(contestant.precision)
        while True:
            order, details = pipe.recv()
            is_own = order == "peak_memory_mib"
            pipe.send(_peak_memory_mib() if is_own else getattr(contestant, order)(**details))
    except EOFError:
        return
    except Exception:  # noqa: BLE001 - crosses the pipe and is raised on the other side
        pipe.send(Failure(traceback.format_exc()))


def _peak_memory_mib() -> float:
    return mebibytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def in_child(function: Callable[..., Answer], *arguments: Any) -> Answer:
    """Call a function in a process of its own, since what it imports is large."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
