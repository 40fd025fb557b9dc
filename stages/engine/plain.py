"""Transformers' own forward pass: for encoders that the packed one does not know, and the measure of the packed one."""

from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import dropout
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from stages.engine.architectures import architecture_of
from stages.engine.architectures.architecture import HeadParts
from stages.engine.models.record import Precision
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.packing import PackedBatch
from stages.engine.params import Reading
from stages.engine.pooling import logits_of_states
from stages.engine.precision import matrix_products_in


class PlainForward:
    """Logits of any text classifier of Transformers, with or without PEFT's adapter in it."""

    def __init__(self, model: PreTrainedModel, precision: Precision, reading: Reading) -> None:
        self._model, self._precision, self._reading = model, precision, reading
        architecture = architecture_of(model)
        self._head = None if architecture is None else architecture.head(model)

    def merged(self) -> "PlainForward":
        """The same: PEFT adds the adapter at each call."""
        return self

    def logits(self, batch: PackedBatch, masks: DropoutMasks | None) -> Tensor:
        """(B, C) float32 logits; dropout, if there are masks, is drawn by PyTorch itself."""
        training = masks is not None
        self._model.train(training)
        if self._reading.is_transformers:
            input_ids, attention_mask = self._pad(batch)
            with matrix_products_in(self._precision, input_ids.device):
                logits: Tensor = self._model(input_ids=input_ids, attention_mask=attention_mask).logits
            return logits.float()
        head = cast(HeadParts, self._head)  # `freeze_unread` and the head alone have asked for it
        return logits_of_states(
            head, self._states(batch), self._reading, lambda values, p: dropout(values, p, training)
        )

    def states(self, batch: PackedBatch) -> Tensor:
        """(B, W) float32 state of each text that the head reads, nothing dropped."""
        self._model.eval()
        return self._states(batch)

    def _states(self, batch: PackedBatch) -> Tensor:
        input_ids, attention_mask = self._pad(batch)
        with matrix_products_in(self._precision, input_ids.device):
            hidden = self._model.base_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self._reading.pooling == "first":
            return hidden[:, 0].float()  # type: ignore[no-any-return]
        weights = attention_mask[:, :, None].float()  # (B, L, 1)
        mean: Tensor = (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1)
        return mean

    def _pad(self, batch: PackedBatch) -> tuple[Tensor, Tensor]:
        return _pad(batch, self._model.config.pad_token_id or 0)


def _pad(batch: PackedBatch, pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, (B, L) int64 each, padded to the longest text of the batch and no further."""
    lengths = batch.cu_seqlens.diff()
    texts = batch.input_ids.split(lengths.tolist())
    input_ids = pad_sequence(list(texts), batch_first=True, padding_value=pad_token_id)
    attention_mask = torch.arange(input_ids.shape[1], device=lengths.device) < lengths[:, None]
    return input_ids, attention_mask.long()
