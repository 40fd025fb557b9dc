"""Where a training took place, and with what: written by `train` itself, not when results are gathered."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from stages.engine.device import choose_device
from stages.engine.models.record import Record
from stages.engine.params import Device
from stages.foundation import paths
from stages.foundation.files import write_json

LIBRARIES = ("torch", "transformers", "peft", "scikit-learn")
CPU_LISTING = Path("/proc/cpuinfo")
CHANGED = "-changed"  # behind the commit where code in the workspace differs from it


def write_provenance(
    path: Path, record: Record, device: Device, versions: Mapping[str, int], *, processes: int
) -> None:
    """Write flat facts, under names that no param bears.

    Args:
        path: Target file.
        record: Of the classifier: number format and engine, with `auto` resolved, and the base model's weights.
        device: As params.yaml asks for it; without a base model it is the processor all the same.
        versions: Numerical versions of what trained, e.g. `training_version`.
        processes: That trained; `threads` are of all of them together.
    """
    used = "cpu" if record.base is None else choose_device(device)[0].type
    libraries = {name.replace("-", "_"): version(name) for name in LIBRARIES}
    write_json(
        path,
        {
            "precision_used": record.precision,
            "engine_used": record.engine,
            "device_used": used,
            "weights_sha256": "" if record.base is None else record.base.weights_sha256,
            **versions,
            "processor": torch.cuda.get_device_name() if used == "cuda" else cpu_name(),
            "cores": os.cpu_count() or 1,
            "processes_used": processes,
            "threads": processes * torch.get_num_threads(),
            "python": platform.python_version(),
            **libraries,
            "commit": commit_of_code(),
        },
    )


def cpu_name() -> str:
    """The processor's name; `platform` knows none on Linux."""
    listing = CPU_LISTING.read_text(encoding="utf-8") if CPU_LISTING.is_file() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", listing, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def commit_of_code() -> str:
    """The commit that the code is of, marked where the workspace changed it; empty without Git."""
    head = _git("rev-parse", "HEAD")
    code = ("stages", str(paths.PIPELINE))
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", *code) if head else ""
    return head + (CHANGED if changed else "")


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
