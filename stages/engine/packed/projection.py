"""The linear layers of an encoder: one product for layers side by side, and two small ones for their adapters.

Frozen weights are cast and laid out for the product once, in both orientations, and get no gradient.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.operators import frozen_linear

ADAPTER = "default"  # PEFT's name for the one adapter that there is


class Unchanged:
    """Weights that something was computed from, which would be out of date once they changed.

    PyTorch counts the changes of every tensor in place; what goes round its books (`weight.data += ...`) is not seen.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self._weights = list(weights)
        self._versions = self._now()

    def check(self) -> None:
        """Raises RuntimeError once one has changed; takes less than a microsecond."""
        if self._now() != self._versions:
            raise RuntimeError(
                "weights of the base model changed after the packed engine had laid them out: prepare its pass anew"
            )

    def _now(self) -> list[int]:
        return [weight._version for weight in self._weights]


class FrozenWeight:
    """W (out, in) and b (out,) of layers side by side, for x W^T + b and for g W; laid out when first needed."""

    def __init__(
        self, weights: Sequence[Tensor], bias: Tensor | None, dtype: torch.dtype, *, made_from: Sequence[Tensor]
    ) -> None:
        """Keep W and b, and an eye on the weights that they were made from."""
        self._weights, self._dtype = weights, dtype
        self._bias = None if bias is None else bias.to(dtype)
        self._sources = Unchanged(made_from)
        self._linear = frozen_linear(weights[0].device, dtype)

    def product(self, values: Tensor) -> Tensor:
        """X W^T + b for x (T, in)."""
        self._sources.check()
        return self._linear.product(values, self._forward, self._bias)

    def gradient(self, gradient: Tensor) -> Tensor:
        """G W for the gradient g (T, out) of what `product` gave."""
        return self._linear.product(gradient, self._backward, None)

    @cached_property
    def _forward(self) -> Tensor:
        return self._linear.lay_out(torch.cat(list(self._weights)).to(self._dtype))

    @cached_property
    def _backward(self) -> Tensor:
        return self._linear.lay_out(torch.cat(list(self._weights)).to(self._dtype).t().contiguous())


class Projection:
    """y = x W^T + b, plus scale * B A dropout(x) where PEFT put an adapter.

    Layers that read the same x (query, key and value) make one projection; their outputs lie side by side.
    """

    def __init__(self, layers: Sequence[nn.Module], dtype: torch.dtype) -> None:
        """Prepare layers of one shape, each an nn.Linear or PEFT's LoRA around one."""
        self._layers, self._dtype = layers, dtype
        self._bases: list[Any] = [layer.base_layer if isinstance(layer, LoraLinear) else layer for layer in layers]
        adapters: dict[int, Any] = {slot: layer for slot, layer in enumerate(layers) if isinstance(layer, LoraLinear)}
        self._slots, self._adapters = list(adapters), list(adapters.values())
        self._frozen: FrozenWeight | None = None
        if not any(weight.requires_grad for base in self._bases for weight in base.parameters()):
            self._frozen = self._freeze([base.weight.detach() for base in self._bases])

    def merged(self) -> "Projection":
        """For prediction: trained weights as they are now, adapters added to them."""
        if self._frozen is not None and not self._adapters:
            return self
        merged = Projection(self._bases, self._dtype)
        weights = [base.weight.detach() for base in self._bases]
        for slot, layer in zip(self._slots, self._adapters, strict=True):
            weights[slot] = weights[slot] + layer.get_delta_weight(ADAPTER).detach()
        merged._frozen = self._freeze(weights)
        return merged

    def _freeze(self, weights: Sequence[Tensor]) -> FrozenWeight:
        sources = [weight for base in self._bases for weight in base.parameters()]
        bias = self._bias()
        return FrozenWeight(weights, None if bias is None else bias.detach(), self._dtype, made_from=sources)

    def _bias(self) -> Tensor | None:
        """(out of all layers,); None where the architecture has none."""
        biases = [base.bias for base in self._bases if base.bias is not None]
        return torch.cat(biases) if biases else None

    def __call__(self, values: Tensor, masks: DropoutMasks | None) -> Tensor:
        """(T, out of all layers) from x (T, in); without masks nothing is dropped."""
        if self._frozen is None:
            weight = torch.cat([base.weight for base in self._bases]).to(self._dtype)
            bias = self._bias()
            return linear(values, weight, None if bias is None else bias.to(self._dtype))
        if not self._adapters:
            return _FrozenProduct.apply(values, self._frozen)  # type: ignore[no-any-return,no-untyped-call]
        down = torch.stack([layer.lora_A[ADAPTER].weight for layer in self._adapters])
        up = torch.stack([layer.lora_B[ADAPTER].weight * layer.scaling[ADAPTER] for layer in self._adapters])
        return _AdaptedProduct.apply(  # type: ignore[no-any-return,no-untyped-call]
            values, down.to(self._dtype), up.to(self._dtype), self._draw(values, masks), self._frozen, self._slots
        )

    def _draw(self, values: Tensor, masks: DropoutMasks | None) -> Tensor | None:
        dropout = self._adapters[0].lora_dropout[ADAPTER]
        if masks is None or not isinstance(dropout, nn.Dropout):
            return None
        return masks.draw((len(self._adapters), *values.shape), dropout.p, values.dtype)


class _FrozenProduct(Function):
    """X W^T + b; the gradient flows to x alone."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: FrozenWeight) -> Tensor:
        ctx.weight = weight
        return weight.product(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.weight.gradient(gradient), None


class _AdaptedProduct(Function):
    """X W^T + b, and for each of n adapters in its slot: + (mask * x) A^T B^T.

    Shapes: x (T, I), A (n, r, I), B (n, O, r) with the scale in it, mask (n, T, I) or None, y (T, S * O).
    """

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        down: Tensor,
        up: Tensor,
        mask: Tensor | None,
        weight: FrozenWeight,
        slots: list[int],
    ) -> Tensor:
        product = weight.product(values)
        masked = values.expand(len(slots), -1, -1) if mask is None else values * mask  # (n, T, I)
        inner = torch.bmm(masked, down.transpose(1, 2))  # (n, T, r)
        update = torch.bmm(inner, up.transpose(1, 2))  # (n, T, O)
        outputs = product.view(len(values), -1, up.shape[1])  # (T, S, O)
        for at, slot in enumerate(slots):
            outputs[:, slot] += update[at]
        ctx.save_for_backward(masked, inner, down, up, mask)
        ctx.weight, ctx.slots = weight, slots
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None, None]:
        masked, inner, down, up, mask = ctx.saved_tensors
        outputs = gradient.view(len(gradient), -1, up.shape[1])  # (T, S, O)
        outer = torch.stack([outputs[:, slot] for slot in ctx.slots])  # (n, T, O)
        up_gradient = torch.bmm(inner.transpose(1, 2), outer).transpose(1, 2)  # (n, O, r); this way round is faster
        inner_gradient = torch.bmm(outer, up)  # (n, T, r)
        down_gradient = torch.bmm(inner_gradient.transpose(1, 2), masked)  # (n, r, I)
        values_gradient = None
        if ctx.needs_input_grad[0]:
            masked_gradient = torch.bmm(inner_gradient, down)  # (n, T, I)
            if mask is not None:
                masked_gradient *= mask
            values_gradient = ctx.weight.gradient(gradient)
            for part in masked_gradient:
                values_gradient += part
        return values_gradient, down_gradient, up_gradient, None, None, None
