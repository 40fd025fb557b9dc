"""How far validation and test texts are met in the training texts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from stages.corpus.spans import WordRows, occurrences, read_words
from stages.foundation.split import Split

CONTAINED_WORDS = 3  # shorter training texts, such as `a film`, occur in any text by chance


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaks:
    """Rows of a split that are met in training, letter case and white space aside; one row may count in each."""

    equal: int  # the same words as a training text
    part_of: int  # a run of words of a longer training text
    contains: int  # a shorter training text, of three words or more, is a run of its words
    any: int  # at least one of the three


def leak_table(splits: Mapping[str, Split], training: Split, name: str) -> dict[str, int]:
    """The leaks of each split as flat metrics, such as `pool_val_equal`.

    Args:
        splits: What must not be in the training texts, by its short name.
        training: The training texts.
        name: What to call these in the metrics.
    """
    leaks = measure_leaks(list(splits.values()), training)
    return {
        f"{name}_{split}_{kind}": count
        for split, found in zip(splits, leaks, strict=True)
        for kind, count in asdict(found).items()
    }


def measure_leaks(splits: list[Split], training: Split) -> list[Leaks]:
    """Compare every text of each split with every training text."""
    texts = [sentence for split in splits for sentence in split.sentences]
    met = _find_leaks(read_words(texts), read_words(training.sentences))  # once for all: training may be large
    ends = np.cumsum([len(split) for split in splits])[:-1]
    return [
        Leaks(equal=int(equal.sum()), part_of=int(part_of.sum()), contains=int(contains.sum()), any=int(any_.sum()))
        for equal, part_of, contains, any_ in (part.T for part in np.split(met, ends))
    ]


def _find_leaks(rows: WordRows, training: WordRows) -> NDArray[np.bool_]:
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
