"""Hold validation rows out of the training rows.

SST-2's training rows are phrases cut from some 6,900 sentences. A validation row drawn at random then shares its
words with training rows, the more the larger the training set, so that a learning curve becomes partly a curve
of the leak. `grouped` keeps source sentences together (`stages.corpus.carve`). The source sentences of a row are the
roots that contain it; a root is a row that is part of no longer row. So no validation row is equal to, part of, or
longer than and around a row of the pool. Rows that are unrelated are each a source of their own, and none is lost.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stages.corpus.carve import Carve, carve, draw, find_sources, most_of_each, shares_of
from stages.corpus.overlap import occurrences, words_of
from stages.corpus.params import PrepareParams
from stages.corpus.sources.source import Source
from stages.foundation.errors import StudyError, check_param
from stages.foundation.split import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """What may be trained on and what validates it."""

    pool: Split
    validation: Split
    validation_origin: str  # how it came about, in words
    sources_held_out: int  # source sentences, or groups; 0 where none were looked for
    rows_of_held_sources: int  # in neither: they share a held-out source with validation rows
    rows_overlapping: int  # in neither: they overlap with a given validation split

    @property
    def rows_dropped(self) -> int:
        """In neither split."""
        return self.rows_of_held_sources + self.rows_overlapping


def partition(source: Source, params: PrepareParams) -> Partition:
    """Split a clean source's training rows as params.yaml asks; a validation split of its own is kept as it is.

    The validation rows are as equal over the classes as can be, or as the training rows have them. No class gives more
    than half of its rows, and none more than the sources that are held out have of it; what it cannot give, the other
    classes give instead.

    Raises:
        StudyError: If there are too few rows.
    """
    if params.partition == "grouped":
        source = replace(source, train=replace(source.train, groups=source.train_groups))
    if source.validation is not None:
        return _keep_given(source, source.validation, grouped=params.partition == "grouped")
    if not params.validation_rows:
        return _hold_nothing_out(source.train)
    least = source.train.num_classes
    check_param(
        params.validation_rows >= least,
        f"prepare.validation_rows must be at least {least}, one for each class, got {params.validation_rows}",
    )
    generator = np.random.default_rng(params.split_seed)
    if params.partition == "random":
        return _carve_random(source.train, params, generator)
    return _carve_grouped(source.train, params, generator)


def _hold_nothing_out(train: Split) -> Partition:
    return Partition(
        pool=train,
        validation=train.take(np.empty(0, np.int64)),
        validation_origin="none: prepare.validation_rows is 0",
        sources_held_out=0,
        rows_of_held_sources=0,
        rows_overlapping=0,
    )


def _carve_random(train: Split, params: PrepareParams, generator: np.random.Generator) -> Partition:
    """Draw validation rows without a look at their words, which is what most studies do."""
    of_class = [np.flatnonzero(train.labels == label) for label in range(train.num_classes)]
    most = most_of_each(train.labels, train.num_classes)
    shares = shares_of(params.validation_rows, most, train.labels, params.validation_ratio)
    validation = draw(of_class, shares, generator)
    _require_enough(train, params.validation_rows, len(validation), kept_together="")
    return Partition(
        pool=train.take(np.setdiff1d(np.arange(len(train)), validation)),
        validation=train.take(validation),
        validation_origin="drawn from the training rows at random",
        sources_held_out=0,
        rows_of_held_sources=0,
        rows_overlapping=0,
    )


def _carve_grouped(train: Split, params: PrepareParams, generator: np.random.Generator) -> Partition:
    """Hold out as many sources as it takes to find enough candidates of each class."""
    sources, kind = find_sources(train, generator)
    found = carve(
        sources,
        train.labels,
        num_rows=params.validation_rows,
        num_classes=train.num_classes,
        ratio=params.validation_ratio,
        generator=generator,
    )
    _require_enough(train, params.validation_rows, len(found.validation), kept_together=kind)
    return _carved(train, found, kind)


def _carved(train: Split, found: Carve, kind: str) -> Partition:
    return Partition(
        pool=train.take(found.pool),
        validation=train.take(found.validation),
        validation_origin=f"drawn from {found.sources_held_out:,} {kind} held out of the training rows",
        sources_held_out=found.sources_held_out,
        rows_of_held_sources=len(train) - len(found.pool) - len(found.validation),
        rows_overlapping=0,
    )


def _require_enough(train: Split, num_rows: int, found: int, *, kept_together: str) -> None:
    """Refuse to go on with fewer validation rows than asked for; say how many there can be, and the ways out."""
    most = found if found >= train.num_classes else 0
    ways = [f"prepare.validation_rows: {most}"] if most else []
    at_random = int(most_of_each(train.labels, train.num_classes).sum())
    if kept_together and at_random >= max(most + 1, train.num_classes):
        ways.append(
            f"prepare.partition: random, which tears {kept_together} apart and so makes scores look better than they "
            f"are (at most {at_random})"
        )
    ways.append("a validation file of your own beside the training file")
    together = f", and {kept_together} stay whole" if kept_together else ""
    check_param(
        found >= num_rows,
        f"prepare.validation_rows asks for {num_rows} rows, but at most {most} can be held out of this data set: the "
        f"pool keeps at least half of each class's rows{together}. What can be done: {'; or '.join(ways)}",
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
        rows_of_held_sources=0,
        rows_overlapping=int(dropped.sum()),
    )


def _overlaps(source: Source, validation: Split) -> NDArray[np.bool_]:
    """(N,) whether a training row is in a group, contains a text or is part of one of the validation split."""
    rows, given = words_of(source.train), words_of(validation)
    met = np.zeros(len(rows), dtype=np.bool_)
    for row, _ in occurrences(rows, given):
        met[row] = True
    met = met[rows.first_equal()]
    for _, row in occurrences(given, rows):
        met[row] = True
    overlaps = np.zeros(len(source.train), dtype=np.bool_)
    overlaps[np.flatnonzero(met) % len(source.train)] = True  # either text of a pair
    if source.train_groups is not None and source.validation_groups is not None:
        overlaps |= np.isin(source.train_groups, source.validation_groups)
    return overlaps
