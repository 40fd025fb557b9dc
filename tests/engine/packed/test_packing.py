from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.engine.packed.packing import LANES, pack
from stages.engine.tokens import TokenRows

LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=20)


def rows_of(texts):
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    return TokenRows(np.concatenate(texts).astype(np.int32), np.cumsum(lengths) - lengths, lengths)


def texts_of(lengths):
    """Texts whose tokens all differ."""
    ends = np.cumsum(lengths)
    return [list(range(end - length, end)) for end, length in zip(ends, lengths, strict=True)]


def test_texts_lie_end_to_end():
    batch = pack(rows_of([[5, 6, 7], [8, 9]]), np.array([0, 1]))

    assert batch.input_ids.tolist() == [5, 6, 7, 8, 9]
    assert batch.position_ids.tolist() == [0, 1, 2, 0, 1]
    assert batch.cu_seqlens.tolist() == [0, 3, 5]


def test_texts_come_in_the_order_asked_for():
    batch = pack(rows_of([[5, 6, 7], [8, 9], [4]]), np.array([2, 0]))

    assert batch.input_ids.tolist() == [4, 5, 6, 7]
    assert batch.cu_seqlens.tolist() == [0, 1, 4]


def test_the_segments_of_pairs_come_with_their_tokens():
    rows = replace(rows_of([[5, 6, 7], [8, 9], [4]]), types=np.array([0, 0, 1, 0, 1, 0], dtype=np.int8))

    assert pack(rows, np.array([1, 2, 0])).type_ids.tolist() == [0, 1, 0, 0, 0, 1]
    assert pack(rows_of([[5, 6, 7], [8, 9]]), np.arange(2)).type_ids is None


def test_texts_of_like_length_make_a_group():
    batch = pack(rows_of(texts_of([3, 16, 17, 32, 40])), np.arange(5))

    assert [(group.width, len(group.bias)) for group in batch.groups] == [(16, 2), (32, 2), (48, 1)]
    assert [group.tokens for group in batch.groups] == [slice(0, 19), slice(19, 68), slice(68, 108)]


@given(lengths=LENGTHS, data=st.data())
@settings(deadline=None)
def test_every_token_comes_once_and_positions_start_anew_in_each_text(lengths, data):
    texts = texts_of(lengths)
    rows = data.draw(st.permutations(range(len(lengths))))
    batch = pack(rows_of(texts), np.array(rows))

    assert batch.input_ids.tolist() == [token for row in rows for token in texts[row]]
    assert batch.position_ids.tolist() == [position for row in rows for position in range(lengths[row])]
    assert batch.cu_seqlens.diff().tolist() == [lengths[row] for row in rows]
    assert batch.cu_seqlens[0] == 0
    assert {batch.input_ids.dtype, batch.position_ids.dtype, batch.cu_seqlens.dtype} == {torch.int64}


@given(lengths=LENGTHS, in_order=st.booleans())
@settings(deadline=None)
def test_groups_pad_each_text_and_unpad_it_again(lengths, in_order):
    lengths = sorted(lengths) if in_order else lengths
    batch = pack(rows_of(texts_of(lengths)), np.arange(len(lengths)))

    tokens_seen, texts_seen = 0, 0
    for group in batch.groups:
        num_texts = len(group.bias)
        own = lengths[texts_seen : texts_seen + num_texts]
        num_tokens = sum(own)
        assert group.tokens == slice(tokens_seen, tokens_seen + num_tokens)
        assert group.width % LANES == 0
        assert all(0 <= group.width - length < LANES for length in own)

        assert group.slots[group.places].tolist() == list(range(num_tokens))
        assert group.bias.shape == (num_texts, 1, 1, group.width)
        slots = group.slots.view(num_texts, group.width)
        starts = np.cumsum(own) - own
        for slot, bias, length, start in zip(slots, group.bias[:, 0, 0], own, starts, strict=True):
            assert bias.tolist() == [0.0] * length + [-float("inf")] * (group.width - length)
            assert slot.tolist() == [*range(start, start + length), *[start] * (group.width - length)]
        tokens_seen, texts_seen = tokens_seen + num_tokens, texts_seen + num_texts
    assert (tokens_seen, texts_seen) == (sum(lengths), len(lengths))


@given(lengths=LENGTHS)
@settings(deadline=None)
def test_texts_in_the_order_of_their_lengths_make_one_group_per_width(lengths):
    batch = pack(rows_of(texts_of(sorted(lengths))), np.arange(len(lengths)))

    widths = [group.width for group in batch.groups]
    assert widths == sorted({-(-length // LANES) * LANES for length in lengths})


def test_a_batch_moves_whole():
    batch = pack(rows_of(texts_of([3, 20])), np.arange(2)).to(torch.device("meta"))

    tensors = [batch.input_ids, batch.position_ids, batch.cu_seqlens]
    tensors += [tensor for group in batch.groups for tensor in (group.slots, group.places, group.bias)]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
