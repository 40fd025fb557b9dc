"""What a training cost: the numbers that no second run repeats."""

import resource
import sys
from pathlib import Path

import torch

from stages.engine.history import Fit
from stages.foundation.files import write_json


def write_cost(path: Path, fit: Fit) -> None:
    """Write seconds, throughput and memory of this process."""
    write_json(
        path,
        {
            "train_seconds": round(fit.train_seconds, 1),
            "samples_per_second": round(fit.samples_per_second, 1),
            "peak_memory_mib": round(peak_memory_mib()),
            "threads": torch.get_num_threads(),
        },
    )


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
