"""The machines of a Ray cluster as workers: each pack of cells is one task, run again elsewhere if its node is lost.

Ray places tasks by what they ask for and sets the devices of those that ask for GPUs. What a task does is a clone and a
program in it (`stages/study/handover.py`, `stages/study/worker.py`), so nodes need Ray, the packages of
requirements.txt and Git, and no copy of this code beforehand.
"""

import json
import os
import signal
from collections.abc import Callable, Generator, Mapping
from math import floor
from pathlib import Path
from typing import Any

from stages.foundation.errors import StudyError
from stages.foundation.files import write_text
from stages.foundation.log import say
from stages.methods.method import Computation
from stages.study.cells import Cell
from stages.study.handover import ACCELERATOR, CLONE_AND_MAKE, fetch, hand_over, packed
from stages.study.runner import LOGS, Made

INSTALLED_BY = "pip install ray==2.60.0"  # the version that this was tried with
RETRIES = 5  # of a task whose node or process was lost; what fails by itself is not run again
PACKS_FOR_EACH = 4  # packs at least for each that runs at a time, so that none waits long for the last
STORE_BYTES = 100 * 2**20  # of shared memory, for a cluster of our own: Ray keeps our few texts there

Ended = tuple[int, str, Mapping[str, str]]  # exit status, stderr, and what each file of the results says


class RayWorkers:
    """The nodes of a cluster, or of one on this machine for this command alone."""

    def __init__(self, *, address: str, cpus: int, gpus: float, remote: str) -> None:
        """Connect.

        Args:
            address: Of the cluster; empty: one is started here.
            cpus: Cores of each experiment, which is as many threads.
            gpus: Of each experiment that computes on one; may be a fraction.
            remote: Name of the Git remote that lies between the machines; empty: they see this folder.

        Raises:
            StudyError: If Ray is not installed, the cluster is not there, or this machine alone is too small.
        """
        self._ray, self._cpus, self._gpus, self._remote = _connected(address), cpus, gpus, remote
        places = sum(self._places(node["Resources"]) for node in self._ray.nodes() if node["Alive"])
        self.jobs = max(1, places)
        if not places:
            wanted = f"{cpus} cores" + (f" and {gpus:g} GPUs" if gpus else "")
            if not address:
                self._ray.shutdown()
                raise StudyError(f"this machine has no {wanted}, which each cell is to have; lower --cpus or --gpus")
            say(f"no node of the cluster has {wanted} for a cell: they wait until one has")

    def _places(self, resources: Mapping[str, float]) -> int:
        of_cpus = floor(resources.get("CPU", 0.0) / self._cpus)
        return min(of_cpus, floor(resources.get("GPU", 0.0) / self._gpus)) if self._gpus else of_cpus

    def make(
        self, root: Path, cells: Mapping[Cell, Computation], seconds: Mapping[Cell, float]
    ) -> Generator[Made, None, None]:
        """As `stages.study.runner.Workers` says."""
        try:
            packs = self._packs(cells, seconds)
            handover = hand_over(root, packs, cells, remote=self._remote, threads=self._cpus)
            text = self._ray.put(handover.text())
            waiting = {}
            for number, pack in enumerate(packs):
                variables = {"origin": handover.origin, "commit": handover.commit, "number": str(number)}
                waiting[self._task(cells[pack[0]]).remote(CLONE_AND_MAKE, variables, text)] = number
            while waiting:
                (done,), _ = self._ray.wait(list(waiting), num_returns=1)
                number = waiting.pop(done)
                names = [order.name for order in handover.orders[number]]
                yield from self._made(root, dict(zip(packs[number], names, strict=True)), done)
        finally:
            self._ray.shutdown()  # ends what still runs, and a cluster of our own

    def _packs(self, cells: Mapping[Cell, Computation], seconds: Mapping[Cell, float]) -> list[list[Cell]]:
        """Cells that ask for a GPU and those that do not are never in one pack."""
        alike: dict[bool, list[Cell]] = {}
        for cell, chosen in cells.items():
            alike.setdefault(chosen.device == ACCELERATOR, []).append(cell)
        least = PACKS_FOR_EACH * self.jobs
        return [pack for some in alike.values() for pack in packed(some, seconds, at_least=least)]

    def _task(self, chosen: Computation) -> Any:
        gpus = self._gpus if chosen.device == ACCELERATOR else 0
        asked = self._ray.remote(num_cpus=self._cpus, num_gpus=gpus, max_retries=RETRIES, retry_exceptions=False)
        return asked(_work())

    def _made(self, root: Path, names: Mapping[Cell, str], done: Any) -> Generator[Made, None, None]:
        """What became of each cell of a pack, with its log and its experiment brought here."""
        files: Mapping[str, str] = {}
        try:
            status, complaint, files = self._ray.get(done)
            said = complaint.strip().splitlines()[-1:] or [f"its worker ended with {status} and said nothing"]
        except self._ray.exceptions.RayError as error:
            said = [f"Ray gave it up: {str(error).strip().splitlines()[0]}"]
        for cell, name in names.items():
            if log := files.get(f"{name}.log"):
                write_text(root / LOGS / f"{name}.log", log)
            told = json.loads(files.get(f"{name}.json", "{}"))
            complaint = told.get("complaint", said[0]) or fetch(root, self._remote, name)
            yield Made(
                cell=cell, seconds=told.get("seconds", 0.0), complaint=complaint, outcome=told.get("outcome", "")
            )


def _work() -> Callable[[str, Mapping[str, str], str], Ended]:
    """What a task does; defined in here, so that Ray sends its code: nodes have no module of ours to take it from."""

    def work(script: str, variables: Mapping[str, str], handover: str) -> Ended:
        import ctypes
        import os
        import signal
        import subprocess
        import sys
        import tempfile
        from pathlib import Path

        def end_with_parent() -> None:  # as stages.foundation.locks has it
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(1, signal.SIGTERM)

        with tempfile.TemporaryDirectory(prefix="study-results-") as folder:
            order, results = Path(folder) / "handover.json", Path(folder) / "results"
            order.write_text(handover, encoding="utf-8")
            results.mkdir()
            here = {"python": sys.executable, "handover": str(order), "results": str(results)}
            done = subprocess.run(
                ["bash", "-c", script],
                env={**os.environ, **variables, **here},
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                check=False,
                preexec_fn=end_with_parent,
            )
            told = {file.name: file.read_text(encoding="utf-8", errors="replace") for file in results.iterdir()}
        return done.returncode, done.stderr, told

    return work


def _connected(address: str) -> Any:
    """Ray, connected; it asks nobody outside, and leaves signals to the study."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        import ray
    except ImportError:
        raise StudyError(f"`--on ray` needs Ray, here and on every node: `{INSTALLED_BY}`") from None
    own = {} if address else {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **own)
    except Exception as error:  # noqa: BLE001 - what goes wrong there is told by errors of every kind
        raise StudyError(
            f"Ray does not answer at {address or 'this machine'} ({str(error).strip().splitlines()[0]}); "
            "`ray status` asks for a cluster, `ray start --head` starts one"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, handler)
    return ray
