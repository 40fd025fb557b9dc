"""What missing cells are to be computed with: `auto` is resolved once, so that one study has one number format."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stages.foundation.errors import StudyError
from stages.methods import METHODS
from stages.methods.method import Computation
from stages.study.collect import Computations


def resolved(root: Path, methods: Sequence[str], *, model: str, precisions: Sequence[str]) -> Computations:
    """What each method may be computed with, the preferred first.

    The engine itself is asked, in a process of its own: it alone knows PyTorch, devices and models.

    Args:
        root: The repository.
        methods: Of the grid.
        model: As `model` in params.yaml.
        precisions: Number formats that count, the preferred first; [auto]: what `train.precision` means here.

    Raises:
        StudyError: If a model or device is not there.
    """
    declared = {method: METHODS[method].computation for method in methods}
    asked = [method for method, computation in declared.items() if computation is None]
    found = _ask_engine(root, asked, model) if asked else {}
    return {
        method: [computation]
        if computation
        else [found[method] if name == "auto" else replace(found[method], precision=name) for name in precisions]
        for method, computation in declared.items()
    }


def _ask_engine(root: Path, methods: Sequence[str], model: str) -> dict[str, Computation]:
    words = [sys.executable, "-m", "stages.methods", "--model", model, *methods]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StudyError(" ".join(done.stderr.split()[-80:]))
    return {method: Computation(**told) for method, told in json.loads(done.stdout.splitlines()[-1]).items()}
