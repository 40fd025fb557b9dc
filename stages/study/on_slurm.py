"""An array job for Slurm out of the cells that are missing: a script to be submitted, and nothing is run here.

Each element of the array is one pack of cells, made in a clone and handed back as by every other worker
(`stages/study/handover.py`). Slurm places each element by itself: no node waits for the slowest, no port is open
between nodes, no program has to outlive them all, and an element whose node is lost is queued again (`--requeue`) and
skips what is back already.
"""

import shlex
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from stages.foundation.errors import StudyError
from stages.foundation.files import write_text
from stages.methods.method import Computation
from stages.study.cells import Cell
from stages.study.handover import CLONE_AND_MAKE, Handover, hand_over, packed
from stages.study.runner import LOGS

MOST_ELEMENTS = 1000  # what Slurm takes unless its MaxArraySize is raised


def write_array(
    root: Path,
    cells: Mapping[Cell, Computation],
    seconds: Mapping[Cell, float],
    *,
    cpus: int,
    gpus: float,
    remote: str,
) -> Path:
    """Write the script and what its elements are told, into a folder of its own.

    Args:
        root: The repository.
        cells: What is missing, and what each is to be computed with.
        seconds: How long each is expected to take, where that is known.
        cpus: Cores of each element, which is as many threads.
        gpus: Of each element; a whole number.
        remote: Name of the Git remote that lies between the machines; empty: they see this folder.

    Returns:
        The script.

    Raises:
        StudyError: If there are too many cells for one array, or Slurm cannot give what is asked.
    """
    if not float(gpus).is_integer():
        raise StudyError(f"--gpus: Slurm gives whole GPUs, not {gpus:g}; Ray gives parts (`--on ray`)")
    packs = packed(list(cells), seconds, at_least=1)
    if len(packs) > MOST_ELEMENTS:
        raise StudyError(
            f"{len(packs):,} elements are more than the {MOST_ELEMENTS:,} that one array of Slurm holds; make the "
            "study in parts, for example by --seeds"
        )
    handover = hand_over(root, packs, cells, remote=remote, threads=cpus)
    folder = next(folder for at in count(1) if not (folder := root.resolve() / LOGS / f"slurm-{at}").exists())
    write_text(folder / "handover.json", handover.text())
    write_text(folder / "array.sh", _script(folder, handover, cpus=cpus, gpus=int(gpus)))
    return folder.relative_to(root.resolve()) / "array.sh"


def _script(folder: Path, handover: Handover, *, cpus: int, gpus: int) -> str:
    options = [
        "--job-name=study",
        f"--array=0-{len(handover.orders) - 1}",
        f"--cpus-per-task={cpus}",
        *([f"--gres=gpu:{gpus}"] if gpus else []),
        "--requeue",
        "--open-mode=append",
        f"--output={_escaped(folder)}/element-%a.log",
    ]
    variables = {
        "python": sys.executable,
        "origin": handover.origin,
        "commit": handover.commit,
        "handover": str(folder / "handover.json"),
        "results": str(folder.parent),
    }
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in options),
            *(f"{name}={shlex.quote(value)}" for name, value in variables.items()),
            "number=$SLURM_ARRAY_TASK_ID",
            CLONE_AND_MAKE,
        ]
    )


def _escaped(folder: Path) -> str:
    """A path in an option, where Slurm takes `%` and a blank for something else."""
    return shlex.quote(str(folder).replace("%", "%%"))
