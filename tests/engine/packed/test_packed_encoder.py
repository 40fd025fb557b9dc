"""The packed engine against Transformers and PEFT, on a BERT of random weights."""

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy, linear
from transformers import BertConfig, BertForSequenceClassification

from stages.engine.packed import operators
from stages.engine.packed.attention import AttentionShape, HeadRows, attend
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.packed_encoder import PackedEncoder, _Positions
from stages.engine.packed.packing import pack
from stages.engine.packed.projection import Projection
from stages.engine.params import Reading
from stages.engine.plain import PlainForward, padded
from stages.engine.tokens import TokenRows

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

CPU = torch.device("cpu")
TRANSFORMERS, MEAN = Reading(pooling="first", pooler="own"), Reading(pooling="mean", pooler="none")
VOCABULARY, WIDTH, HEADS = 60, 32, 4
# Rounding of float32 is 6e-8 of a value; sums over some hundred terms and three layers leave a hundred times that.
FP32 = {"rtol": 1e-4, "atol": 1e-5}
MIXED = (1, 2, 5, 9, 15, 16, 17, 24, 32, 33, 40)  # three widths of attention, and both sides of each border
LENGTHS = pytest.mark.parametrize("lengths", [MIXED, (7,), (1,), (12, 12, 12), (16, 16)], ids=str)
TRAINED = [("query", "value"), ("key",), ("query", "key", "value", "dense"), None]  # None: no adapter, everything
TARGETS = pytest.mark.parametrize("targets", TRAINED, ids=str)


def tiny_bert(targets, *, num_layers=3, lora_dropout=0.0, **config):
    """Transformers' model, with an adapter that does something; sharp enough for mistakes to show."""
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            num_hidden_layers=num_layers,
            num_attention_heads=HEADS,
            intermediate_size=64,
            max_position_embeddings=48,
            num_labels=3,
            initializer_range=0.2,
            **config,
        )
    )
    if targets is not None:
        get_peft_model(
            model,
            LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, lora_dropout=lora_dropout, target_modules=list(targets)),
        )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias") or "lora_B" in name or "LayerNorm" in name:  # these start at 0 or 1
                weight += 0.1 * torch.randn_like(weight)
    return model


def texts_of(lengths, *, seed=0):
    lengths = np.array(lengths, dtype=np.int64)
    ids = np.random.default_rng(seed).integers(1, VOCABULARY, size=lengths.sum(), dtype=np.int32)
    return TokenRows(ids, np.cumsum(lengths) - lengths, lengths)


def batch_of(lengths):
    return pack(texts_of(lengths), np.arange(len(lengths)))


def loss_and_gradients(model, logits):
    """Loss on fixed labels and, by name, the gradient of every weight that got one."""
    model.zero_grad(set_to_none=True)
    loss = cross_entropy(logits, torch.arange(len(logits)) % 3)
    loss.backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return loss.detach(), gradients


def assert_like(actual, expected, share):
    """The difference is at most this share of what is expected, in the Euclidean norm."""
    assert (actual - expected).norm() <= share * expected.norm()


@LENGTHS
@TARGETS
def test_packed_computes_the_logits_the_loss_and_every_gradient_of_plain(targets, lengths):
    model, batch = tiny_bert(targets), batch_of(lengths)

    expected = PlainForward(model, "fp32", TRANSFORMERS).logits(batch, None)
    expected_loss, expected_gradients = loss_and_gradients(model, expected)
    actual = PackedEncoder(model, torch.float32, TRANSFORMERS).logits(batch, None)
    loss, gradients = loss_and_gradients(model, actual)

    torch.testing.assert_close(actual, expected, **FP32)
    torch.testing.assert_close(loss, expected_loss, **FP32)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], **FP32, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize("targets", TRAINED[:3], ids=str)
def test_only_adapter_and_head_get_gradients(targets):
    model = tiny_bert(targets)
    _, gradients = loss_and_gradients(
        model, PackedEncoder(model, torch.float32, TRANSFORMERS).logits(batch_of(MIXED), None)
    )

    assert gradients
    assert all("lora_" in name or name.startswith("classifier.modules_to_save") for name in gradients)
    assert gradients.keys() == {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert all(gradient.any() for gradient in gradients.values())


def test_without_an_adapter_everything_learns_the_embeddings_too():
    model = tiny_bert(None)
    _, gradients = loss_and_gradients(
        model, PackedEncoder(model, torch.float32, TRANSFORMERS).logits(batch_of(MIXED), None)
    )

    assert gradients.keys() == {name for name, _ in model.named_parameters()}
    assert gradients["bert.embeddings.word_embeddings.weight"].any()


@TARGETS
def test_each_layer_gives_the_hidden_states_of_transformers(targets):
    model, batch = tiny_bert(targets).eval(), batch_of(MIXED)
    packed = PackedEncoder(model, torch.float32, TRANSFORMERS)
    inputs = padded(batch, 0)
    states = model(**inputs, output_hidden_states=True).hidden_states
    expected = [state[inputs["attention_mask"].bool()] for state in states]

    hidden = packed._embed(batch, None)
    torch.testing.assert_close(hidden, expected[0], **FP32)
    where = _Positions(packed._parts, batch)
    for layer, state in zip(packed._layers, expected[1:], strict=True):
        first = packed._encode(layer, hidden, batch, where, None, only_first=True)
        hidden = packed._encode(layer, hidden, batch, where, None, only_first=False)
        torch.testing.assert_close(hidden, state, **FP32)
        torch.testing.assert_close(first, state[batch.cu_seqlens[:-1]], **FP32)


@TARGETS
def test_merged_logits_are_the_unmerged_ones(targets):
    model, batch = tiny_bert(targets), batch_of(MIXED)
    packed = PackedEncoder(model, torch.float32, TRANSFORMERS)

    torch.testing.assert_close(packed.merged().logits(batch, None), packed.logits(batch, None), **FP32)


@TARGETS
def test_merging_sees_what_an_optimizer_changed(targets):
    model, batch = tiny_bert(targets), batch_of(MIXED)
    packed = PackedEncoder(model, torch.float32, TRANSFORMERS)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=0.01)
    with torch.inference_mode():  # as between two epochs: what is laid out here must serve in training as well
        before = packed.merged().logits(batch, None)

    loss_and_gradients(model, packed.logits(batch, None))
    optimizer.step()

    with torch.inference_mode():
        after = packed.merged().logits(batch, None)
    assert (after - before).abs().max() > 0.01
    torch.testing.assert_close(after, PlainForward(model, "fp32", TRANSFORMERS).logits(batch, None), **FP32)
    torch.testing.assert_close(
        packed.logits(batch, None), PlainForward(model, "fp32", TRANSFORMERS).logits(batch, None), **FP32
    )


@TARGETS
def test_in_bf16_packed_is_as_near_to_fp32_as_plain_is(targets):
    model, batch = tiny_bert(targets), batch_of(MIXED)
    exact = PlainForward(model, "fp32", TRANSFORMERS).logits(batch, None)
    _, exact_gradients = loss_and_gradients(model, exact)
    plain = PlainForward(model, "bf16", TRANSFORMERS).logits(batch, None)
    _, plain_gradients = loss_and_gradients(model, plain)
    packed = PackedEncoder(model, torch.bfloat16, TRANSFORMERS)
    logits = packed.logits(batch, None)
    _, gradients = loss_and_gradients(model, logits)

    def error(values, reference):
        return torch.cat([(values[name] - reference[name]).flatten() for name in reference]).norm()

    assert logits.dtype == torch.float32
    # The packed one rounds the residual stream and the norms too, so it may be off by some multiple of plain's error.
    assert (logits - exact).norm() <= 4 * (plain - exact).norm()
    assert (packed.merged().logits(batch, None) - exact).norm() <= 4 * (plain - exact).norm()
    assert error(gradients, exact_gradients) <= 4 * error(plain_gradients, exact_gradients)
    assert all(gradients[name].dtype == torch.float32 for name in gradients)


class Recorded:
    """Masks that remember what they drew."""

    def __init__(self, seed=0):
        self._masks, self.drawn = DropoutMasks(seed, CPU), []

    def draw(self, shape, probability, dtype):
        self.drawn.append(self._masks.draw(shape, probability, dtype))
        return self.drawn[-1]


def gradient_of(outputs, inputs, direction):
    return torch.autograd.grad(outputs, inputs, direction)


@LENGTHS
@pytest.mark.parametrize("only_first", [False, True])
@pytest.mark.parametrize("probability", [0.0, 0.3])
def test_attention_is_that_of_the_paper_text_by_text(lengths, only_first, probability):
    batch, masks = batch_of(lengths), Recorded()
    generator = torch.Generator().manual_seed(0)
    projected = torch.randn(sum(lengths), 3 * WIDTH, generator=generator, requires_grad=True)
    shape = AttentionShape(num_heads=HEADS, dropout=probability, only_first=only_first)

    actual = attend(projected, tuple(HeadRows.of(group, HEADS, None) for group in batch.groups), shape, masks)

    mask_of_text = []
    for group, mask in zip(batch.groups, masks.drawn, strict=True):
        mask_of_text += [None] * len(group.bias) if mask is None else list(mask)
    contexts = []
    for text, mask in zip(projected.split(list(lengths)), mask_of_text, strict=True):
        query, key, value = text.view(len(text), 3, HEADS, -1).permute(1, 2, 0, 3)  # (H, U, D) each
        weights = (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(dim=-1)
        if only_first:
            weights = weights[:, :1]
        if mask is not None:
            weights = weights * mask[:, : weights.shape[1], : len(text)]
        contexts.append((weights @ value).transpose(0, 1).flatten(1))
    expected = torch.cat(contexts)
    direction = torch.randn(expected.shape, generator=generator)

    assert all((mask is None) == (probability == 0) for mask in masks.drawn)
    torch.testing.assert_close(actual, expected, **FP32)
    torch.testing.assert_close(
        gradient_of(actual, projected, direction), gradient_of(expected, projected, direction), **FP32
    )


@pytest.mark.parametrize("targets", [("query",), ("key",), ("query", "value"), ("query", "key", "value")], ids=str)
@pytest.mark.parametrize("probability", [0.0, 0.3])
def test_an_adapted_product_is_that_of_lora_with_the_same_masks(targets, probability):
    attention = tiny_bert(targets, lora_dropout=probability).bert.encoder.layer[0].attention.self
    layers = {name: getattr(attention, name) for name in ("query", "key", "value")}
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(23, WIDTH, generator=generator, requires_grad=True)
    masks = Recorded()

    actual = Projection(list(layers.values()), torch.float32)(values, masks)

    mask = iter(masks.drawn[0] if probability else [torch.ones_like(values)] * len(targets))
    parts = []
    for name, layer in layers.items():
        base = layer.base_layer if name in targets else layer
        part = linear(values, base.weight, base.bias)
        if name in targets:
            inner = linear(values * next(mask), layer.lora_A["default"].weight)
            part = part + 8 / 4 * linear(inner, layer.lora_B["default"].weight)  # alpha / rank
        parts.append(part)
    expected = torch.cat(parts, dim=1)
    direction = torch.randn(expected.shape, generator=generator)
    weights = [weight for weight in attention.parameters() if weight.requires_grad]

    torch.testing.assert_close(actual, expected, **FP32)
    torch.testing.assert_close(
        gradient_of(actual, [values, *weights], direction), gradient_of(expected, [values, *weights], direction), **FP32
    )


def test_each_adapter_drops_inputs_of_its_own():
    attention = tiny_bert(("query", "value"), lora_dropout=0.3).bert.encoder.layer[0].attention.self
    masks = Recorded()
    Projection([attention.query, attention.key, attention.value], torch.float32)(torch.ones(23, WIDTH), masks)

    (mask,) = masks.drawn
    assert mask.shape == (2, 23, WIDTH)
    assert not torch.equal(mask[0], mask[1])


@TARGETS
def test_the_mean_hidden_state_is_that_of_transformers(targets):
    model, batch = tiny_bert(targets).eval(), batch_of(MIXED)
    expected = []
    for ids in batch.input_ids.split(list(MIXED)):  # text by text, so nothing is padded
        expected.append(model.bert(input_ids=ids[None]).last_hidden_state[0].mean(dim=0))

    torch.testing.assert_close(PackedEncoder(model, torch.float32, MEAN).states(batch), torch.stack(expected), **FP32)
    torch.testing.assert_close(PlainForward(model, "fp32", MEAN).states(batch), torch.stack(expected), **FP32)


def test_training_steps_differ_and_seeds_repeat():
    model, batch = tiny_bert(("query", "value"), lora_dropout=0.1), batch_of(MIXED)
    packed = PackedEncoder(model, torch.float32, TRANSFORMERS)

    def steps(seed):
        masks = DropoutMasks(seed, CPU)
        return [packed.logits(batch, masks).detach() for _ in range(2)]

    first, second = steps(1)
    assert not torch.equal(first, second)
    assert all(map(torch.equal, steps(1), (first, second)))
    assert not torch.equal(steps(2)[0], first)


def copies(count):
    """One text many times: a single pass draws as often."""
    return pack(texts_of([9]), np.zeros(count, dtype=np.int64))


@pytest.mark.parametrize("targets", [("query", "value"), None], ids=str)
def test_dropout_leaves_the_logits_near_the_undropped_ones_on_average(targets):
    small = {"hidden_dropout_prob": 0.02, "attention_probs_dropout_prob": 0.02}  # nearly linear, so nearly unbiased
    packed = PackedEncoder(tiny_bert(targets, lora_dropout=0.02, **small), torch.float32, TRANSFORMERS)

    with torch.no_grad():
        undropped = packed.logits(copies(1), None)[0]
        draws = packed.logits(copies(1000), DropoutMasks(0, CPU))

    assert draws.std(dim=0).min() > 0.01
    assert ((draws.mean(dim=0) - undropped).abs() < draws.std(dim=0) / 2).all()


def step(model, batch):
    """Logits, and the gradient of every weight that is trained."""
    logits = PackedEncoder(model, torch.float32, TRANSFORMERS).logits(batch, None)
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    loss = cross_entropy(logits, torch.arange(len(logits)) % 3)
    return logits, dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))


def test_public_operators_take_the_same_step_as_private_ones(monkeypatch):
    model, batch = tiny_bert(("query", "value")), pack(texts_of(MIXED), np.arange(len(MIXED)))
    logits, gradients = step(model, batch)
    monkeypatch.setattr(operators, "_cpu_linear", lambda _: operators._public_linear("asked for"))
    monkeypatch.setattr(operators, "_softmax_backward", lambda: operators.public_softmax_gradient)
    public_logits, public_gradients = step(model, batch)

    torch.testing.assert_close(public_logits, logits, **FP32)
    for name, gradient in gradients.items():
        torch.testing.assert_close(public_gradients[name], gradient, **FP32)


@pytest.mark.parametrize("name", ["encoder.layer.1.output.LayerNorm.bias", "encoder.layer.2.intermediate.dense.weight"])
def test_a_pass_whose_base_weights_changed_says_so_and_a_new_one_sees_them(name):
    model, batch = tiny_bert(("query", "value")), pack(texts_of((7, 9)), np.arange(2))
    stale = PackedEncoder(model, torch.float32, TRANSFORMERS)
    before = stale.logits(batch, None)
    with torch.no_grad():
        model.bert.get_parameter(name).mul_(1.5)

    with pytest.raises(RuntimeError, match="prepare its pass anew"):
        stale.logits(batch, None)
    assert not torch.allclose(PackedEncoder(model, torch.float32, TRANSFORMERS).logits(batch, None), before)
