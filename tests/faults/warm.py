"""Stages in processes that have torch imported already: a start takes a tenth of a second instead of five.

For the test suite; the long run starts programs as a user does.
"""

import os
import runpy
import sys
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import TimeoutExpired

from tests.faults.project import environment

COUNTED = Path(__file__).parent / "counted/sitecustomize.py"


class WarmProcess:
    """A running stage, with the methods of `subprocess.Popen` that the harness uses."""

    def __init__(self, stage: str, folder: Path, log: Path) -> None:
        context = get_context("forkserver")  # a process without threads, from which all are forked
        context.set_forkserver_preload(["stages.engine.methods", "stages.evaluate"])
        self._process: BaseProcess = context.Process(target=_run, args=(stage, folder, log), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        return self._process.exitcode

    def wait(self, seconds: float) -> int:
        """Its exit status; an error if it does not end in time."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise TimeoutExpired(self._process.name, seconds)
        return self._process.exitcode


def _run(stage: str, folder: Path, log: Path) -> None:
    import torch

    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment(folder))
    torch.set_num_threads(1)
    sys.orig_argv[:] = ["python", "-m", f"stages.{stage}"]
    runpy.run_path(str(COUNTED))
    runpy.run_module(f"stages.{stage}", run_name="__main__")
