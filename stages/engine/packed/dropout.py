"""Dropout masks, many elements to one random number.

PyTorch's own dropout on the CPU draws one number per element (1 ms for 165,000); four elements to a 64-bit
number take a tenth of that.
"""

import numpy as np
import torch
from torch import Tensor

STEPS = 2**16  # a probability is rounded to a multiple of 1 / STEPS: 0.1 becomes 6554 / 65536


class DropoutMasks:
    """Draws masks on one device; the same seed gives the same masks."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        self._numbers = np.random.Generator(np.random.SFC64(seed))  # on the CPU
        self._generator = torch.Generator(device).manual_seed(seed)  # elsewhere

    @property
    def generators(self) -> tuple[np.random.Generator, torch.Generator]:
        """What the masks are drawn from."""
        return self._numbers, self._generator

    def draw(self, shape: tuple[int, ...], probability: float, dtype: torch.dtype) -> Tensor | None:
        """What to multiply with: 0 with this probability, else 1 / (1 - probability); None where nothing is dropped."""
        dropped = min(round(probability * STEPS), STEPS - 1)
        if dropped == 0:
            return None
        first_kept = dropped - STEPS // 2  # of int16, which begin at -STEPS / 2
        # 0 or 1; clamping takes a fourth of the time of a comparison and the conversion of its bool.
        keep = self._bits(shape).clamp_(first_kept - 1, first_kept).sub_(first_kept - 1)
        return keep.to(dtype).mul_(STEPS / (STEPS - dropped))

    def _bits(self, shape: tuple[int, ...]) -> Tensor:
        """int16 of this shape, every value as likely as any other."""
        if self._device.type != "cpu":
            low, high = -STEPS // 2, STEPS // 2
            return torch.randint(low, high, shape, dtype=torch.int16, device=self._device, generator=self._generator)
        count = int(np.prod(shape))
        words = self._numbers.integers(0, 2**64, size=-(-count // 4), dtype=np.uint64)
        return torch.from_numpy(words.view(np.int16)[:count]).view(shape)
