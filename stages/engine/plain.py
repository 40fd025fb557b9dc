"""Transformers' own forward pass: for encoders that the packed one does not know, and the measure of the packed one."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from stages.engine.models.record import Precision
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.packing import PackedBatch
from stages.engine.precision import matrix_products_in


class PlainForward:
    """Logits of any text classifier of Transformers, with or without PEFT's adapter in it."""

    def __init__(self, model: PreTrainedModel, precision: Precision) -> None:
        self._model, self._precision = model, precision

    def merged(self) -> "PlainForward":
        """The same: PEFT adds the adapter at each call."""
        return self

    def logits(self, batch: PackedBatch, masks: DropoutMasks | None) -> Tensor:
        """(B, C) float32 logits; dropout, if there are masks, is drawn by PyTorch itself."""
        self._model.train(masks is not None)
        input_ids, attention_mask = _pad(batch, self._model.config.pad_token_id or 0)
        with matrix_products_in(self._precision, input_ids.device):
            logits: Tensor = self._model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits.float()

    def mean_hidden(self, batch: PackedBatch) -> Tensor:
        """(B, W) float32 mean of the last layer's hidden states over the tokens of each text, nothing dropped."""
        self._model.eval()
        input_ids, attention_mask = _pad(batch, self._model.config.pad_token_id or 0)
        with matrix_products_in(self._precision, input_ids.device):
            hidden = self._model.base_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask[:, :, None].float()  # (B, L, 1)
        mean: Tensor = (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1)
        return mean


def _pad(batch: PackedBatch, pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, (B, L) int64 each, padded to the longest text of the batch and no further."""
    lengths = batch.cu_seqlens.diff()
    texts = batch.input_ids.split(lengths.tolist())
    input_ids = pad_sequence(list(texts), batch_first=True, padding_value=pad_token_id)
    attention_mask = torch.arange(input_ids.shape[1], device=lengths.device) < lengths[:, None]
    return input_ids, attention_mask.long()
