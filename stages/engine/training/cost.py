"""What a training cost: the numbers that no second run repeats."""

import resource
import sys
from pathlib import Path

from stages.engine.training.history import Fit
from stages.foundation.files import write_json


def write_cost(path: Path, fit: Fit) -> None:
    """Write seconds and throughput of all parts of a training that was resumed, and the memory of the last."""
    write_json(
        path,
        {
            "train_seconds": round(fit.train_seconds, 1),
            "samples_per_second": round(fit.samples_per_second, 1),
            "peak_memory_mib": round(peak_memory_mib()),
            "resumed": fit.resumed,
        },
    )


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
