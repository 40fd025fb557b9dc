"""`python -m stages.train` with so much memory and no more, of which one optimizer step then asks too much.

    short_of_memory.py 40     at step 40, as a batch that is too large would

A limit that is reached by small requests ends Python, or a library below it, before anything can be said.
"""

import resource
import sys
from itertools import count
from pathlib import Path

import torch
from torch.optim import AdamW

from stages import train
from stages.foundation.stage import run_stage

ROOM = 4 * 2**30  # bytes beyond what is held when the stage begins


def main() -> None:
    """Limit, and run."""
    asking_step, steps = int(sys.argv[1]), count(1)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + ROOM, held + ROOM))
    step = AdamW.step

    def asking(self, *arguments, **options):
        if next(steps) == asking_step:
            torch.empty(2 * ROOM, dtype=torch.uint8)
        return step(self, *arguments, **options)

    AdamW.step = asking
    run_stage("train", train.main)


if __name__ == "__main__":
    main()
