"""Texts to token ids, and the order in which they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class TokenRows:
    """N texts as token ids, one text behind the other."""

    ids: NDArray[np.int32]  # vocabulary ids of all texts
    starts: NDArray[np.int64]  # (N,) where each text begins in `ids`
    lengths: NDArray[np.int64]  # (N,) tokens of each text

    def __len__(self) -> int:
        return len(self.lengths)


def tokenize(tokenizer: PreTrainedTokenizerBase, sentences: Sequence[str], max_tokens: int) -> TokenRows:
    """Token ids of each text, special tokens included, cut to `max_tokens`."""
    encoded = tokenizer(
        list(sentences),
        truncation=True,
        max_length=max_tokens,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
    )["input_ids"]
    lengths = np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded))
    ids = np.fromiter(chain.from_iterable(encoded), dtype=np.int32, count=lengths.sum())
    return TokenRows(ids, np.cumsum(lengths) - lengths, lengths)


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
