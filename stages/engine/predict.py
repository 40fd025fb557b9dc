"""What a forward pass makes of many texts."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.engine.forward import Forward
from stages.engine.packed.packing import PackedBatch, pack
from stages.engine.tokens import TokenRows, sorted_batches
from stages.foundation.log import Progress

BATCH_TOKENS = 16_384  # rows times the longest text of a forward pass; changes speed and memory, not scores


@torch.inference_mode()
def predict_logits(
    forward: Forward, texts: TokenRows, *, batch_tokens: int, device: torch.device
) -> NDArray[np.float32]:
    """(N, C) float32 logits, in the order of the texts, dropout off."""
    merged = forward.merged()
    return _per_text("predicting", texts, batch_tokens, device, lambda batch: merged.logits(batch, None))


@torch.inference_mode()
def text_states(forward: Forward, texts: TokenRows, *, batch_tokens: int, device: torch.device) -> NDArray[np.float32]:
    """(N, W) float32 state of each text that the head reads, in the order of the texts, dropout off."""
    return _per_text("computing states", texts, batch_tokens, device, forward.merged().states)


def _per_text(
    what: str, texts: TokenRows, batch_tokens: int, device: torch.device, compute: Callable[[PackedBatch], Tensor]
) -> NDArray[np.float32]:
    batches = sorted_batches(texts.lengths, batch_tokens)
    computed = []
    with Progress(what, len(batches), unit="batches") as progress:
        for batch in batches:
            computed.append(compute(pack(texts, batch).to(device)))
            progress.show(len(computed))
    rows = torch.cat(computed)
    values = np.empty(rows.shape, dtype=np.float32)
    values[np.concatenate(batches)] = rows.cpu().numpy()  # the one wait for the device (sync)
    return values
