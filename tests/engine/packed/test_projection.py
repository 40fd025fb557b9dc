import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora import Linear as LoraLinear
from torch import nn

from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.projection import Projection
from tests.engine.conftest import CPU, Recorder, assert_near

WIDTH, OUT, TOKENS = 6, 5, 7
ROUNDING = 1e-6  # float32 knows 6e-8 of a value


def adapted(base, *, dropout):
    """PEFT's LoRA around a frozen layer, B not 0."""
    base.requires_grad_(requires_grad=False)
    config = LoraConfig(r=2, lora_alpha=6, lora_dropout=dropout)
    layer = LoraLinear(base, "default", config, r=2, lora_alpha=6)
    nn.init.normal_(layer.lora_B["default"].weight)
    return layer


def side_by_side(slots, *, dropout=0.0, dtype=torch.float32):
    """Three layers that read the same, LoRA around some."""
    torch.manual_seed(0)
    layers = [nn.Linear(WIDTH, OUT, dtype=dtype).requires_grad_(requires_grad=False) for _ in range(3)]
    return [adapted(layer, dropout=dropout).to(dtype) if at in slots else layer for at, layer in enumerate(layers)]


def weights_of(layers):
    return [weight for layer in layers for weight in layer.parameters() if weight.requires_grad]


def gradients(output, inputs):
    outer = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    return torch.autograd.grad(output, inputs, outer)


@pytest.mark.parametrize("slots", [[], [0], [1], [0, 2], [0, 1, 2]])
def test_a_projection_is_pefts_layers_side_by_side(slots):
    layers = side_by_side(slots)
    values = torch.randn(TOKENS, WIDTH, requires_grad=True)
    inputs = [values, *weights_of(layers)]

    ours = Projection(layers, torch.float32)(values, None)
    pefts = torch.cat([layer(values) for layer in layers], dim=1)

    assert_near(ours, pefts, rounding=ROUNDING)
    for actual, expected in zip(gradients(ours, inputs), gradients(pefts, inputs), strict=True):
        assert_near(actual, expected, rounding=ROUNDING)


@pytest.mark.parametrize("slots", [[1], [0, 2]])
def test_dropout_masks_the_input_of_the_adapter_alone_one_mask_for_each(slots):
    layers, masks = side_by_side(slots, dropout=0.4), Recorder(0)
    values = torch.randn(TOKENS, WIDTH, requires_grad=True)
    inputs = [values, *weights_of(layers)]

    ours = Projection(layers, torch.float32)(values, masks)

    drawn = iter([mask for drawn in masks.drawn for mask in drawn])
    expected = []
    for layer in layers:
        if isinstance(layer, LoraLinear):
            down, up = layer.lora_A["default"], layer.lora_B["default"]
            expected.append(layer.base_layer(values) + 6 / 2 * up(down(values * next(drawn))))
        else:
            expected.append(layer(values))
    expected = torch.cat(expected, dim=1)
    assert next(drawn, None) is None
    assert_near(ours, expected, rounding=ROUNDING)
    for actual, gradient in zip(gradients(ours, inputs), gradients(expected, inputs), strict=True):
        assert_near(actual, gradient, rounding=ROUNDING)


@pytest.mark.parametrize("slots", [[], [1], [0, 2], [0, 1, 2]])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_gradients_are_those_of_finite_differences(slots, dropout):
    layers = side_by_side(slots, dropout=dropout, dtype=torch.float64)
    projection = Projection(layers, torch.float64)
    values = torch.randn(TOKENS, WIDTH, dtype=torch.float64, requires_grad=True)

    def product(values, *_weights):
        return projection(values, DropoutMasks(0, CPU) if dropout else None)

    assert torch.autograd.gradcheck(product, (values, *weights_of(layers)))


def test_frozen_weights_get_no_gradient():
    layers = side_by_side([0, 2])

    Projection(layers, torch.float32)(torch.randn(TOKENS, WIDTH, requires_grad=True), None).sum().backward()

    for layer in layers:
        for name, weight in layer.named_parameters():
            assert (weight.grad is not None) == ("lora_" in name)


def test_weights_that_are_trained_get_the_gradient_of_a_plain_layer():
    layers = [nn.Linear(WIDTH, OUT) for _ in range(3)]
    values = torch.randn(TOKENS, WIDTH, requires_grad=True)
    inputs = [values, *weights_of(layers)]

    ours = Projection(layers, torch.float32)(values, None)
    plain = torch.cat([layer(values) for layer in layers], dim=1)

    for actual, expected in zip(gradients(ours, inputs), gradients(plain, inputs), strict=True):
        assert_near(actual, expected, rounding=ROUNDING)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_merged_projection_gives_the_same_in_one_product(dtype):
    layers = side_by_side([0, 2])
    projection, values = Projection(layers, dtype), torch.randn(TOKENS, WIDTH).to(dtype)

    merged, unmerged = projection.merged()(values, None), projection(values, None)

    assert merged.dtype == dtype
    assert_near(merged, unmerged, rounding=ROUNDING if dtype == torch.float32 else 2**-6)  # bf16 knows 2^-9


def test_merging_sees_the_weights_as_they_are_now():
    layers = side_by_side([1])
    projection, values = Projection(layers, torch.float32), torch.randn(TOKENS, WIDTH)
    before = projection.merged()(values, None)

    with torch.no_grad():
        layers[1].lora_B["default"].weight.mul_(2)

    after = projection.merged()(values, None)
    assert torch.equal(after[:, :OUT], before[:, :OUT])
    assert not torch.allclose(after[:, OUT : 2 * OUT], before[:, OUT : 2 * OUT])
    assert_near(after, projection(values, None), rounding=ROUNDING)


@pytest.mark.parametrize("slots", [[], [0, 2]])
def test_base_weights_that_change_after_they_were_laid_out_are_noticed(slots):
    layers = side_by_side(slots)
    projection, values = Projection(layers, torch.float32), torch.randn(TOKENS, WIDTH)
    merged = projection.merged()
    projection(values, None), merged(values, None)
    base = layers[0].base_layer if slots else layers[0]

    with torch.no_grad():
        base.weight.mul_(2)

    for stale in (projection, merged):
        with pytest.raises(RuntimeError, match=r"weights of the base model changed .* prepare its pass anew"):
            stale(values, None)
    assert torch.isfinite(Projection(layers, torch.float32)(values, None)).all()
