"""The tables of a data set's folder: which file is which split."""

import re
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from stages.corpus.sources.classes import hides_labels
from stages.corpus.sources.formats import ENDINGS, ENDINGS_TOLD, read_file
from stages.corpus.sources.settings import FilesSettings
from stages.corpus.sources.table import Table, shortened
from stages.foundation.errors import StudyError

VALIDATION_NAMES = ("validation", "valid", "val", "dev")
NO_DATA = re.compile(r"dataset\.yaml|(readme|license|\.).*|.*\.dvc")  # names in small letters


@dataclass(frozen=True, kw_only=True, slots=True)
class FileTables:
    """What a folder holds."""

    tables: dict[str, Table]  # train, test and perhaps validation
    test_origin: str  # where the test split comes from
    unused: list[str]  # names of files that are neither


def find_tables(folder: Path, settings: FilesSettings) -> FileTables:
    """Read the files that dataset.yaml names under `splits`, else train.*, test.* and perhaps one for validation.

    That is called validation, valid, val or dev. GLUE's own folders need no dataset.yaml: where test.* is missing or
    has no labels, dev.* is the test split.

    Raises:
        StudyError: If a file is missing, or it is not clear which one is meant.
    """
    if settings.splits is None:
        tables, origin = _usual_tables(folder, settings)
    else:
        tables = {split: read_file(_named(folder, name), settings) for split, name in settings.splits.given().items()}
        origin = settings.splits.test
        _require_labels(tables, settings)
    if (settings.columns or settings.separator) and not any(table.is_delimited for table in tables.values()):
        raise StudyError(
            f"{folder}: `columns` and `separator` are of TSV and CSV, and no such file was read; leave them out"
        )
    if settings.columns and settings.label_names is None:
        _refuse_header_as_row(tables, settings.label)
    read = {Path(table.name).name for table in tables.values()}
    return FileTables(tables=tables, test_origin=origin, unused=_unused(folder, read))


def _usual_tables(folder: Path, settings: FilesSettings) -> tuple[dict[str, Table], str]:
    """The tables of files with the usual names, and where the test split comes from."""
    train_file = _find(folder, "train")
    if train_file is None:
        raise StudyError(f"{folder} has no train file; call it train with one of {ENDINGS_TOLD}")
    train = read_file(train_file, settings)
    train.find(settings.label)  # a name that fits no file is dataset.yaml's fault, not the test file's
    others = [file for name in VALIDATION_NAMES if (file := _find(folder, name))]
    file = _find(folder, "test")
    test = None if file is None else read_file(file, settings)
    if test is not None and test.is_delimited and settings.columns is None:
        _require_header(test, train)
    lack = _lack(test, train, settings.label)
    if lack:
        stand_in = _stand_in(folder, train_file, test, others, lack)
        others.remove(stand_in)
        test, origin = read_file(stand_in, settings), f"{stand_in.name} ({lack})"
    else:
        origin = "" if file is None else file.name
    tables = {"train": train} | ({} if test is None else {"test": test})
    if len(others) > 1:
        raise _unclear(folder, train_file, [(file, Path(tables["test"].name)) for file in others])
    if others:
        tables["validation"] = read_file(others[0], settings)
    return tables, origin


def _require_header(test: Table, train: Table) -> None:
    """Refuse to take a row for a header, and then its file for one that has no labels."""
    if not any(train.has(name) for name in test.frame if name):
        raise StudyError(
            f"{test.name} has none of the columns of {train.name}, its first line holds {test.column_names()}: "
            f"put a line with their names, {train.column_names()}, above its rows"
        )


def _refuse_header_as_row(tables: dict[str, Table], label: str) -> None:
    """Where dataset.yaml names the columns, a first line of other names would be a row of a class of its own."""
    train = tables["train"]
    first, *rest = train.values(label)
    others = {value for name, table in tables.items() for value in table.values(label)[1:]}
    if train.is_delimited and first not in others and 2 * len(set(rest)) <= len(rest):
        raise StudyError(
            f"{train.place(0)}: no other row has the label {shortened(first)}. If the line names the columns, leave "
            f"`columns` out of dataset.yaml and say `label: {shortened(first)}`; if it is a row, say what the classes "
            "are called, `label_names`"
        )


def _lack(test: Table | None, train: Table, label: str) -> str:
    """Why a test file cannot be the test split; empty if it can."""
    if test is None:
        return "there is no test file"
    name = Path(test.name).name
    if not test.has(label):
        return f"{name} has no labels"
    if label in test.lacking:
        return ""
    return f"{name} hides its labels" if hides_labels(test, train, label) else ""


def _stand_in(folder: Path, train: Path, test: Table | None, others: list[Path], lack: str) -> Path:
    """The file that is the test split instead: dev before others, GLUE's name for it."""
    named_dev = [file for file in others if _stem(file) == "dev"]
    if named_dev or len(others) == 1:
        return (named_dev or others)[0]
    if others:
        raise _unclear(folder, train, list(permutations(others, 2)), lack=f"{lack}, and ")
    if test is None:
        raise StudyError(f"{folder} has no test file; call it test (or dev) with one of {ENDINGS_TOLD}")
    if "hides" in lack:
        raise StudyError(
            f"{test.name} hides its labels, and no dev file replaces it; give it labels, or put rows that have some "
            "into a file named dev"
        )
    raise StudyError(f"{test.name} has no column of labels; it has {test.column_names()}, and no dev file replaces it")


def _unclear(folder: Path, train: Path, ways: list[tuple[Path, Path]], *, lack: str = "") -> StudyError:
    """What to say of files for validation of which one is enough; `ways` are pairs of validation and test file."""
    names = " and ".join(dict.fromkeys(validation.name for validation, _ in ways))
    lines = " or ".join(
        f"`splits: {{train: {train.name}, validation: {validation.name}, test: {test.name}}}`"
        for validation, test in ways
    )
    return StudyError(
        f"{folder}: {lack}{names} may each be the one to take; say in dataset.yaml which is which: {lines}"
    )


def _require_labels(tables: dict[str, Table], settings: FilesSettings) -> None:
    """Advice for a test file that dataset.yaml names and that hides its labels."""
    test, splits = tables["test"], settings.splits
    if splits is None or not test.has(settings.label) or settings.label in test.lacking:
        return
    if hides_labels(test, tables["train"], settings.label):
        other = splits.validation or "FILE"
        raise StudyError(
            f"{test.name} hides its labels; name another test split in dataset.yaml: "
            f"`splits: {{train: {splits.train}, test: {other}}}`"
        )


def _find(folder: Path, name: str) -> Path | None:
    """The one file of this name, whatever its format."""
    found = sorted(file for file in folder.iterdir() if file.name.casefold() in {name + ending for ending in ENDINGS})
    if len(found) > 1:
        names = " and ".join(file.name for file in sorted(found, key=_format))
        raise StudyError(f"{folder} has {names}: keep one, or say in dataset.yaml under `splits` which to take")
    return found[0] if found else None


def _format(file: Path) -> int:
    return [file.name.casefold().endswith(ending) for ending in ENDINGS].index(True)


def _stem(file: Path) -> str:
    return file.name.casefold().partition(".")[0]


def _named(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise StudyError(f"{folder}: splits must name files in this folder, got {name}; DVC watches no other")
    return folder / name


def _unused(folder: Path, read: set[str]) -> list[str]:
    """Files that may hold data and were not read."""
    names = (file.name for file in sorted(folder.iterdir()))
    return [name for name in names if name not in read and not NO_DATA.fullmatch(name.casefold())]
