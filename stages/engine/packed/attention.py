"""Self-attention over packed batches, with its own backward pass.

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2. Written out because PyTorch's fused attention is slow on
the CPU for texts of a dozen tokens. The products run in the dtype of their input, the softmax in float32.
"""

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.operators import softmax_gradient
from stages.engine.packed.packing import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionShape:
    """What attention has to know beside its input."""

    num_heads: int
    dropout: float  # probability of dropping an attention weight
    only_first: bool  # the first token of each text alone asks: the classification head reads no other


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadRows:
    """Where the D numbers of each head lie, for a group of G texts padded to L positions, U tokens, H heads.

    Packed they lie token by token, padded head by head; one gather goes from the one to the other. All layers of a
    pass share them.
    """

    group: Group
    padded: Tensor  # (3 G H L,) int64, of (U 3 H, D): query, key and value of each text, head and position
    packed: Tensor  # (U H,) int64, of (G H L, D): the context of each token and head
    asked: Tensor  # (G H L,) int64, of (U H + 1, D): as `packed` the other way round; padding takes the row behind all
    spread: Tensor  # (U 3 H,) int64, of (3 G H L, D): as `padded` the other way round
    position_scores: Tensor | None  # (1 or H, L, L) float32, added by the positions of query and key alone; finite

    @classmethod
    def of(cls, group: Group, num_heads: int, position_scores: Tensor | None) -> Self:
        """The rows of one group."""
        device, width = group.slots.device, group.width
        heads = torch.arange(num_heads, device=device)
        parts = torch.arange(3, device=device)
        slots = group.slots.view(-1, 1, width)  # (G, 1, L)
        padded = (slots * 3 + parts[:, None, None, None]) * num_heads + heads[:, None]  # (3, G, H, L)
        text, position = group.places // width, group.places % width  # (U,) each
        packed = (text[:, None] * num_heads + heads) * width + position[:, None]  # (U, H)
        num_rows, num_positions = packed.numel(), len(group.slots) * num_heads
        asked = torch.full((num_positions,), num_rows, device=device)
        asked[packed.view(-1)] = torch.arange(num_rows, device=device)
        return cls(
            group=group,
            padded=padded.view(-1),
            packed=packed.view(-1),
            asked=asked,
            spread=(packed[:, None] + parts[:, None] * num_positions).view(-1),
            position_scores=position_scores,
        )


def attend(
    projected: Tensor, groups: tuple[HeadRows, ...], shape: AttentionShape, masks: DropoutMasks | None
) -> Tensor:
    """Let the tokens of each text attend to each other.

    Args:
        projected: (T, 3 W) query, key and value of each token, side by side.
        groups: The texts, by padded length.
        shape: Heads and dropout.
        masks: Draws the dropout; None drops nothing.

    Returns:
        (T, W), or (B, W) if only the first tokens ask.
    """
    contexts = []
    for rows in groups:
        group, scores = rows.group, rows.position_scores
        mask = None
        if masks is not None:
            num_asking = 1 if shape.only_first else group.width
            mask = masks.draw(
                (len(group.bias), shape.num_heads, num_asking, group.width), shape.dropout, projected.dtype
            )
        asked = scores[:, :1] if scores is not None and shape.only_first else scores
        contexts.append(_GroupAttention.apply(projected[group.tokens], mask, asked, rows, shape))  # type: ignore[no-untyped-call]
    return contexts[0] if len(contexts) == 1 else torch.cat(contexts)


class _GroupAttention(Function):
    """softmax(Q K^T / sqrt(D)) V in a group of G texts padded to L positions, with H heads of width D = W / H.

    Q is the number of positions that ask: L, or 1.
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        mask: Tensor | None,
        position_scores: Tensor | None,
        rows: HeadRows,
        shape: AttentionShape,
    ) -> Tensor:
        group, head_width = rows.group, projected.shape[1] // (3 * shape.num_heads)
        padded = projected.view(-1, head_width).index_select(0, rows.padded)
        query, key, value = padded.view(3, -1, group.width, head_width)  # (G H, L, D)
        if shape.only_first:
            query = query[:, :1]
        scores = torch.bmm(query, key.transpose(1, 2))  # (G H, Q, L)
        scores = scores.view(len(group.bias), shape.num_heads, -1, group.width)  # (G, H, Q, L)
        scores = torch.add(group.bias, scores, alpha=head_width**-0.5)  # float32, as the bias is
        if position_scores is not None:
            scores += position_scores
        weights = scores.softmax(dim=-1).to(projected.dtype)
        kept = weights if mask is None else weights * mask
        context = torch.bmm(kept.flatten(0, 1), value)  # (G H, Q, D)
        ctx.save_for_backward(query, key, value, weights, kept, mask)
        ctx.rows, ctx.shape = rows, shape
        if not shape.only_first:
            context = context.view(-1, head_width).index_select(0, rows.packed)
        return context.view(-1, shape.num_heads * head_width)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor | None, None, None]:
        query, key, value, weights, kept, mask = ctx.saved_tensors
        rows, shape, head_width = ctx.rows, ctx.shape, query.shape[-1]
        outer = gradient.reshape(-1, head_width)
        if not shape.only_first:  # padding asked as well, but nobody read its answer
            outer = torch.cat([outer, outer.new_zeros(1, head_width)]).index_select(0, rows.asked)
        outer = outer.view(-1, query.shape[1], head_width)  # (G H, Q, D)
        weight_gradient = torch.bmm(outer, value.transpose(1, 2)).view_as(weights)
        if mask is not None:
            weight_gradient *= mask
        score_gradient = softmax_gradient(weight_gradient, weights)
        position_gradient = None
        if ctx.needs_input_grad[2]:  # by position, whatever the text; a head of its own has each
            position_gradient = score_gradient.float().sum(dim=0)
        score_gradient = score_gradient.mul_(head_width**-0.5).flatten(0, 1)  # (G H, Q, L)
        parts = gradient.new_empty(3, *key.shape)
        if shape.only_first:
            parts[0].zero_()
            parts[0, :, :1] = torch.bmm(score_gradient, key)
        else:
            torch.bmm(score_gradient, key, out=parts[0])
        torch.bmm(score_gradient.transpose(1, 2), query, out=parts[1])
        torch.bmm(kept.flatten(0, 1).transpose(1, 2), outer, out=parts[2])
        tokens = parts.view(-1, head_width).index_select(0, rows.spread)
        return tokens.view(-1, 3 * shape.num_heads * head_width), None, position_gradient, None, None
