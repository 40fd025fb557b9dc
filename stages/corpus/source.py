"""What a data source gives: labelled texts, as they were found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.foundation.split import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A data set as its files, the Hub or the phrase banks give it; `cleaning.clean` returns one, too."""

    train: Split
    test: Split
    validation: Split | None  # None: prepare holds one out of train
    train_groups: NDArray[np.int64] | None  # (len(train),) group number of each training row, or None
    validation_groups: NDArray[np.int64] | None  # the same numbers for a given validation split
    kind: str  # files, hub or phrase_banks
    revision: str  # the Hub commit; empty for the other kinds
    synthetic: bool  # True only for texts that the project made up
    test_origin: str  # where the test split comes from, e.g. `dev.tsv (test.tsv has no labels)`
