"""Labelled texts on their way from stage to stage."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.foundation.errors import StudyError

BOUNDARY = "\ufdd0"  # a code point that Unicode gives to no character, so that no run of words reads across it


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """N labelled texts and the names of their classes."""

    row_ids: NDArray[np.int64]  # (N,) row number in the source's split, from 0
    sentences: list[str]  # N texts
    labels: NDArray[np.int64]  # (N,) class index
    label_names: tuple[str, ...]  # name of each class index
    second: list[str] | None = None  # N second texts, where each row is a pair of texts; `sentences` holds the first
    groups: NDArray[np.int64] | None = None  # (N,) numbers of groups whose rows stay together; None: there are none

    def __len__(self) -> int:
        return len(self.sentences)

    @property
    def num_classes(self) -> int:
        """Number of classes, whether or not each occurs."""
        return len(self.label_names)

    @property
    def quoted(self) -> list[str]:
        """Each row for people to read; of a pair both texts, one below the other."""
        if self.second is None:
            return self.sentences
        return [f"{first}\n{second}" for first, second in zip(self.sentences, self.second, strict=True)]

    @property
    def texts(self) -> list[str]:
        """N texts, one a row: of a pair both, with a word between them that no text holds."""
        if self.second is None:
            return self.sentences
        return [f"{first} {BOUNDARY} {second}" for first, second in zip(self.sentences, self.second, strict=True)]

    def take(self, rows: NDArray[np.int64]) -> Self:
        """The rows at these positions, in this order."""
        return type(self)(
            row_ids=self.row_ids[rows],
            sentences=[self.sentences[row] for row in rows],
            labels=self.labels[rows],
            label_names=self.label_names,
            second=None if self.second is None else [self.second[row] for row in rows],
            groups=None if self.groups is None else self.groups[rows],
        )


def write_split(path: Path, split: Split) -> None:
    """Write a split as Parquet: row_id, label, sentence, where there is one second and group, too.

    Label names travel in its metadata.
    """
    columns = {"row_id": split.row_ids, "label": split.labels, "sentence": split.sentences}
    more = {"second": split.second, "group": split.groups}
    frame = pd.DataFrame(columns | {name: values for name, values in more.items() if values is not None})
    frame.attrs["label_names"] = list(split.label_names)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False)


def read_split(path: Path) -> Split:
    """Read what `write_split` wrote.

    Raises:
        StudyError: If the file is missing.
    """
    if not path.is_file():
        raise StudyError(f"{path} is missing; run `dvc repro`")
    frame = pd.read_parquet(path)
    return Split(
        row_ids=frame["row_id"].to_numpy(np.int64),
        sentences=frame["sentence"].tolist(),
        labels=frame["label"].to_numpy(np.int64),
        label_names=tuple(frame.attrs["label_names"]),
        second=frame["second"].tolist() if "second" in frame else None,
        groups=frame["group"].to_numpy(np.int64) if "group" in frame else None,
    )
