"""The one door to PyTorch's operators that are not public, each beside a public way to the same numbers.

A private operator can go or change with any release. Each is tried once, on a small example; where it is not there or
gives something else, its public equivalent is taken, which is slower and differs by rounding alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import linear


@dataclass(frozen=True, kw_only=True, slots=True)
class FrozenLinear:
    """How products with a weight that never changes are computed."""

    lay_out: Callable[[Tensor], Tensor]  # W (out, in), once
    product: Callable[[Tensor, Tensor, Tensor | None], Tensor]  # x W^T + b for x (T, in), W laid out, b (out,) or None
    obstacle: str | None  # why this is not oneDNN's; None if it is


def frozen_linear(device: torch.device, dtype: torch.dtype) -> FrozenLinear:
    """On the CPU with the weights in oneDNN's own layout, which spares rearranging them at every call."""
    if device.type != "cpu":
        return _public_linear(f"oneDNN's layout is for the CPU, not for {device.type}")
    return _cpu_linear(dtype)


def softmax_gradient(gradient: Tensor, weights: Tensor) -> Tensor:
    """The gradient of softmax's input over the last dimension, from that of its output `weights`, in their dtype.

    It is summed up in float32.
    """
    return _softmax_backward()(gradient, weights)


@cache
def _cpu_linear(dtype: torch.dtype) -> FrozenLinear:
    if not torch.backends.mkldnn.is_available():
        return _public_linear("this PyTorch has no oneDNN")
    if dtype not in (torch.float32, torch.bfloat16):
        return _public_linear(f"oneDNN does not multiply {dtype}")
    try:
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return _public_linear("oneDNN has no bf16 products on this CPU")
        right = _gives_the_same(_onednn_layout, _onednn_product, dtype)
    except (AttributeError, RuntimeError, TypeError) as error:
        return _public_linear(f"this PyTorch has other private operators ({error})")
    if not right:
        return _public_linear("this PyTorch's private operators give other numbers")
    return FrozenLinear(lay_out=_onednn_layout, product=_onednn_product, obstacle=None)


def _public_linear(obstacle: str) -> FrozenLinear:
    return FrozenLinear(lay_out=_as_it_is, product=linear, obstacle=obstacle)


def _as_it_is(weight: Tensor) -> Tensor:
    return weight


def _onednn_layout(weight: Tensor) -> Tensor:
    laid_out: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight)
    return laid_out


def _onednn_product(values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(values, weight, bias, "none", [], "")
    return product


def _gives_the_same(
    lay_out: Callable[[Tensor], Tensor],
    product: Callable[[Tensor, Tensor, Tensor | None], Tensor],
    dtype: torch.dtype,
) -> bool:
    """On whole numbers, which every order of sums adds up to the same."""
    values = torch.arange(-6, 6, dtype=dtype).view(3, 4)
    weight, bias = torch.arange(-3, 5, dtype=dtype).view(2, 4), torch.tensor([2, -1], dtype=dtype)
    return torch.equal(product(values, lay_out(weight), bias), linear(values, weight, bias))


@cache
def _softmax_backward() -> Callable[[Tensor, Tensor], Tensor]:
    gradient, weights = torch.tensor([[4.0, -8.0]]), torch.tensor([[0.25, 0.75]])  # exact in binary
    try:
        right = torch.equal(_private_softmax_gradient(gradient, weights), public_softmax_gradient(gradient, weights))
    except (AttributeError, RuntimeError, TypeError):
        right = False
    return _private_softmax_gradient if right else public_softmax_gradient


def _private_softmax_gradient(gradient: Tensor, weights: Tensor) -> Tensor:
    score_gradient: Tensor = torch.ops.aten._softmax_backward_data(gradient, weights, -1, gradient.dtype)
    return score_gradient


def public_softmax_gradient(gradient: Tensor, weights: Tensor) -> Tensor:
    """The same, written out: w (g - sum(g w))."""
    product = gradient.float() * weights.float()
    return (product - weights.float() * product.sum(dim=-1, keepdim=True)).to(gradient.dtype)


def public_operators(device: torch.device, dtype: torch.dtype) -> list[str]:
    """What is computed the public and slower way although the CPU could do it faster, each with its reason."""
    if device.type != "cpu":
        return []
    obstacle = frozen_linear(device, dtype).obstacle
    said = [] if obstacle is None else [f"frozen products: {obstacle}"]
    if _softmax_backward() is public_softmax_gradient:
        said.append("gradient of the softmax: this PyTorch has no such private operator")
    return said
