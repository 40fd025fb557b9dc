"""Which file of a data set's folder is which split."""

from pathlib import Path

from stages.corpus.labelling import Table
from stages.corpus.readers import FORMATS, read_table
from stages.corpus.settings import FilesSettings
from stages.foundation.errors import StudyError


def find_tables(folder: Path, settings: FilesSettings) -> tuple[dict[str, Table], str]:
    """Read the files that dataset.yaml names under `splits`, else train.*, test.* and perhaps validation.*.

    GLUE's own folders need no dataset.yaml: where test.* is missing or has no labels, dev.* is the test split.

    Returns:
        The tables train, test and perhaps validation, and where the test split comes from.

    Raises:
        StudyError: If a file is missing, or it is not clear which one is meant.
    """
    if settings.splits is not None:
        tables = {split: _table(_named(folder, name)) for split, name in settings.splits.given().items()}
        return tables, settings.splits.test
    files = {name: _find(folder, name) for name in ("train", "validation")}
    if files["train"] is None:
        raise StudyError(f"{folder} has no train file; call it train with one of {', '.join(FORMATS)}")
    tables = {split: _table(file) for split, file in files.items() if file is not None}
    tables["train"].values(settings.label)  # a name that fits no file is dataset.yaml's fault, not the test file's
    test, origin = _find_test(folder, settings.label)
    return tables | {"test": test}, origin


def _find_test(folder: Path, label: str) -> tuple[Table, str]:
    """The test split, and where it comes from."""
    file, dev = _find(folder, "test"), _find(folder, "dev")
    test = None if file is None else _table(file)
    if file is None or test is None:
        if dev is None:
            raise StudyError(f"{folder} has no test file; call it test (or dev) with one of {', '.join(FORMATS)}")
        return _table(dev), f"{dev.name} (there is no test file)"
    if label not in test.frame:
        if dev is None:
            raise StudyError(f"{file} has no column {label}; it has {test.column_names()}, and no dev file replaces it")
        return _table(dev), f"{dev.name} ({file.name} has no labels)"
    if dev is not None:
        raise StudyError(
            f"{folder} has labels in {file.name} and in {dev.name}; say in dataset.yaml which is which, e.g. "
            f"`splits: {{train: train{dev.suffix}, validation: {dev.name}, test: {file.name}}}`"
        )
    return test, file.name


def _find(folder: Path, name: str) -> Path | None:
    """The one file of this name, whatever its format."""
    found = [folder / (name + ending) for ending in FORMATS if (folder / (name + ending)).exists()]
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise StudyError(f"{folder} has {names}: keep one, or say in dataset.yaml under `splits` which to take")
    return found[0] if found else None


def _named(folder: Path, name: str) -> Path:
    if Path(name).name != name:
        raise StudyError(f"{folder}: splits must name files in this folder, got {name}; DVC watches no other")
    return folder / name


def _table(file: Path) -> Table:
    return Table(str(file), read_table(file))
