"""Which number format the matrix products run in."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["bf16", "fp32"]


def choose_precision(wanted: Literal["auto", "bf16", "fp32"]) -> Precision:
    """What `train.precision` means on this processor.

    `auto` takes bf16 where the processor multiplies matrices in it (AMX tiles). The bare AVX-512 bf16
    instructions do not count: through PyTorch's kernels they are slower than fp32.
    """
    if wanted == "auto":
        return "bf16" if has_bf16_matrix_unit() else "fp32"
    return wanted


def has_bf16_matrix_unit() -> bool:
    """Whether the processor has tiles for bf16 matrix products and the system lets them be used."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


def matrix_products_in(precision: Precision) -> AbstractContextManager[None]:
    """Context in which linear layers and attention compute in this precision; weights stay fp32."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")
