"""Many texts through a forward pass: what comes out belongs to the text that went in."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.engine.predict import predict_logits, text_states
from tests.engine.conftest import CPU, opinions, stir, texts_of


class Echo:
    """A forward pass that gives back each text's first token behind [CLS] and its length."""

    def __init__(self, *, is_merged=False):
        self.is_merged, self.sizes = is_merged, []

    def merged(self):
        merged = Echo(is_merged=True)
        merged.sizes = self.sizes
        return merged

    def logits(self, batch, masks):
        assert self.is_merged, "prediction must see the weights as they are now"
        assert masks is None, "nothing is dropped in prediction"
        assert torch.is_inference_mode_enabled()
        return self.states(batch)

    def states(self, batch):
        assert self.is_merged
        lengths = batch.cu_seqlens.diff()
        self.sizes.append((len(lengths), int(lengths.max())))
        return torch.stack([batch.input_ids[batch.cu_seqlens[:-1] + 1], lengths], dim=1).float()


@pytest.mark.parametrize("predict", [predict_logits, text_states])
@given(lengths=st.lists(st.integers(3, 20), min_size=1, max_size=40), budget=st.integers(1, 100))
@settings(max_examples=50, deadline=None)
def test_each_texts_values_stand_in_its_place_and_no_batch_exceeds_the_budget(predict, lengths, budget):
    texts, forward = texts_of(lengths), Echo()

    values = predict(forward, texts, batch_tokens=budget, device=CPU)

    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.stack([texts.ids[texts.starts + 1], texts.lengths], axis=1))
    assert all(rows == 1 or rows * longest <= budget for rows, longest in forward.sizes)
    assert sum(rows for rows, _ in forward.sizes) == len(lengths)


def test_predictions_do_not_depend_on_batching_or_order(tiny_classifier):
    stir(tiny_classifier)
    split = opinions(50)
    together = tiny_classifier.predict(split, 10**6)
    backwards = tiny_classifier.predict(split.take(np.arange(50)[::-1].copy()), 50)

    np.testing.assert_allclose(tiny_classifier.predict(split, 7), together, rtol=0, atol=1e-5)
    np.testing.assert_allclose(backwards[::-1], together, rtol=0, atol=1e-5)
