"""What an experiment finds where it runs: in the repository itself, or in the copy that DVC makes of it.

`dvc exp run --temp` and DVC's queue work on a copy that holds what Git and DVC track and nothing else.
"""

import subprocess
from pathlib import Path

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.log import say


def require_recordable() -> None:
    """Refuse to begin an experiment on a copy that DVC could not record: it runs to its end and is lost.

    Raises:
        StudyError: If the repository is a shallow clone.
    """
    if is_copy() and is_shallow(paths.in_repository(Path())):
        raise StudyError(
            "this repository is a shallow clone, where `dvc exp run --temp` and the queue record nothing: "
            "`git fetch --unshallow`, then give the same command again"
        )


def is_shallow(root: Path) -> bool:
    """Whether a repository lacks the older part of its history."""
    return _git(root, "rev-parse", "--is-shallow-repository") == "true"


def require_dataset(name: str) -> None:
    """Refuse a data set that is not there, before DVC does so in words that help nobody.

    Says what of its folder the copy lacks, and in the repository itself what a copy would lack.

    Raises:
        StudyError: If there is no such folder; says what brings it here. Also for a name that leads out of
            data/sources.
    """
    if name in ("", "..") or Path(name).name != name:
        raise StudyError(
            f"dataset {name!r} is no name of a folder in {paths.SOURCES}, which has {', '.join(_names_there())}"
        )
    folder = paths.SOURCES / name
    original = paths.in_repository(folder)
    if not folder.is_dir():
        raise StudyError(_absence(name, folder, original))
    if is_copy():
        if lacking := sorted(_names(original) - _names(folder)):
            say(f"not in this copy, since Git does not track it: {', '.join(lacking)} of {folder}")
    elif not _is_tracked(folder):
        say(
            f"neither Git nor DVC tracks {folder}: `dvc exp run --temp` and the queue find it after "
            f"{_tracking(folder)}, or with `--copy-paths {folder}`"
        )


def _absence(name: str, folder: Path, original: Path) -> str:
    if original.is_dir():
        return (
            f"{folder} is not in this copy of the repository, since nothing tracks it: {_tracking(folder)}, "
            f"then give the same command again, or add `--copy-paths {folder}` to it"
        )
    if _pointer(folder).is_file():
        return f"{_pointer(folder)} is here and its data are not: `dvc pull {folder}`"
    there = ", ".join(_names_there())
    return (
        f"dataset {name!r} is no folder in {paths.SOURCES}, which has {there}; `mkdir {folder}` and put the data there"
    )


def _names_there() -> list[str]:
    return sorted(one.name for one in paths.SOURCES.glob("*") if one.is_dir())


def _tracking(folder: Path) -> str:
    return f"`git add {folder} && git commit` (large data: `dvc add {folder}` first)"


def _pointer(folder: Path) -> Path:
    """Where `dvc add` writes down what a folder holds."""
    return folder.with_name(f"{folder.name}.dvc")


def is_copy() -> bool:
    """Whether this is the copy that DVC makes for `--temp` and its queue."""
    return paths.in_repository(Path()).resolve() != Path().resolve()


def _is_tracked(folder: Path) -> bool:
    return _pointer(folder).is_file() or _git(Path(), "ls-files", "--", str(folder)) != ""


def _names(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def _git(root: Path, *words: str) -> str | None:
    """What Git says; None where it cannot be asked."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
