"""Where training and prediction run, and how their memory is had."""

import ctypes
import os
import sys
from typing import Literal

import torch

from stages.foundation.errors import StudyError
from stages.foundation.workers import worker_number

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
LARGEST_HEAP_BLOCK = 32 * 2**20  # bytes; glibc takes no larger threshold
NEVER_TRIM = 2**31 - 1


def choose_device(wanted: Literal["auto", "cpu", "cuda", "mps"]) -> tuple[torch.device, str]:
    """What `train.device` means on this machine, and why; of several CUDA devices each worker has its own.

    Raises:
        StudyError: If the device asked for is not there, or none is left for this worker.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        found = next(name for name, there in present.items() if there)
        return _ready(found), "no accelerator was found" if found == "cpu" else "the accelerator that was found"
    if not present[wanted]:
        raise StudyError(f"there is no {wanted} device here; `device: cpu` needs none, `auto` takes what there is")
    return _ready(wanted), "as params.yaml says"


def _ready(name: str) -> torch.device:
    if name == "cpu":
        keep_freed_memory()
    if name == "cuda":  # cuBLAS repeats its sums only with a workspace of its own
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        if number := worker_number():
            if number >= (there := torch.cuda.device_count()):
                raise StudyError(f"train.processes can be {there} here: each takes a cuda device of its own")
            torch.cuda.set_device(number)  # what `cuda` means from here on
    return torch.device(name)


def keep_freed_memory() -> None:
    """Let tensors of some megabytes reuse each other's memory.

    The C library would return each to the system and ask for it anew, page by page: a tenth of a training step.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_HEAP_BLOCK)
        libc.mallopt(M_TRIM_THRESHOLD, NEVER_TRIM)
