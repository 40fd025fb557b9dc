"""On what, and with which versions, results were gathered."""

import platform
import re
from importlib.metadata import version
from os import cpu_count
from pathlib import Path

LIBRARIES = ("torch", "transformers", "peft", "scikit-learn")


def machine_and_versions() -> dict[str, str]:
    """The processor and the libraries that decide what a training computes."""
    return {
        "machine": f"{processor()}, {cpu_count()} cores",
        "versions": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }


def processor() -> str:
    """The processor's name; `platform` knows none on Linux."""
    listing = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", listing.read_text(), re.MULTILINE) if listing.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()
