"""What the training loop trains: texts through an encoder, or a head on features of texts."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.engine.forward import Forward
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.packing import pack
from stages.engine.predict import BATCH_TOKENS, predict_logits
from stages.engine.tokens import TokenRows


class TextLearner:
    """An encoder that learns from texts."""

    def __init__(
        self,
        forward: Forward,
        weights: list[nn.Parameter],
        *,
        train: TokenRows,
        validation: TokenRows,
        device: torch.device,
        seed: int,
    ) -> None:
        self._forward, self._weights = forward, weights
        self._train, self._validation = train, validation
        self._masks = DropoutMasks(seed, device)
        self.lengths, self.device = train.lengths, device

    def weights(self) -> list[nn.Parameter]:
        """Adapter and head, or everything."""
        return self._weights

    def logits(self, rows: NDArray[np.int64]) -> Tensor:
        """(B, C) float32 logits of training rows, dropout on."""
        return self._forward.logits(pack(self._train, rows).to(self.device), self._masks)

    def validation_logits(self) -> NDArray[np.float32]:
        """(M, C) logits of all validation rows, dropout off."""
        return predict_logits(self._forward, self._validation, batch_tokens=BATCH_TOKENS, device=self.device)


class FeatureLearner:
    """A linear head that learns from features (N, W) and is validated on others (M, W)."""

    def __init__(self, head: nn.Linear, train: Tensor, validation: Tensor) -> None:
        self._head, self._train, self._validation = head, train, validation
        self.lengths, self.device = np.ones(len(train), dtype=np.int64), train.device

    def weights(self) -> list[nn.Parameter]:
        """The head's."""
        return list(self._head.parameters())

    def logits(self, rows: NDArray[np.int64]) -> Tensor:
        """(B, C) float32 logits of training rows; a linear head on fixed features drops nothing."""
        logits: Tensor = self._head(self._train[torch.from_numpy(rows)])
        return logits

    @torch.inference_mode()
    def validation_logits(self) -> NDArray[np.float32]:
        """(M, C) logits of all validation rows."""
        logits: NDArray[np.float32] = self._head(self._validation).numpy()
        return logits
