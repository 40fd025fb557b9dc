"""Self-attention over packed batches, with its own backward pass.

Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2. Written out because PyTorch's fused attention is slow on
the CPU for texts of a dozen tokens. The products run in the dtype of their input, the softmax in float32.
"""

from dataclasses import dataclass
from typing import Any

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


def attend(
    projected: Tensor,
    groups: tuple[Group, ...],
    position_scores: tuple[Tensor | None, ...],
    shape: AttentionShape,
    masks: DropoutMasks | None,
) -> Tensor:
    """Let the tokens of each text attend to each other.

    Args:
        projected: (T, 3 W) query, key and value of each token, side by side.
        groups: The texts, by padded length.
        position_scores: For each group (1 or H, L, L) float32, added to the scores of a query and a key by their
            positions alone; finite, lest a padded position see nothing. None adds nothing.
        shape: Heads and dropout.
        masks: Draws the dropout; None drops nothing.

    Returns:
        (T, W), or (B, W) if only the first tokens ask.
    """
    contexts = []
    for group, scores in zip(groups, position_scores, strict=True):
        mask = None
        if masks is not None:
            num_asking = 1 if shape.only_first else group.width
            mask = masks.draw(
                (len(group.bias), shape.num_heads, num_asking, group.width), shape.dropout, projected.dtype
            )
        asked = scores[:, :1] if scores is not None and shape.only_first else scores
        contexts.append(_GroupAttention.apply(projected[group.tokens], mask, asked, group, shape))  # type: ignore[no-untyped-call]
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
        group: Group,
        shape: AttentionShape,
    ) -> Tensor:
        head_width = projected.shape[1] // (3 * shape.num_heads)
        padded = projected.index_select(0, group.slots).view(-1, group.width, 3, shape.num_heads, head_width)
        query, key, value = padded.permute(2, 0, 3, 1, 4).reshape(3, -1, group.width, head_width)  # (G H, L, D)
        if shape.only_first:
            query = query[:, :1]
        scores = torch.bmm(query, key.transpose(1, 2)).float()  # (G H, Q, L)
        scores = scores.view(len(group.bias), shape.num_heads, -1, group.width)  # (G, H, Q, L)
        scores = torch.add(group.bias, scores, alpha=head_width**-0.5)
        if position_scores is not None:
            scores += position_scores
        weights = scores.softmax(dim=-1).to(projected.dtype)
        kept = weights if mask is None else weights * mask
        context = torch.bmm(kept.flatten(0, 1), value)  # (G H, Q, D)
        ctx.save_for_backward(query, key, value, weights, kept, mask)
        ctx.group, ctx.shape = group, shape
        rows = context.view(len(group.bias), shape.num_heads, -1, head_width).transpose(1, 2)
        rows = rows.reshape(-1, shape.num_heads * head_width)  # (G Q, W)
        return rows if shape.only_first else rows.index_select(0, group.places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor | None, None, None]:
        query, key, value, weights, kept, mask = ctx.saved_tensors
        group, shape = ctx.group, ctx.shape
        head_width = query.shape[-1]
        if not shape.only_first:  # padding asked as well, but nobody read its answer
            positions = gradient.new_zeros(len(group.slots), gradient.shape[1])
            gradient = positions.index_copy_(0, group.places, gradient)
        outer = gradient.view(len(group.bias), -1, shape.num_heads, head_width).transpose(1, 2)
        outer = outer.reshape(-1, query.shape[1], head_width)  # (G H, Q, D)
        weight_gradient = torch.bmm(outer, value.transpose(1, 2)).view_as(weights)
        if mask is not None:
            weight_gradient *= mask
        score_gradient = softmax_gradient(weight_gradient.float(), weights.float())
        position_gradient = None
        if ctx.needs_input_grad[2]:  # by position, whatever the text; a head of its own has each
            position_gradient = score_gradient.sum(dim=0)
        score_gradient = score_gradient.mul_(head_width**-0.5).to(gradient.dtype).flatten(0, 1)  # (G H, Q, L)
        parts = gradient.new_zeros(len(group.bias), group.width, 3, shape.num_heads, head_width)
        asking = slice(0, query.shape[1])
        for at, rows, part in (
            (0, asking, torch.bmm(score_gradient, key)),
            (1, slice(None), torch.bmm(score_gradient.transpose(1, 2), query)),
            (2, slice(None), torch.bmm(kept.flatten(0, 1).transpose(1, 2), outer)),
        ):
            parts[:, rows, at] = part.view(len(group.bias), shape.num_heads, -1, head_width).transpose(1, 2)
        tokens = parts.view(len(group.slots), -1).index_select(0, group.places)
        return tokens, None, position_gradient, None, None
