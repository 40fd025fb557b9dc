"""Texts to token ids, and the order in which they are read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from stages.foundation.errors import StudyError

BLOCK_ROWS = 1024  # rows that a tokenizer holds uncut at a time, however long they are


@dataclass(frozen=True, slots=True)
class TokenRows:
    """N texts, or pairs of texts, as token ids, one behind the other."""

    ids: NDArray[np.int32]  # vocabulary ids of all texts
    starts: NDArray[np.int64]  # (N,) where each text begins in `ids`
    lengths: NDArray[np.int64]  # (N,) tokens of each text
    types: NDArray[np.int8] | None = None  # segment of each id; None: all are of the first
    uncut: NDArray[np.int64] | None = None  # (N,) tokens of each text before it was cut; None: as `lengths`

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """The texts with these numbers, in this order."""
        uncut = None if self.uncut is None else self.uncut[rows]
        return type(self)(self.ids, self.starts[rows], self.lengths[rows], self.types, uncut)


def tokenize(
    tokenizer: PreTrainedTokenizerBase,
    sentences: Sequence[str],
    max_tokens: int,
    second: Sequence[str] | None = None,
    *,
    with_types: bool = False,
) -> TokenRows:
    """Token ids of each text or pair of texts, special tokens included, cut to `max_tokens`.

    A pair is laid out by the tokenizer's own template and cut as Transformers does unless told otherwise, its longer
    text first (`longest_first`).

    Args:
        tokenizer: The model's.
        sentences: N texts, or the first texts of N pairs.
        max_tokens: Of a row, at most.
        second: The second texts of N pairs; None: single texts.
        with_types: Whether the model is told the segments of a pair.

    Raises:
        StudyError: If a pair could keep nothing but special tokens.
    """
    pairs = second is not None
    if pairs and max_tokens <= (special := tokenizer.num_special_tokens_to_add(pair=True)):
        raise StudyError(f"train.max_tokens is {max_tokens}, but each pair of texts has {special} special tokens")
    parts = [list(sentences)] if second is None else [list(sentences), list(second)]
    encode = partial(
        tokenizer.__call__,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=with_types and pairs,
        verbose=False,  # a text is not too long for the model before it is cut
    )
    blocks = [
        _block(encode, [part[start : start + BLOCK_ROWS] for part in parts], max_tokens)
        for start in range(0, len(sentences), BLOCK_ROWS)
    ]
    lengths = np.concatenate([block.lengths for block in blocks])
    return TokenRows(
        np.concatenate([block.ids for block in blocks]),
        np.cumsum(lengths) - lengths,
        lengths,
        np.concatenate([block.types for block in blocks if block.types is not None]) if with_types and pairs else None,
        np.concatenate([block.uncut for block in blocks if block.uncut is not None]),
    )


def _block(encode: Callable[..., Any], parts: Sequence[Sequence[str]], max_tokens: int) -> TokenRows:
    """Read all rows whole, which tells their lengths, and those that are too long once more, cut by the tokenizer."""
    encoded = encode(*parts, truncation=False)
    uncut = _lengths(encoded["input_ids"])
    if too_long := np.flatnonzero(uncut > max_tokens).tolist():
        cut = encode(*([part[row] for row in too_long] for part in parts), truncation=True, max_length=max_tokens)
        for name, rows in cut.items():
            for row, values in zip(too_long, rows, strict=True):
                encoded[name][row] = values
    lengths = _lengths(encoded["input_ids"])
    types = encoded.get("token_type_ids")
    return TokenRows(
        np.fromiter(chain.from_iterable(encoded["input_ids"]), dtype=np.int32, count=lengths.sum()),
        np.cumsum(lengths) - lengths,
        lengths,
        None if types is None else np.fromiter(chain.from_iterable(types), dtype=np.int8, count=lengths.sum()),
        uncut,
    )


def _lengths(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    return np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))


def shuffled_batches(
    lengths: NDArray[np.int64], *, batch_size: int, bucket_batches: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """One epoch's batches in random order, texts of like length together.

    A permutation of all rows is cut into buckets of `bucket_batches` batches; each bucket is sorted by
    length and cut into batches. Every row comes once; only the last batch of the last bucket may be short.

    Args:
        lengths: (N,) tokens of each text.
        batch_size: Rows in a batch.
        bucket_batches: Batches in a bucket; 1 is plain shuffling.
        generator: Draws the order.

    Returns:
        Row numbers of each batch, each (batch_size,) int64 or shorter.
    """
    order = generator.permutation(len(lengths))
    bucket_rows = batch_size * bucket_batches
    batches = []
    for start in range(0, len(order), bucket_rows):
        bucket = order[start : start + bucket_rows]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[at : at + batch_size] for at in range(0, len(bucket), batch_size)]
    return [batches[at] for at in generator.permutation(len(batches))]


def sorted_batches(lengths: NDArray[np.int64], batch_tokens: int) -> list[NDArray[np.int64]]:
    """All rows in batches of like length, shortest first; for prediction, where order is free.

    Lengths 2, 2, 3, 7 and a budget of 6 tokens make the batches (2, 2), (3) and (7).

    Args:
        lengths: (N,) tokens of each text.
        batch_tokens: Budget of a batch: its rows times the tokens of its longest. A text longer than that is alone.
    """
    order = np.argsort(lengths, kind="stable")
    starts = [0]
    for at, longest in enumerate(lengths[order].tolist()):
        if at > starts[-1] and (at + 1 - starts[-1]) * longest > batch_tokens:
            starts.append(at)
    return np.split(order, starts[1:])
