"""A data set as its folder in data/sources describes it, whatever kind it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.corpus.sources.classes import hides_labels
from stages.corpus.sources.file_tables import find_tables
from stages.corpus.sources.found import Fact, describe_classes, describe_tables
from stages.corpus.sources.labelling import label_splits, number_groups
from stages.corpus.sources.settings import (
    ColumnSettings,
    FilesSettings,
    HubSettings,
    PhraseBankSettings,
    positive_class,
    read_settings,
)
from stages.corpus.sources.synthetic import generate
from stages.corpus.sources.table import Table
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.split import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Labelled texts as they were found; `cleaning.clean` returns one, too."""

    train: Split
    test: Split
    validation: Split | None  # None: prepare holds one out of train
    train_groups: NDArray[np.int64] | None  # (len(train),) group number of each training row, or None
    validation_groups: NDArray[np.int64] | None  # the same numbers for a given validation split
    kind: str  # files, hub or phrase_banks
    revision: str  # the Hub commit; empty for the other kinds
    synthetic: bool  # True only for texts that the project made up
    test_origin: str  # where the test split comes from, e.g. `dev.tsv (test.tsv has no labels)`
    found: tuple[Fact, ...] = ()  # what was read, in words
    positive: str | None = None  # of two classes the one that F1, precision and recall are of; None: there are more


def read_source(name: str) -> Source:
    """Read the data set that `dataset` in params.yaml names.

    Args:
        name: A folder in data/sources. It holds the data or a dataset.yaml that says where they come from.

    Raises:
        StudyError: One line that says what is missing or wrong, and where.
    """
    there = sorted(folder.name for folder in paths.SOURCES.glob("*") if folder.is_dir())
    if name not in there:
        raise StudyError(
            f"dataset {name!r} is no folder in {paths.SOURCES}, which has {', '.join(there)} "
            "(`dvc exp run --temp` and the queue see only files that Git or `dvc add` tracks)"
        )
    folder = paths.SOURCES / name
    settings = read_settings(folder)
    if isinstance(settings, PhraseBankSettings):
        return _read_phrase_banks(folder, settings)
    if isinstance(settings, HubSettings):
        return _read_hub(settings)
    return _read_files(folder, settings)


def _read_phrase_banks(folder: Path, settings: PhraseBankSettings) -> Source:
    train, test = generate(folder, seed=settings.seed, train_rows=settings.train_rows, test_rows=settings.test_rows)
    names = tuple(settings.label_names)
    train_split, test_split = _split(train, names), _split(test, names)
    return Source(
        train=train_split,
        test=test_split,
        validation=None,
        train_groups=None,
        validation_groups=None,
        kind=settings.kind,
        revision="",
        synthetic=True,
        test_origin="made from phrase banks that training never sees",
        found=(Fact("texts", "made up by the program"), *describe_classes(train_split, test_split)),
        positive=positive_class(names, wanted=settings.positive),
    )


def _split(rows: list[tuple[str, int]], label_names: tuple[str, ...]) -> Split:
    return Split(
        row_ids=np.arange(len(rows)),
        sentences=[text for text, _ in rows],
        labels=np.array([label for _, label in rows], dtype=np.int64),
        label_names=label_names,
    )


def _read_hub(settings: HubSettings) -> Source:
    from stages.corpus.sources.hub_tables import read_hub_frames  # a slow import that only this kind needs

    splits = settings.splits.given() if settings.splits else {}
    data = read_hub_frames(settings.repo, config=settings.config, revision=settings.revision, splits=splits)
    tables = {
        name: Table(f"{settings.repo}, split {splits.get(name, name)}", frame, class_names=data.class_names)
        for name, frame in data.frames.items()
    }
    origin = f"split {splits.get('test', 'test')} of {settings.repo}"
    test, train = tables["test"], tables["train"]
    if not splits and "validation" in tables and test.has(settings.label) and hides_labels(test, train, settings.label):
        tables = {"train": train, "test": tables["validation"]}
        origin = f"split validation of {settings.repo} (split test hides its labels)"
    return _assemble(tables, settings, kind=settings.kind, revision=data.revision, test_origin=origin)


def _read_files(folder: Path, settings: FilesSettings) -> Source:
    files = find_tables(folder, settings)
    return _assemble(
        files.tables,
        settings,
        kind=settings.kind,
        revision="",
        test_origin=files.test_origin,
        unused_files=files.unused,
    )


def _assemble(
    tables: dict[str, Table],
    columns: ColumnSettings,
    *,
    kind: str,
    revision: str,
    test_origin: str,
    unused_files: Sequence[str] = (),
) -> Source:
    labelled = label_splits(tables, columns)
    splits = labelled.splits
    trained_on = {name: table for name, table in tables.items() if name != "test"}
    groups = {} if columns.group is None else number_groups(trained_on, columns.group)
    return Source(
        train=splits["train"],
        test=splits["test"],
        validation=splits.get("validation"),
        train_groups=groups.get("train"),
        validation_groups=groups.get("validation"),
        kind=kind,
        revision=revision,
        synthetic=False,
        test_origin=test_origin,
        found=describe_tables(tables, labelled, columns, unused_files),
        positive=positive_class(splits["train"].label_names, wanted=columns.positive),
    )
