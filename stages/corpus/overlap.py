"""Which texts occur, whole, inside which others: what keeps validation apart from training, and what tells how far.

A text is its words, split at white space and case-folded. It occurs in another one if that has the same words
next to each other in the same order. Every word becomes a 64-bit number, so that a run of words has a hash that
prefix sums give at once (Karp and Rabin 1987); runs are compared by their hashes alone. Among a million rows
the chance that any two different runs are taken for equal is about one in a hundred thousand.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.foundation.split import Split

CONTAINED_WORDS = 3  # shorter training texts, such as `a film`, occur in any text by chance
MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
INVERSE = pow(MULTIPLIER, -1, 2**64)
TEXTS_AT_ONCE = 50_000
WORDS_AT_ONCE = 500_000  # keeps a block of windows near the processor's cache

Rows = NDArray[np.int64]  # row numbers
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Rows of a split that are met in training, letter case and white space aside; one row may count in each."""

    equal: int  # the same words as a training text
    part_of: int  # a run of words of a longer training text
    contains: int  # a shorter training text, of three words or more, is a run of its words
    any: int  # at least one of the three


def overlap_table(splits: Mapping[str, Split], training: Split, name: str) -> dict[str, int]:
    """The overlap of each split as flat metrics, such as `pool_val_equal`.

    Args:
        splits: What must not be in the training texts, by its short name.
        training: The training texts.
        name: What to call these in the metrics.
    """
    overlaps = measure_overlap(list(splits.values()), training)
    return {
        f"{name}_{split}_{kind}": count
        for split, found in zip(splits, overlaps, strict=True)
        for kind, count in asdict(found).items()
    }


def measure_overlap(splits: list[Split], training: Split) -> list[Overlap]:
    """Compare every text of each split with every training text."""
    texts = [text for split in splits for text in split.texts]
    met = _find_overlap(read_words(texts), read_words(training.texts))  # once for all: training may be large
    ends = np.cumsum([len(split) for split in splits])[:-1]
    return [
        Overlap(equal=int(equal.sum()), part_of=int(part_of.sum()), contains=int(contains.sum()), any=int(any_.sum()))
        for equal, part_of, contains, any_ in (part.T for part in np.split(met, ends))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordRows:
    """N texts of T words in all, laid end to end."""

    words: Hashes  # (T,) a number for each word
    lengths: Rows  # (N,) words of each text
    starts: Rows  # (N + 1,) first word of each text, then T
    prefix: Hashes  # (T + 1,) sums of word times MULTIPLIER ** position, modulo 2**64
    unscale: Hashes  # (T + 1,) INVERSE ** position

    def __len__(self) -> int:
        return len(self.lengths)

    def window_hashes(self, first: Rows, length: int | Rows) -> Hashes:
        """Hashes of the runs of `length` words that begin at the words `first`."""
        hashes: Hashes = (self.prefix[first + length] - self.prefix[first]) * self.unscale[first]
        return hashes

    def take(self, rows: Rows) -> "WordRows":
        """The texts at these positions, in this order."""
        lengths = self.lengths[rows]
        skipped = self.starts[rows] - (np.cumsum(lengths) - lengths)
        return _lay_out(self.words[np.repeat(skipped, lengths) + np.arange(lengths.sum())], lengths)

    def first_equal(self) -> Rows:
        """(N,) for each text, the first row that has the same words."""
        hashes = self.window_hashes(self.starts[:-1], self.lengths)
        _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
        return first[which].astype(np.int64)


def read_words(texts: Sequence[str]) -> WordRows:
    """Split texts into words; equal words get equal numbers in every call."""
    lengths: list[int] = []
    words = [np.empty(0, np.uint64)]
    for at in range(0, len(texts), TEXTS_AT_ONCE):
        block: list[str] = []
        for text in texts[at : at + TEXTS_AT_ONCE]:
            before = len(block)
            block += text.casefold().split()
            lengths.append(len(block) - before)
        words.append(pd.util.hash_array(np.array(block, dtype=object)))
    return _lay_out(np.concatenate(words), np.array(lengths, dtype=np.int64))


def occurrences(needles: WordRows, haystack: WordRows) -> Iterator[tuple[Rows, Rows]]:
    """Find where the needles occur in the haystack, themselves included if they are in it.

    Of needles with the same words only the first is reported (see `WordRows.first_equal`); a pair comes once
    for each place where the needle begins.

    Yields:
        Needle rows and haystack rows, (M,) each: a needle occurs in the haystack row beside it.
    """
    buckets = [_Bucket(needles, rows) for rows in _by_magnitude(needles.lengths)]
    for begin, end in _blocks(haystack.starts):
        row_of = np.repeat(np.arange(begin, end), haystack.lengths[begin:end])
        first = np.arange(haystack.starts[begin], haystack.starts[end])
        room = haystack.starts[row_of + 1] - first  # words from here to the end of the text
        for bucket in buckets:
            for places, found in bucket.search(haystack, first, room):
                yield found, row_of[places]


def _find_overlap(rows: WordRows, training: WordRows) -> NDArray[np.bool_]:
    """(N, 4): for each row whether it is equal to, part of, or contains a training text, or any of these."""
    equal, part_of, contains = np.zeros((3, len(rows)), dtype=np.bool_)
    for row, text in occurrences(rows, training):
        is_whole = rows.lengths[row] == training.lengths[text]
        equal[row[is_whole]] = True
        part_of[row[~is_whole]] = True
    first = rows.first_equal()
    equal, part_of = equal[first], part_of[first]
    for text, row in occurrences(training, rows):
        length = training.lengths[text]
        contains[row[(length >= CONTAINED_WORDS) & (length < rows.lengths[row])]] = True
    return np.stack([equal, part_of, contains, equal | part_of | contains], axis=1)


class _Bucket:
    """Needles of at least 2**k and less than 2**(k + 1) words.

    Few words of the haystack begin a run whose first 2**k words also begin a needle. Only there does each
    length of the bucket have to be tried, so long needles of many lengths cost little.
    """

    def __init__(self, needles: WordRows, rows: Rows) -> None:
        lengths = needles.lengths[rows]
        self.anchor_length = 2 ** (int(lengths[0]).bit_length() - 1)
        self.anchors = _table(needles, rows, self.anchor_length)
        self.tables = {
            length: _table(needles, rows[lengths == length], length) for length in np.unique(lengths).tolist()
        }

    def search(self, haystack: WordRows, first: Rows, room: Rows) -> Iterator[tuple[Rows, Rows]]:
        """Positions in `first` at which a needle begins, and the needle's row."""
        places = np.flatnonzero(room >= self.anchor_length)
        places = places[self.anchors.find(haystack.window_hashes(first[places], self.anchor_length))[0]]
        for length, table in self.tables.items():
            fitting = places[room[places] >= length]
            hits, rows = table.find(haystack.window_hashes(first[fitting], length))
            yield fitting[hits], rows


class _HashTable:
    """Rows by hash: the leading bits of a hash lead to the few keys that share them."""

    def __init__(self, hashes: Hashes, rows: Rows) -> None:
        self.keys, where = np.unique(hashes, return_index=True)
        self.rows = rows[where]
        bits = max(10, (4 * len(self.keys)).bit_length())
        self.shift = np.uint64(64 - bits)
        keys_per_slot = np.bincount((self.keys >> self.shift).astype(np.int64), minlength=2**bits)
        self.slots = np.concatenate(([0], np.cumsum(keys_per_slot))).astype(np.int32)

    def find(self, hashes: Hashes) -> tuple[Rows, Rows]:
        """Which of the hashes are keys, and the row of each of these."""
        slot = (hashes >> self.shift).astype(np.int64)
        at, end = self.slots[slot], self.slots[slot + 1]
        wanted = np.flatnonzero(at < end)
        at, end = at[wanted], end[wanted]
        found_in, found_at = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        while len(wanted):
            hit = self.keys[at] == hashes[wanted]
            found_in.append(wanted[hit])
            found_at.append(self.rows[at[hit]])
            at = at + 1
            going_on = ~hit & (at < end)
            wanted, at, end = wanted[going_on], at[going_on], end[going_on]
        return np.concatenate(found_in), np.concatenate(found_at)


def _table(needles: WordRows, rows: Rows, length: int) -> _HashTable:
    """The first `length` words of these needles."""
    return _HashTable(needles.window_hashes(needles.starts[rows], length), rows)


def _lay_out(words: Hashes, lengths: Rows) -> WordRows:
    starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    scaled = words * _powers(MULTIPLIER, len(words))[:-1]
    prefix = np.concatenate((np.zeros(1, np.uint64), np.cumsum(scaled)))
    return WordRows(words=words, lengths=lengths, starts=starts, prefix=prefix, unscale=_powers(INVERSE, len(words)))


def _powers(base: int, highest: int) -> Hashes:
    """(highest + 1,) powers of the base modulo 2**64, from 0 on."""
    factors = np.full(highest + 1, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors)


def _by_magnitude(lengths: Rows) -> list[Rows]:
    """Rows of 1 word, of 2 or 3, of 4 to 7, of 8 to 15, and so on, as far as there are any."""
    magnitude = np.frexp(lengths)[1]  # 2**(m - 1) <= length < 2**m
    return [np.flatnonzero(magnitude == wanted) for wanted in np.unique(magnitude[lengths > 0])]


def _blocks(starts: Rows) -> Iterator[tuple[int, int]]:
    """Ranges of rows that hold about WORDS_AT_ONCE words, or one long row."""
    cuts = np.searchsorted(starts[:-1], np.arange(0, starts[-1], WORDS_AT_ONCE))
    return pairwise([*np.unique(cuts).tolist(), len(starts) - 1])


def words_of(split: Split) -> WordRows:
    """N texts; of pairs 2 N, the first ones first. A second text of few words stands for none: it may be in any row."""
    second = [text if len(text.split()) >= CONTAINED_WORDS else "" for text in split.second or []]
    return read_words([*split.sentences, *second])


def count_sources(split: Split) -> int:
    """How many source sentences the rows of a split come from, as far as they tell: rows that are part of no other."""
    rows = words_of(split)
    return len(roots_of(rows, rows.first_equal()))


def roots_of(rows: WordRows, first_equal: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of the texts that are part of no longer one; of equal texts the first."""
    is_root = np.ones(len(rows), dtype=np.bool_)
    for part, whole in occurrences(rows, rows):
        is_root[part[rows.lengths[part] < rows.lengths[whole]]] = False
    return np.flatnonzero(is_root & (rows.lengths > 0) & (first_equal == np.arange(len(rows))))
