import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.engine.packed.attention import AttentionShape, HeadRows, attend
from stages.engine.packed.packing import pack
from tests.engine.conftest import Recorder, assert_near, texts_of

ROUNDING = 1e-6  # float32 knows 6e-8 of a value; the sums here have some 100 terms at most


def head_rows(groups, num_heads):
    return tuple(HeadRows.of(group, num_heads, None) for group in groups)


def textbook(projected, lengths, num_heads, *, only_first, masks):
    """softmax(Q K^T / sqrt(D)) V of one text after the other."""
    contexts = []
    for text, mask in zip(projected.split(lengths), masks, strict=True):
        query, key, value = text.view(len(text), 3, num_heads, -1).permute(1, 2, 0, 3)  # (H, L, D) each
        if only_first:
            query = query[:, :1]
        weights = (query @ key.transpose(1, 2) * query.shape[-1] ** -0.5).softmax(dim=-1)
        context = (weights * mask[:, : weights.shape[1], : len(text)]) @ value
        contexts.append(context.transpose(0, 1).flatten(1))
    return torch.cat(contexts)


def both(lengths, *, num_heads=2, head_width=4, only_first=False, dropout=0.0, dtype=torch.float32):
    """Contexts and input gradients: the engine's, and in float64 the textbook's by PyTorch's own autograd."""
    generator = torch.Generator().manual_seed(len(lengths))
    width = num_heads * head_width
    projected = torch.randn(sum(lengths), 3 * width, generator=generator).to(dtype)
    outer = torch.randn(len(lengths) if only_first else sum(lengths), width, generator=generator).to(dtype)
    groups = pack(texts_of(lengths), np.arange(len(lengths))).groups
    masks = Recorder(0)

    ours = projected.clone().requires_grad_()
    shape = AttentionShape(num_heads=num_heads, dropout=dropout, only_first=only_first)
    context = attend(ours, head_rows(groups, num_heads), shape, masks if dropout else None)
    context.backward(outer)

    theirs = projected.double().requires_grad_()
    drawn = [text.double() for mask in masks.drawn for text in mask]
    drawn = drawn or [torch.ones(num_heads, length, length) for length in lengths]
    expected = textbook(theirs, lengths, num_heads, only_first=only_first, masks=drawn)
    expected.backward(outer.double())
    return (context.detach(), ours.grad), (expected.detach(), theirs.grad)


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    num_heads=st.integers(1, 4),
    head_width=st.integers(1, 9),
    only_first=st.booleans(),
    dropout=st.sampled_from([0.0, 0.3]),
)
@settings(deadline=None)
def test_packed_attention_is_textbook_attention_text_by_text(lengths, num_heads, head_width, only_first, dropout):
    """Value and gradient; in float32 against float64, since the softmax is float32 whatever comes in."""
    ours, textbooks = both(lengths, num_heads=num_heads, head_width=head_width, only_first=only_first, dropout=dropout)

    for actual, expected in zip(ours, textbooks, strict=True):
        assert_near(actual.double(), expected, rounding=ROUNDING, scale=max(expected.abs().max().item(), 1))


@pytest.mark.parametrize("only_first", [False, True])
def test_bf16_attention_is_the_textbooks_to_bf16s_eight_bits(only_first):
    ours, textbooks = both([3, 17, 40, 5], only_first=only_first, dtype=torch.bfloat16)

    for actual, expected in zip(ours, textbooks, strict=True):
        assert actual.dtype == torch.bfloat16
        assert_near(actual.double(), expected, rounding=2**-6)  # four roundings of 2^-9, of which some add up


def test_a_text_hears_nothing_of_its_neighbours():
    lengths, shape = [3, 5, 20], AttentionShape(num_heads=2, dropout=0.0, only_first=False)
    groups = pack(texts_of(lengths), np.arange(3)).groups
    projected = torch.randn(28, 24, generator=torch.Generator().manual_seed(0))
    disturbed = projected.clone()
    disturbed[3:8] = 1e6

    calm, disturbed = (attend(values, head_rows(groups, 2), shape, None) for values in (projected, disturbed))

    assert torch.equal(calm[:3], disturbed[:3])
    assert torch.equal(calm[8:], disturbed[8:])
    assert not torch.equal(calm[3:8], disturbed[3:8])
