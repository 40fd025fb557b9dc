"""Rotary positions turn queries and keys as Transformers does, and gradients the other way round."""

import numpy as np
import pytest
import torch
from transformers.models.modernbert.modeling_modernbert import apply_rotary_pos_emb

from stages.engine.packed.packing import pack
from stages.engine.packed.rotation import Turn, rotate
from tests.engine.conftest import texts_of

HEADS, PAIRS = 3, 4  # heads of 8 values
WIDTH = HEADS * 2 * PAIRS
LENGTHS = [5, 1, 130, 17]
FREQUENCIES = 10_000.0 ** (-torch.arange(PAIRS) / PAIRS)


def projected_of(length, dtype=torch.float32):
    return torch.randn(length, 3 * WIDTH, generator=torch.Generator().manual_seed(0)).to(dtype)


def turn_of(lengths, scaling=1.0):
    batch = pack(texts_of(lengths), np.arange(len(lengths)))
    return Turn.of(FREQUENCIES, scaling, batch.position_ids), batch


def as_transformers(text, scaling):
    """The rotation of one text, (L, 3 W), by Transformers' own function and embeddings."""
    angles = torch.arange(len(text))[:, None].float() * FREQUENCIES
    both = torch.cat([angles, angles], dim=-1)[None]  # (1, L, D)
    query, key, value = text.view(1, len(text), 3, HEADS, 2 * PAIRS).permute(2, 0, 3, 1, 4)  # (1, H, L, D) each
    query, key = apply_rotary_pos_emb(query, key, both.cos() * scaling, both.sin() * scaling)
    return torch.stack([query, key, value], dim=3)[0].permute(1, 2, 0, 3).reshape(len(text), -1)


@pytest.mark.parametrize("scaling", [1.0, 1.3])
def test_queries_and_keys_are_turned_as_in_transformers_text_by_text(scaling):
    turn, batch = turn_of(LENGTHS, scaling)
    projected = projected_of(sum(LENGTHS))
    lengths = batch.cu_seqlens.diff().tolist()

    expected = torch.cat([as_transformers(text, scaling) for text in projected.split(lengths)])

    torch.testing.assert_close(rotate(projected, turn, HEADS), expected, rtol=0, atol=1e-6)  # two products and a sum


@pytest.mark.parametrize("scaling", [1.0, 1.3])
def test_the_gradient_is_that_of_transformers(scaling):
    turn, batch = turn_of(LENGTHS, scaling)
    projected = projected_of(sum(LENGTHS)).requires_grad_()
    direction = torch.randn(projected.shape, generator=torch.Generator().manual_seed(1))
    expected = torch.cat([as_transformers(text, scaling) for text in projected.split(batch.cu_seqlens.diff().tolist())])

    (ours,), (theirs,) = (
        torch.autograd.grad(outputs, [projected], direction) for outputs in (rotate(projected, turn, HEADS), expected)
    )

    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_values_and_first_tokens_stay_as_they_are():
    turn, batch = turn_of(LENGTHS)
    projected = projected_of(sum(LENGTHS))
    turned = rotate(projected, turn, HEADS)
    starts = batch.cu_seqlens[:-1].long()

    assert torch.equal(turned[:, 2 * WIDTH :], projected[:, 2 * WIDTH :])
    assert torch.equal(turned[starts], projected[starts])
    others = torch.ones(len(projected), dtype=torch.bool).index_fill(0, starts, value=False)
    assert (turned[others, : 2 * WIDTH] != projected[others, : 2 * WIDTH]).any(dim=1).all()


def test_scores_hang_on_the_distance_of_two_tokens_alone():
    turn, _ = turn_of([40])
    turned = rotate(projected_of(1).expand(40, -1).contiguous(), turn, HEADS).view(40, 3, HEADS, -1)
    scores = turned[:, 0, 0] @ turned[:, 1, 0].T  # of the first head

    for distance in (-7, 0, 1, 20):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-4)  # values up to 20
    assert (scores[0, 0] - scores[0, 7]).abs() > 0.1


def test_bf16_is_turned_in_float32_and_rounded_once():
    turn, _ = turn_of(LENGTHS)
    projected = projected_of(sum(LENGTHS), torch.bfloat16)

    turned = rotate(projected, turn, HEADS)

    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned, rotate(projected.float(), turn, HEADS).bfloat16())
