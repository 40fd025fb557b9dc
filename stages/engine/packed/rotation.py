"""Rotary positions on packed queries and keys (Su et al. 2021, arXiv:2104.09864, section 3.4.2)."""

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """The angle of each token and pair, as its cosine and sine."""

    cosine: Tensor  # (T, 1, 1, D / 2) float32
    sine: Tensor  # (T, 1, 1, D / 2) float32

    @classmethod
    def of(cls, frequencies: Tensor, scaling: float, position_ids: Tensor) -> Self:
        """Of tokens at these positions, (T,) int64."""
        angles = (position_ids[:, None].float() * frequencies.float())[:, None, None]
        return cls(cosine=angles.cos() * scaling, sine=angles.sin() * scaling)

    def back(self) -> "Turn":
        """The transposed matrix: the other way round."""
        return Turn(cosine=self.cosine, sine=-self.sine)


def rotate(projected: Tensor, turn: Turn, num_heads: int) -> Tensor:
    """Turn the pairs (d, d + D / 2) of each head's query and key in (T, 3 W); values stay as they are."""
    return _Rotation.apply(projected, turn, num_heads)  # type: ignore[no-any-return,no-untyped-call]


class _Rotation(Function):
    """In float32 whatever the dtype, as Transformers has it."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, turn: Turn, num_heads: int) -> Tensor:
        ctx.turn, ctx.num_heads = turn, num_heads
        return _turned(projected, turn, num_heads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _turned(gradient, ctx.turn.back(), ctx.num_heads), None, None


def _turned(projected: Tensor, turn: Turn, num_heads: int) -> Tensor:
    turned = projected.clone()
    before, after = (one.view(len(one), 3, num_heads, 2, -1)[:, :2] for one in (projected, turned))
    first, second = before.float().unbind(dim=3)  # (T, query and key, H, D / 2) each
    after[:, :, :, 0] = first * turn.cosine - second * turn.sine
    after[:, :, :, 1] = second * turn.cosine + first * turn.sine
    return turned
