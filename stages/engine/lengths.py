"""How long the texts of a split are, and what of them a model does not read."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stages.foundation.files import read_json, write_json
from stages.foundation.log import say

MANY = 0.01  # share of a split's rows above which cutting them is worth a warning


@dataclass(frozen=True, kw_only=True, slots=True)
class TextLengths:
    """Lengths of N texts, or pairs of texts, in tokens, special ones included."""

    tokens: list[int]  # each length that occurs, from the shortest
    rows: list[int]  # how many texts have it
    most_read: int  # tokens, train.max_tokens: what is longer is cut to it
    most_readable: int | None  # tokens that the model could read; None: it has no limit

    @classmethod
    def of(cls, lengths: NDArray[np.int64], *, most_read: int, most_readable: int | None) -> Self:
        """Count texts of (N,) tokens each."""
        tokens, rows = np.unique(lengths, return_counts=True)
        return cls(tokens=tokens.tolist(), rows=rows.tolist(), most_read=most_read, most_readable=most_readable)

    @property
    def num_rows(self) -> int:
        """N."""
        return sum(self.rows)

    @property
    def rows_cut(self) -> int:
        """Texts that are not read to their end."""
        return sum(rows for tokens, rows in zip(self.tokens, self.rows, strict=True) if tokens > self.most_read)

    @property
    def tokens_cut(self) -> int:
        """Tokens of these that are not read."""
        beyond = (max(0, tokens - self.most_read) for tokens in self.tokens)
        return sum(tokens * rows for tokens, rows in zip(beyond, self.rows, strict=True))


READ_WHOLE = TextLengths(tokens=[], rows=[], most_read=0, most_readable=None)  # of a method that cuts nothing


def cut_table(lengths: Mapping[str, TextLengths]) -> dict[str, int]:
    """What was cut in each split, under flat names."""
    table: dict[str, int] = {}
    for split, told in lengths.items():
        table |= {f"{split}_rows_cut": told.rows_cut, f"{split}_tokens_cut": told.tokens_cut}
    return table


def say_cut(lengths: Mapping[str, TextLengths]) -> None:
    """Say in one line what is cut in these splits; nothing where nothing is."""
    cut = {split: told for split, told in lengths.items() if told.rows_cut}
    if not cut:
        return
    parts = [
        f"{split} {told.rows_cut:,} of {told.num_rows:,} rows ({told.tokens_cut:,} tokens lost)"
        for split, told in cut.items()
    ]
    some = next(iter(cut.values()))
    many = any(told.rows_cut > MANY * told.num_rows for told in cut.values())
    line = f"texts cut at {some.most_read:,} tokens: {', '.join(parts)}"
    say(f"warning: {line}; if what is lost should count, {way_out(some)}" if many else line)


def way_out(lengths: TextLengths) -> str:
    """What can be done about texts that are cut, for the middle of a sentence."""
    if lengths.most_readable is None:
        return "raise train.max_tokens: the model has no limit of its own"
    if lengths.most_read < lengths.most_readable:
        return f"raise train.max_tokens: the model reads up to {lengths.most_readable:,}"
    return f"take another model: this one reads no more than train.max_tokens, {lengths.most_read:,}"


def write_lengths(path: Path, lengths: Mapping[str, TextLengths]) -> None:
    """Write the lengths of each split."""
    write_json(path, {split: asdict(told) for split, told in lengths.items()})


def read_lengths(path: Path) -> dict[str, TextLengths]:
    """Read what `write_lengths` wrote."""
    return {split: TextLengths(**told) for split, told in read_json(path).items()}
