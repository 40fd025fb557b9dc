import pytest
import torch
from torch.nn.functional import linear

from stages.engine.packed import operators
from stages.engine.packed.operators import frozen_linear, public_operators, public_softmax_gradient, softmax_gradient
from tests.engine.conftest import CPU, assert_near

DTYPES = {torch.float32: 1e-6, torch.bfloat16: 2**-8}  # rounding: of sums of 48 terms, or of the result's 8 bits


@pytest.fixture(autouse=True)
def chosen_anew():
    yield
    operators._cpu_linear.cache_clear()
    operators._softmax_backward.cache_clear()


def lacking(monkeypatch, library, name):
    """Make PyTorch one that has no such operator any more."""

    class Without:
        def __getattr__(self, asked):
            if asked == name:
                raise AttributeError(f"no {name}")
            return getattr(library, asked)

    operators._cpu_linear.cache_clear()
    operators._softmax_backward.cache_clear()
    monkeypatch.setattr(torch.ops, library.name.removeprefix("torch.ops."), Without())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("has_bias", [True, False])
def test_frozen_products_are_those_of_pytorchs_linear_layer(dtype, has_bias):
    generator = torch.Generator().manual_seed(0)
    values, weight, bias = (torch.randn(shape, generator=generator).to(dtype) for shape in ((17, 48), (32, 48), (32,)))
    bias = bias if has_bias else None
    frozen = frozen_linear(CPU, dtype)

    product = frozen.product(values, frozen.lay_out(weight), bias)

    assert product.dtype == dtype
    assert_near(product, linear(values, weight, bias), rounding=DTYPES[dtype])


@pytest.mark.parametrize("name", ["_reorder_linear_weight", "_linear_pointwise"])
def test_without_the_private_operators_the_public_ones_are_taken_and_it_can_be_said(monkeypatch, name):
    lacking(monkeypatch, torch.ops.mkldnn, name)
    frozen = frozen_linear(CPU, torch.float32)
    values, weight = torch.randn(5, 4), torch.randn(3, 4)

    assert torch.equal(frozen.product(values, frozen.lay_out(weight), None), linear(values, weight))
    assert f"no {name}" in frozen.obstacle
    assert public_operators(CPU, torch.float32) == [f"frozen products: {frozen.obstacle}"]


def test_private_operators_that_give_other_numbers_are_not_taken(monkeypatch):
    operators._cpu_linear.cache_clear()
    monkeypatch.setattr(operators, "_onednn_product", lambda values, weight, bias: linear(values, -weight, bias))
    monkeypatch.setattr(operators, "_onednn_layout", lambda weight: weight)

    assert frozen_linear(CPU, torch.float32).obstacle == "this PyTorch's private operators give other numbers"


@pytest.mark.parametrize(
    ("device", "dtype", "obstacle"),
    [
        (torch.device("cuda"), torch.float32, "oneDNN's layout is for the CPU, not for cuda"),
        (CPU, torch.float64, "oneDNN does not multiply torch.float64"),
    ],
)
def test_what_onednn_is_not_for_is_multiplied_the_public_way(device, dtype, obstacle):
    assert frozen_linear(device, dtype).obstacle == obstacle


def test_an_accelerator_loses_nothing_by_public_operators():
    assert public_operators(torch.device("cuda"), torch.bfloat16) == []


def softmax_and_gradient():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(6, 2, 5, 16, generator=generator, requires_grad=True)
    gradient = torch.randn(6, 2, 5, 16, generator=generator)
    return scores, scores.softmax(dim=-1), gradient


def test_both_gradients_of_the_softmax_are_autograds():
    scores, weights, gradient = softmax_and_gradient()
    expected = torch.autograd.grad(weights, scores, gradient)[0]

    for ours in (softmax_gradient, public_softmax_gradient):
        assert_near(ours(gradient, weights.detach()), expected, rounding=1e-6)  # sums of 16 terms in float32


def test_without_the_private_gradient_the_public_one_is_taken_and_it_can_be_said(monkeypatch):
    lacking(monkeypatch, torch.ops.aten, "_softmax_backward_data")
    _, weights, gradient = softmax_and_gradient()

    public = public_softmax_gradient(gradient, weights.detach())
    assert torch.equal(softmax_gradient(gradient, weights.detach()), public)
    assert "gradient of the softmax: this PyTorch has no such private operator" in public_operators(CPU, torch.float32)
