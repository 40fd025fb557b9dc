"""Which rows validate and which may be trained on, so that no source has rows on both sides.

A source is what must not be torn apart: a group, or a sentence with all its phrases. Sources are held out one after the
other, in random order, until there are enough candidates of each class:

    a source is passed over     if more than half of a class's rows would then be out of the pool,
    a row may validate          once every source that contains it is held out,
    a source goes back          if none of its rows was drawn to validate,
    a row is in the pool        if no source that contains it stayed held out.

One source stays held out although it validates nothing: one that shares rows with a source that validates, and that was
held out while every class still lacked candidates. Two of SST-2's are such, and numerical version 1 has their rows out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.corpus.overlap import occurrences, roots_of, words_of
from stages.corpus.params import ClassRatio
from stages.foundation.split import Split

Rows = NDArray[np.int64]  # positions
Labels = NDArray[np.int64]
NEVER = np.iinfo(np.int64).max
ALIKE = 3  # a class draws from as many sources as one that is at most so many times scarcer needs


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """S sources in the order in which they are held out; a row may be in several."""

    rows: Rows  # (M,) the rows of each source, source after source
    starts: Rows  # (S + 1,) where each begins, then M

    def __len__(self) -> int:
        return len(self.starts) - 1

    def rows_of(self, source: int) -> Rows:
        """The rows that one source contains."""
        return self.rows[self.starts[source] : self.starts[source + 1]]

    def joined(self, num_rows: int) -> Rows:
        """(N,) a number for each row, the same for all that sources join, be it over others."""
        source_of = np.repeat(np.arange(len(self)), np.diff(self.starts))
        numbers = np.arange(num_rows)
        while True:
            lowest = np.full(len(self), num_rows)
            np.minimum.at(lowest, source_of, numbers[self.rows])
            lower = numbers.copy()
            np.minimum.at(lower, self.rows, lowest[source_of])
            lower = lower[lower]  # jumps along chains
            if (lower == numbers).all():
                return numbers
            numbers = lower

    def of_each_row(self, num_rows: int) -> list[Rows]:
        """The sources that each of N rows is in; none for a row of no word."""
        order = np.argsort(self.rows, kind="stable")
        source_of = np.repeat(np.arange(len(self)), np.diff(self.starts))
        return np.split(source_of[order], np.searchsorted(self.rows[order], np.arange(1, num_rows)))

    @classmethod
    def of_pairs(cls, ranks: Rows, rows: Rows, *, num_sources: int) -> "Sources":
        """From (M,) places of sources in the order and the rows beside them; a pair may come twice."""
        width = int(rows.max(initial=0)) + 1
        pairs = np.unique(ranks * width + rows)
        return cls(rows=pairs % width, starts=np.searchsorted(pairs // width, np.arange(num_sources + 1)))


def find_sources(train: Split, generator: np.random.Generator) -> tuple[Sources, str]:
    """What must not be torn apart, in random order, and what it is called: groups, or source sentences."""
    if train.groups is not None:
        return _group_sources(train.groups, generator), "groups"
    if train.second is not None:
        joined = _text_sources(train, generator).joined(len(train))
        return _group_sources(joined, generator), "groups of pairs that share a text"
    return _text_sources(train, generator), "source sentences"


def _text_sources(train: Split, generator: np.random.Generator) -> Sources:
    """The roots in random order."""
    rows = words_of(train)
    first_equal = rows.first_equal()
    roots = roots_of(rows, first_equal)
    ranks = generator.permutation(len(roots))

    met = [np.empty((2, 0), np.int64)]
    for part, root in occurrences(rows, rows.take(roots)):
        met.append(np.unique(np.stack([part, ranks[root]]), axis=1))
    parts, sources = np.concatenate(met, axis=1)
    order = np.argsort(first_equal, kind="stable")  # equal texts beside each other
    begin, end = (np.searchsorted(first_equal[order], parts, side=side) for side in ("left", "right"))
    each = end - begin
    texts = order[np.repeat(begin - (np.cumsum(each) - each), each) + np.arange(each.sum())]
    return Sources.of_pairs(np.repeat(sources, each), texts % len(train), num_sources=len(roots))


def _group_sources(groups: NDArray[np.int64], generator: np.random.Generator) -> Sources:
    """The groups in random order."""
    numbers, which = np.unique(groups, return_inverse=True)
    ranks = generator.permutation(len(numbers))
    return Sources.of_pairs(ranks[which], np.arange(len(groups)), num_sources=len(numbers))


@dataclass(frozen=True, kw_only=True, slots=True)
class Carve:
    """Which rows go where."""

    pool: Rows  # positions, rising
    validation: Rows  # likewise; fewer than asked for where there are no more
    sources_held_out: int


def most_of_each(labels: Labels, num_classes: int) -> Rows:
    """(C,) rows of each class that may leave the pool: half of them, rounded down."""
    return np.bincount(labels, minlength=num_classes) // 2


def fair_shares(num_rows: int, most: Sequence[int] | Rows) -> Rows:
    """(C,) rows of each class, as equal as can be: what a class cannot give, the others give instead.

    `fair_shares(60, [1000, 20])` is 40 and 20. Where all of them together cannot, each gives what it has.
    """
    room = np.array(most, dtype=np.int64)
    shares = np.zeros_like(room)
    while (left := num_rows - int(shares.sum())) and (open_classes := np.flatnonzero(shares < room)).size:
        each, rest = divmod(left, len(open_classes))
        if not each:
            open_classes, each = open_classes[:rest], 1
        shares[open_classes] += np.minimum(each, (room - shares)[open_classes])
    return shares


def natural_shares(num_rows: int, most: Sequence[int] | Rows, sizes: Rows) -> Rows:
    """(C,) rows of each class in proportion to its size: one of each that has any to give, the rest by Sainte-Laguë.

    `natural_shares(100, [450, 50], [900, 100])` is 90 and 10. What a class cannot give, the others give instead.
    """
    turns = [(np.arange(room) + 0.5) / size for room, size in zip(most, sizes, strict=True)]
    for turn in turns:
        turn[:1] = 0
    classes = np.repeat(np.arange(len(sizes)), most)
    drawn = classes[np.argsort(np.concatenate(turns), kind="stable")[:num_rows]]
    return np.bincount(drawn, minlength=len(sizes))


def shares_of(num_rows: int, most: Sequence[int] | Rows, labels: Labels, ratio: ClassRatio) -> Rows:
    """(C,) rows of each class: as equal as can be, or as the labels have them."""
    if ratio == "balanced":
        return fair_shares(num_rows, most)
    return natural_shares(num_rows, most, np.bincount(labels, minlength=len(most)))


def carve(
    sources: Sources,
    labels: Labels,
    *,
    num_rows: int,
    num_classes: int,
    ratio: ClassRatio,
    generator: np.random.Generator,
) -> Carve:
    """Hold sources out and draw `num_rows` validation rows from them, the classes in this ratio as nearly as can be."""
    held, ready = _hold_out(sources, labels, shares_of(num_rows, most_of_each(labels, num_classes), labels, ratio))
    of_class = [np.flatnonzero(labels == label) for label in range(num_classes)]
    shares = shares_of(num_rows, [int((ready[rows] < NEVER).sum()) for rows in of_class], labels, ratio)
    needed = [
        int(np.sort(ready[rows])[share - 1]) + 1 if share else 0 for rows, share in zip(of_class, shares, strict=True)
    ]
    reach = [max((other for other in needed if other <= ALIKE * need), default=0) for need in needed]
    candidates = [rows[ready[rows] < limit] for rows, limit in zip(of_class, reach, strict=True)]
    validation = draw(candidates, shares, generator)
    common = min((need for need in needed if need), default=0)
    kept = _kept_out(sources, held, validation, common=common, num_rows=len(labels))
    out = np.zeros(len(labels), dtype=np.bool_)
    for source in kept:
        out[sources.rows_of(source)] = True
    return Carve(pool=np.flatnonzero(~out), validation=validation, sources_held_out=len(kept))


def draw(candidates: Sequence[Rows], shares: Rows, generator: np.random.Generator) -> Rows:
    """Each class's share of its candidates, in the source's order."""
    drawn = [
        generator.choice(rows, size=share, replace=False)
        for rows, share in zip(candidates, shares.tolist(), strict=True)
        if share
    ]
    return np.sort(np.concatenate([np.empty(0, np.int64), *drawn]))


def _hold_out(sources: Sources, labels: Labels, shares: Rows) -> tuple[list[int], Rows]:
    """Hold out sources until each class has its share of candidates, or there are no more sources.

    Returns:
        The sources held out, in order, and (N,) for each row how many were held out before the one with which it
        became a candidate; NEVER: it did not.
    """
    num_classes = len(shares)
    spare, lacking = most_of_each(labels, num_classes), shares.copy()
    in_pool, ready = np.ones(len(labels), dtype=np.bool_), np.full(len(labels), NEVER)
    whole = np.bincount(sources.rows, minlength=len(labels))  # of each row, sources that are not held out
    held: list[int] = []
    for source in range(len(sources)):
        if (lacking <= 0).all():
            break
        rows = sources.rows_of(source)
        leaving = rows[in_pool[rows]]
        fewer = np.bincount(labels[leaving], minlength=num_classes)
        if (fewer > spare).any():
            continue
        spare -= fewer
        in_pool[leaving] = False
        whole[rows] -= 1
        complete = rows[whole[rows] == 0]
        ready[complete] = len(held)
        lacking -= np.bincount(labels[complete], minlength=num_classes)
        held.append(source)
    return held, ready


def _kept_out(sources: Sources, held: Sequence[int], validation: Rows, *, common: int, num_rows: int) -> list[int]:
    """The held sources that do not go back; the first `common` of them were held out for every class."""
    validates, beside = np.zeros((2, num_rows), dtype=np.bool_)
    validates[validation] = True
    does = [bool(validates[sources.rows_of(source)].any()) for source in held]
    for source in (source for source, needed in zip(held, does, strict=True) if needed):
        beside[sources.rows_of(source)] = True
    return [
        source
        for at, (source, needed) in enumerate(zip(held, does, strict=True))
        if needed or (at < common and beside[sources.rows_of(source)].any())
    ]
