"""ModernBERT's windows: what a local layer sees, however long the text."""

import numpy as np
import pytest
import torch

from stages.engine.models.base_model import find_base_model
from stages.engine.packed.packed_encoder import PackedEncoder
from stages.engine.packed.packing import pack
from stages.engine.plain import PlainForward
from tests.engine.conftest import MEAN, TRANSFORMERS, assert_near, build, stir, texts_of
from tests.tiny_models import save_tiny_modernbert

ROUNDING = 1e-5  # some 40 sums of up to 64 terms in float32
FULL, LOCAL = "full_attention", "sliding_attention"


def classifier_on(folder, **changes):
    base = find_base_model(str(save_tiny_modernbert(folder, **changes)), {})
    return stir(build(base, seed=0, max_tokens=16))


def both(classifier, lengths, reading):
    batch, model = pack(texts_of(lengths), np.arange(len(lengths))), classifier.transformer
    return (
        forward.logits(batch, None)
        for forward in (PackedEncoder(model, torch.float32, reading), PlainForward(model, "fp32", reading))
    )


@pytest.mark.parametrize("reading", [TRANSFORMERS, MEAN], ids=str)
@pytest.mark.parametrize("local", [2, 12, 28, 300])
@pytest.mark.parametrize(
    "lengths",
    [[1, 2, 3], [8], [5, 6, 7], [16], [15, 17, 18], [100, 3, 128]],
    ids=str,
)
def test_windows_of_any_size_are_those_of_transformers(tmp_path, local, lengths, reading):
    """Shorter than the window, as long as it, and longer than it and the padding of a group."""
    packed, plain = both(classifier_on(tmp_path, local_attention=local), lengths, reading)

    assert_near(packed, plain, rounding=ROUNDING)


@pytest.mark.parametrize(
    "kinds", [[FULL] * 4, [LOCAL] * 4, [LOCAL, FULL, LOCAL, FULL], [FULL, LOCAL, LOCAL, FULL]], ids=str
)
def test_local_and_global_layers_in_any_order_are_those_of_transformers(tmp_path, kinds):
    packed, plain = both(classifier_on(tmp_path, layer_types=kinds, local_attention=8), [60, 7, 61, 3], MEAN)

    assert_near(packed, plain, rounding=ROUNDING)


def test_each_kind_of_layer_turns_by_its_own_frequencies(tmp_path):
    rope = {kind: {"rope_type": "default", "rope_theta": theta} for kind, theta in ((FULL, 160_000.0), (LOCAL, 10.0))}
    packed, plain = both(classifier_on(tmp_path / "own", rope_parameters=rope), [60, 7, 61], MEAN)
    _, other = both(classifier_on(tmp_path / "usual"), [60, 7, 61], MEAN)

    assert_near(packed, plain, rounding=ROUNDING)
    assert (plain - other).abs().max() > 1e-3


@torch.no_grad()
def test_a_token_beyond_the_windows_of_all_layers_changes_nothing(tmp_path):
    """Three local layers of 4 tokens to each side carry the first token's answer 12 tokens far."""
    classifier = classifier_on(tmp_path, layer_types=[LOCAL] * 3, num_hidden_layers=3, local_attention=8)
    texts = texts_of([40])
    forward = PackedEncoder(classifier.transformer, torch.float32, TRANSFORMERS)

    def state_with(place):
        batch = pack(texts, np.arange(1))
        batch.input_ids[place] = 5 if batch.input_ids[place] != 5 else 6
        return forward.states(batch)

    unchanged = forward.states(pack(texts, np.arange(1)))
    assert not torch.equal(state_with(12), unchanged)
    assert torch.equal(state_with(13), unchanged)
