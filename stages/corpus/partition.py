"""Hold validation rows out of the training rows.

SST-2's training rows are phrases cut from some 6,900 sentences. A validation row drawn at random then shares its
words with training rows, the more the larger the training set, so that a learning curve becomes partly a curve
of the leak. `grouped` keeps source sentences together. A root is a row that is part of no longer row, as a rule
a whole sentence. Roots are held out one after the other, in random order, until there are enough candidates:

    a row leaves the pool   with the first root that contains it,
    and may validate        once every root that contains it is held out.

So no candidate is equal to, part of, or longer than and around a row of the pool.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.corpus.overlap import WordRows, occurrences, read_words
from stages.corpus.params import PrepareParams
from stages.corpus.sources.source import Source
from stages.foundation.errors import StudyError, check_param
from stages.foundation.split import Split

Ranks = NDArray[np.int64]  # a place in the order in which sources are held out, from 0
Rows = NDArray[np.int64]  # positions


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """What may be trained on and what validates it."""

    pool: Split
    validation: Split
    validation_origin: str  # how it came about, in words
    sources_held_out: int  # source sentences, or groups; 0 where none were looked for
    rows_dropped: int  # in neither: parts of held-out sources, or overlaps with a given validation split


def partition(source: Source, params: PrepareParams) -> Partition:
    """Split a clean source's training rows as params.yaml asks; a validation split of its own is kept as it is.

    Raises:
        StudyError: If there are too few rows.
    """
    if source.validation is not None:
        return _keep_given(source, source.validation, grouped=params.partition == "grouped")
    quotas = _quotas(params.validation_rows, source.train.num_classes)
    generator = np.random.default_rng(params.split_seed)
    if params.partition == "random":
        return _carve_random(source.train, quotas, generator)
    return _carve_grouped(source, quotas, generator)


def _quotas(num_rows: int, num_classes: int) -> list[int]:
    """Validation rows of each class, differing by at most one."""
    check_param(
        num_rows >= num_classes,
        f"prepare.validation_rows must be at least {num_classes}, one for each class, got {num_rows}",
    )
    return [num_rows // num_classes + (label < num_rows % num_classes) for label in range(num_classes)]


def _carve_random(train: Split, quotas: list[int], generator: np.random.Generator) -> Partition:
    """Draw validation rows without a look at their words, which is what most studies do."""
    available = np.bincount(train.labels) - 1  # the pool needs a row of each class, too
    _require_enough(quotas, available)
    validation = _draw(np.arange(len(train)), train.labels, quotas, generator)
    return Partition(
        pool=train.take(np.setdiff1d(np.arange(len(train)), validation)),
        validation=train.take(validation),
        validation_origin="drawn from the training rows at random",
        sources_held_out=0,
        rows_dropped=0,
    )


def _carve_grouped(source: Source, quotas: list[int], generator: np.random.Generator) -> Partition:
    """Hold out as many sources as it takes to find enough candidates of each class."""
    train = source.train
    if source.train_groups is None:
        first, last = _rank_roots(read_words(train.texts), generator)
        kind = "source sentences"
    else:
        first = last = _rank_groups(source.train_groups, generator)
        kind = "groups"
    by_class = [train.labels == label for label in range(train.num_classes)]
    most_held = min(first[rows].max() for rows in by_class)  # or the pool would lose a class
    _require_enough(quotas, np.array([(last[rows] < most_held).sum() for rows in by_class]))

    held = max(int(np.sort(last[rows])[quota - 1]) + 1 for rows, quota in zip(by_class, quotas, strict=True))
    validation = _draw(np.flatnonzero(last < held), train.labels, quotas, generator)
    pool = np.flatnonzero(first >= held)
    return Partition(
        pool=train.take(pool),
        validation=train.take(validation),
        validation_origin=f"drawn from {held:,} {kind} held out of the training rows",
        sources_held_out=held,
        rows_dropped=len(train) - len(pool) - len(validation),
    )


def _rank_roots(rows: WordRows, generator: np.random.Generator) -> tuple[Ranks, Ranks]:
    """Put the roots into random order; for each row the first and the last root that contains it."""
    first_equal = rows.first_equal()
    is_root = np.ones(len(rows), dtype=np.bool_)
    for part, whole in occurrences(rows, rows):
        is_root[part[rows.lengths[part] < rows.lengths[whole]]] = False
    roots = np.flatnonzero(is_root & (first_equal == np.arange(len(rows))))  # of equal rows the first

    ranks = generator.permutation(len(roots))
    first, last = np.full(len(rows), len(roots)), np.full(len(rows), -1)
    for part, root in occurrences(rows, rows.take(roots)):
        np.minimum.at(first, part, ranks[root])
        np.maximum.at(last, part, ranks[root])
    return first[first_equal], last[first_equal]


def _rank_groups(groups: NDArray[np.int64], generator: np.random.Generator) -> Ranks:
    """Put the groups into random order; for each row its group's place."""
    numbers, which = np.unique(groups, return_inverse=True)
    return generator.permutation(len(numbers))[which]


def _draw(candidates: Rows, labels: NDArray[np.int64], quotas: list[int], generator: np.random.Generator) -> Rows:
    """The quota of each class from the candidates, in the source's order."""
    drawn = [
        generator.choice(candidates[labels[candidates] == label], size=quota, replace=False)
        for label, quota in enumerate(quotas)
    ]
    return np.sort(np.concatenate(drawn))


def _require_enough(quotas: list[int], available: NDArray[np.int64]) -> None:
    """Refuse quotas that the data cannot meet, and say what they can."""
    most = len(quotas) * int(available.min()) + int(available.argmin())  # classes before the scarcest may give one more
    most = most if available.min() > 0 else 0
    check_param(
        (available >= quotas).all(),
        f"prepare.validation_rows asks for {sum(quotas)} rows, but at most {most} can be held out of this data set",
    )


def _keep_given(source: Source, validation: Split, *, grouped: bool) -> Partition:
    """Use the source's own validation split; `grouped` drops the training rows that overlap with it."""
    dropped = _overlaps(source, validation) if grouped else np.zeros(len(source.train), dtype=np.bool_)
    pool = source.train.take(np.flatnonzero(~dropped))
    if (np.bincount(pool.labels, minlength=pool.num_classes) == 0).any():
        raise StudyError(
            "so many training rows overlap with the validation split that a class is left without any; "
            "`prepare.partition: random` keeps them"
        )
    return Partition(
        pool=pool,
        validation=validation,
        validation_origin="given by the source",
        sources_held_out=0,
        rows_dropped=int(dropped.sum()),
    )


def _overlaps(source: Source, validation: Split) -> NDArray[np.bool_]:
    """(N,) whether a training row is in a group, contains a text or is part of one of the validation split."""
    rows, given = read_words(source.train.texts), read_words(validation.texts)
    overlaps = np.zeros(len(rows), dtype=np.bool_)
    for row, _ in occurrences(rows, given):
        overlaps[row] = True
    overlaps = overlaps[rows.first_equal()]
    for _, row in occurrences(given, rows):
        overlaps[row] = True
    if source.train_groups is not None and source.validation_groups is not None:
        overlaps |= np.isin(source.train_groups, source.validation_groups)
    return overlaps
