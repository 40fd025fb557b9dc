"""Texts to token ids, token ids to padded batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class PaddedBatch:
    """B texts, padded to the longest of them, T tokens."""

    input_ids: Tensor  # (B, T) int64, vocabulary ids
    attention_mask: Tensor  # (B, T) int64, 1 for a token, 0 for padding


def tokenize(tokenizer: PreTrainedTokenizerBase, sentences: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Token ids of each text, special tokens included, cut to `max_tokens`."""
    encoded = tokenizer(
        list(sentences),
        truncation=True,
        max_length=max_tokens,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    return list(encoded["input_ids"])


def pad(token_ids: Sequence[list[int]], pad_token_id: int) -> PaddedBatch:
    """Pad to the longest text of the batch, and no further.

    `pad([[5, 6, 7], [8]], 0)` has input_ids [[5, 6, 7], [8, 0, 0]] and attention_mask [[1, 1, 1], [1, 0, 0]].
    """
    width = max(map(len, token_ids))
    input_ids = torch.full((len(token_ids), width), pad_token_id, dtype=torch.int64)
    attention_mask = torch.zeros((len(token_ids), width), dtype=torch.int64)
    for row, ids in enumerate(token_ids):
        input_ids[row, : len(ids)] = torch.tensor(ids, dtype=torch.int64)
        attention_mask[row, : len(ids)] = 1
    return PaddedBatch(input_ids, attention_mask)


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


def sorted_batches(lengths: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """All rows in batches of like length, shortest first; for prediction, where order is free."""
    order = np.argsort(lengths, kind="stable")
    return [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
