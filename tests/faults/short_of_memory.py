"""A stage that gets so many MiB beyond what it holds once its libraries are loaded: `short_of_memory.py train 20`."""

import importlib
import resource
import sys
from pathlib import Path

from stages.foundation.stage import run_stage

LIBRARIES = ("pandas", "pyarrow.parquet", "transformers", "peft", "stages.engine.classifier", "stages.methods.lora")


def main() -> None:
    """Load, limit, run."""
    stage, mebibytes = sys.argv[1:]
    page = importlib.import_module(f"stages.{stage}")
    for name in LIBRARIES:
        importlib.import_module(name)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = held + int(mebibytes) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    run_stage(stage, page.main)


if __name__ == "__main__":
    main()
