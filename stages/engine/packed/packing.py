"""Batches without padding: all tokens of a batch in one row.

Only attention needs texts of one length. It works in groups of neighbouring texts whose lengths round up to the same
multiple of `LANES`; there, and nowhere else, a text is padded, by `LANES - 1` positions at the most.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.engine.tokens import TokenRows

LANES = 16  # float32 values in an AVX-512 register; PyTorch's softmax takes 8 times as long over 13 keys as over 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """G neighbouring texts, U tokens, that attention sees padded to L positions."""

    tokens: slice  # the group's U tokens in the packed row
    width: int  # L, a multiple of LANES
    slots: Tensor  # (G * L,) int64, which of the U tokens fills a position; a padded one repeats its text's first
    places: Tensor  # (U,) int64, which of the G * L positions a token fills
    bias: Tensor  # (G, 1, 1, L) float32, added to attention's scores: 0 for a token, -inf for padding


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedBatch:
    """B texts in T tokens, none of them padding.

    Source: the variable-length layout of FlashAttention (Dao-AILab/flash-attention, `flash_attn/bert_padding.py`,
    `unpad_input`), built directly, with no padding to remove.
    """

    input_ids: Tensor  # (T,) int64, vocabulary ids
    position_ids: Tensor  # (T,) int64, 0 at the start of every text
    type_ids: Tensor | None  # (T,) int64, segment of each token; None: all are of the first
    cu_seqlens: Tensor  # (B + 1,) int64, first token of each text, then T
    groups: tuple[Group, ...]  # in the order of the texts

    def to(self, device: torch.device) -> "PackedBatch":
        """The same batch in the memory of a device."""
        return PackedBatch(
            input_ids=self.input_ids.to(device, non_blocking=True),
            position_ids=self.position_ids.to(device, non_blocking=True),
            type_ids=None if self.type_ids is None else self.type_ids.to(device, non_blocking=True),
            cu_seqlens=self.cu_seqlens.to(device, non_blocking=True),
            groups=tuple(_group_to(group, device) for group in self.groups),
        )


def pack(texts: TokenRows, rows: NDArray[np.int64]) -> PackedBatch:
    """Lay the tokens of some texts end to end.

    `pack` of the texts [5, 6, 7] and [8, 9] has

        input_ids     5 6 7 8 9
        position_ids  0 1 2 0 1
        cu_seqlens    0 3 5

    Args:
        texts: N texts.
        rows: (B,) numbers of the texts wanted, best in the order of their lengths: neighbours make a group.
    """
    lengths = texts.lengths[rows]
    cu_seqlens = np.concatenate([[0], np.cumsum(lengths)])
    position_ids = np.arange(cu_seqlens[-1]) - np.repeat(cu_seqlens[:-1], lengths)
    places = np.repeat(texts.starts[rows], lengths) + position_ids
    return PackedBatch(
        input_ids=torch.from_numpy(texts.ids[places].astype(np.int64)),
        position_ids=torch.from_numpy(position_ids),
        type_ids=None if texts.types is None else torch.from_numpy(texts.types[places].astype(np.int64)),
        cu_seqlens=torch.from_numpy(cu_seqlens),
        groups=_groups(lengths, cu_seqlens),
    )


def _groups(lengths: NDArray[np.int64], cu_seqlens: NDArray[np.int64]) -> tuple[Group, ...]:
    widths = -(-lengths // LANES) * LANES
    changes = np.flatnonzero(np.diff(widths)) + 1
    bounds = [0, *changes.tolist(), len(lengths)]
    return tuple(
        _group(lengths[start:stop], slice(int(cu_seqlens[start]), int(cu_seqlens[stop])), int(widths[start]))
        for start, stop in pairwise(bounds)
    )


def _group(lengths: NDArray[np.int64], tokens: slice, width: int) -> Group:
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    position = np.arange(width)
    is_token = position < lengths[:, None]  # (G, L)
    slots = starts[:, None] + np.where(is_token, position, 0)
    bias = np.where(is_token, np.float32(0), np.float32(-np.inf))
    return Group(
        tokens=tokens,
        width=width,
        slots=torch.from_numpy(slots.ravel()),
        places=torch.from_numpy(np.flatnonzero(is_token)),
        bias=torch.from_numpy(bias[:, None, None, :]),
    )


def _group_to(group: Group, device: torch.device) -> Group:
    return Group(
        tokens=group.tokens,
        width=group.width,
        slots=group.slots.to(device, non_blocking=True),
        places=group.places.to(device, non_blocking=True),
        bias=group.bias.to(device, non_blocking=True),
    )
