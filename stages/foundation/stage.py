"""Run a page as a program."""

import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.foundation import paths
from stages.foundation.cache import require_as_recorded
from stages.foundation.errors import TRACEBACK, StudyError, can_be_mended, one_line
from stages.foundation.files import read_yaml
from stages.foundation.locks import alone, end_with_parent
from stages.foundation.params import value_at
from stages.foundation.workers import worker_number
from stages.foundation.workspace import is_copy

STARTED_BY_DVC = "DVC_ROOT"  # environment variable that DVC sets for its stages
# What makes a stage need less memory; the others need what the data take.
TO_LOWER = {
    "train": "train.batch_size, train.max_tokens (tfidf: train.tfidf.max_ngram) or samples in params.yaml",
    "evaluate": "evaluate.batch_tokens in params.yaml",
}


def run_stage(name: str, main: Callable[[], None]) -> None:
    """Run a stage's `main`; what a person can mend becomes one line and exit code 1.

    Only one process at a time runs a stage in a folder, and on Linux it ends with the `dvc` that started it: one that
    a killed `dvc` left behind would write the same files beside the next.

    DVC hashes a stage's inputs after it has run. An input that was edited meanwhile would be recorded
    with the result of the old one, so such a run is refused (treeverse/dvc#11058).

    A worker of a stage (`stages.foundation.workers`) does none of this: the stage that started it does.

    Args:
        name: The stage's name in dvc.yaml.
        main: Loads, does, saves.
    """
    _answer_arguments(name)
    try:
        if worker_number():
            main()
            return
        with _stoppable(), alone(paths.CHECKPOINTS / f"{name}.lock", "the same stage"):
            if STARTED_BY_DVC in os.environ:
                end_with_parent()
                require_as_recorded(_inputs(name)[1], is_copy=is_copy())
            _run_guarded(name, main)
    except Exception as error:
        if os.environ.get(TRACEBACK) or not can_be_mended(error):
            raise
        sys.exit(f"{name}: {one_line(error, to_lower=TO_LOWER.get(name, ''))}")
    except KeyboardInterrupt:
        sys.exit(f"{name}: interrupted, nothing was recorded")


def _answer_arguments(name: str) -> None:
    """A stage takes no arguments: what is asked for stands in params.yaml."""
    program = sys.modules["__main__"]
    if getattr(program.__spec__, "name", "") != f"stages.{name}" or not sys.argv[1:]:
        return
    usage = f"usage: python -m stages.{name}    (DVC does so: `dvc repro {name}`; its choices stand in {paths.PARAMS})"
    if sys.argv[1:] in (["-h"], ["--help"]):
        sys.stdout.write(f"{usage}\n\n{program.__doc__}")
        sys.exit()
    sys.exit(f"{name}: takes no arguments, got {' '.join(sys.argv[1:])}; {usage}")


def _run_guarded(name: str, main: Callable[[], None]) -> None:
    before = _inputs_digest(name)
    main()
    if _inputs_digest(name) != before:
        raise StudyError(
            "params.yaml, the code or the data changed while it ran, so the result is not recorded; "
            "run it again (`dvc exp run --temp` works on a copy that edits cannot reach)"
        )


@contextmanager
def _stoppable() -> Iterator[None]:
    """Have a batch system's signal and a closed terminal end the stage as Ctrl-C does, unless they are ignored."""
    kinds = [kind for kind in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(kind) is signal.SIG_DFL]
    for kind in kinds:
        signal.signal(kind, signal.default_int_handler)
    try:
        yield
    finally:
        for kind in kinds:
            signal.signal(kind, signal.SIG_DFL)


def require_free_space(mebibytes: int) -> None:
    """Refuse to begin a long stage whose result would not fit on the disk.

    Raises:
        StudyError: If less is free.
    """
    free = shutil.disk_usage(Path.cwd()).free // 2**20
    if free < mebibytes:
        raise StudyError(f"only {free} MiB are free on the disk, {mebibytes} MiB are needed; make room first")


def _inputs_digest(name: str) -> str:
    """Digest of the params file and of every declared dependency, by content."""
    params, dependencies = _inputs(name)
    digest = hashlib.sha256(repr(params).encode())
    for dependency in dependencies:
        for file in _files(dependency):
            digest.update(str(file).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _inputs(name: str) -> tuple[list[Any], list[Path]]:
    """The values of the params, and the paths, that dvc.yaml declares for a stage."""
    stage, variables = read_yaml(paths.PIPELINE)["stages"][name], read_yaml(paths.PARAMS)
    params = [value_at(variables, key) for key in stage.get("params", [])]
    return params, [Path(_filled(dependency, variables)) for dependency in stage.get("deps", [])]


def _filled(dependency: str, variables: dict[str, Any]) -> str:
    """A dependency with DVC's `${key}` filled in from params.yaml."""
    for name, value in variables.items():
        dependency = dependency.replace(f"${{{name}}}", str(value))
    return dependency


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return [path] if path.is_file() else []
