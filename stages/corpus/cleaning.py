"""Leave out what cannot teach: empty rows, repeated rows and texts that carry two labels."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.corpus.sources.source import Source
from stages.corpus.sources.table import listed
from stages.foundation.errors import StudyError
from stages.foundation.split import BOUNDARY, Split

EMPTY = ("", f" {BOUNDARY} ")  # a text, a pair


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaning:
    """Where the rows of a split went; the last four add up to the first."""

    rows_read: int
    empty: int  # no text at all; of a pair neither
    duplicate: int  # text and label of an earlier row, of a pair both texts
    contradictory: int  # every row of a text that carries two labels
    kept: int


def clean(source: Source) -> tuple[Source, Cleaning, int]:
    """Normalise all splits; drop rows from training and from a given validation split.

    The test split keeps every row: it is what others measure on, too.

    Returns:
        The cleaned source, the counts of its training split, and the rows dropped from a given validation split.

    Raises:
        StudyError: If a class is left without training rows, or a given validation split without rows.
    """
    train = normalise(source.train)
    rows, counts = keep_rows(train)
    _require_every_class(train, rows)
    train = train.take(rows)
    cleaned = replace(source, train=train, test=normalise(source.test), train_groups=_at(source.train_groups, rows))
    if source.validation is None:
        return cleaned, counts, 0
    validation = normalise(source.validation)
    rows, _ = keep_rows(validation)
    if not len(rows):
        raise StudyError("the validation split is empty after cleaning; give it rows or leave it out")
    groups = _at(source.validation_groups, rows)
    cleaned = replace(cleaned, validation=validation.take(rows), validation_groups=groups)
    return cleaned, counts, len(validation) - len(rows)


def normalise(split: Split) -> Split:
    """Every run of white space, Unicode's included, becomes one blank, and none is left at the ends."""
    second = None if split.second is None else _normal(split.second)
    return replace(split, sentences=_normal(split.sentences), second=second)


def keep_rows(split: Split) -> tuple[NDArray[np.int64], Cleaning]:
    """Positions of the rows to keep, in order, and the counts. White space must be normal already."""
    texts, names = pd.factorize(np.array(split.texts, dtype=object))
    smallest = np.full(len(names), split.num_classes)
    largest = np.full(len(names), -1)
    np.minimum.at(smallest, texts, split.labels)
    np.maximum.at(largest, texts, split.labels)

    empty = np.array([text in EMPTY for text in names], dtype=np.bool_)[texts]
    contradictory = ~empty & (smallest < largest)[texts]
    duplicate = ~empty & ~contradictory & pd.Series(texts).duplicated().to_numpy()
    kept = np.flatnonzero(~(empty | contradictory | duplicate))
    counts = Cleaning(
        rows_read=len(split),
        empty=int(empty.sum()),
        duplicate=int(duplicate.sum()),
        contradictory=int(contradictory.sum()),
        kept=len(kept),
    )
    return kept, counts


def _normal(texts: list[str]) -> list[str]:
    return [" ".join(text.split()) for text in texts]


def _require_every_class(train: Split, kept: NDArray[np.int64]) -> None:
    """Refuse classes that cannot be learned; tell those that have no row at all from those that cleaning emptied."""
    read, left = (np.bincount(labels, minlength=train.num_classes) for labels in (train.labels, train.labels[kept]))
    if (read == 0).any():
        names = listed(name for name, rows in zip(train.label_names, read, strict=True) if not rows)
        raise StudyError(
            f"no training row is in class {names}: give it some, or leave it out of `label_names` in dataset.yaml, and "
            "its rows out of the test split"
        )
    if (left == 0).any():
        names = listed(name for name, rows in zip(train.label_names, left, strict=True) if not rows)
        raise StudyError(
            f"no training row is left in class {names} after cleaning: all of its texts are empty or carry two labels"
        )


def _at(groups: NDArray[np.int64] | None, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
    return None if groups is None else groups[rows]
