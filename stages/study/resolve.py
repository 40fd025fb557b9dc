"""What missing cells are to be computed with: `auto` is resolved once, so that one study has one number format."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml
from stages.methods import METHODS
from stages.methods.method import Computation
from stages.study.collect import Computations
from stages.study.identity import leaves, pins_weights


def resolved(root: Path, methods: Sequence[str], *, model: str, precisions: Sequence[str]) -> Computations:
    """What each method may be computed with, the preferred first.

    The engine itself is asked, in a process of its own: it alone knows PyTorch, devices and models.

    Args:
        root: The repository.
        methods: Of the grid.
        model: As `model` in params.yaml.
        precisions: Number formats that count, the preferred first; [auto]: what `train.precision` means here.

    Raises:
        StudyError: If a model or device is not there, or the model is one of the Hub without a commit.
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
    answers = json.loads(done.stdout.splitlines()[-1])
    params = dict(leaves(read_yaml(root / paths.PARAMS))) | {"model": model}
    return {method: _computation(told, params) for method, told in answers.items()}


def _computation(told: Mapping[str, str], params: Mapping[str, Any]) -> Computation:
    """What the engine told of one method; base weights that a param pins are known by it."""
    chosen = {name: told[name] for name in ("precision", "engine", "device")}
    if pins_weights(params):
        return Computation(**chosen)
    model, commit = params["model"], told["commit"]
    if commit:
        is_named = f"train.base_models.{model}.source" in params
        line = f"train.base_models.{model}.pin: {commit}" if is_named else f"model: {model.partition('@')[0]}@{commit}"
        raise StudyError(
            f"the weights of {model} may change on the Hub from one cell to the next: a study needs their commit, "
            f"`{line}`"
        )
    return Computation(**chosen, weights=told["weights"])
