"""Transformers' own forward pass: for encoders that the packed one does not know, and the measure of the packed one."""

from typing import Literal, cast

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

Side = Literal["left", "right"]


class PlainForward:
    """Logits of any text classifier of Transformers, with or without PEFT's adapter in it."""

    def __init__(self, model: PreTrainedModel, precision: Precision, reading: Reading) -> None:
        self._model, self._precision, self._reading = model, precision, reading
        architecture = architecture_of(model)
        self._head = None if architecture is None else architecture.head(model)
        summary = getattr(model.config, "summary_type", None) if architecture is None else None
        self._padding_side: Side = "left" if summary == "last" else "right"  # XLNet's classifier reads the last token

    def merged(self) -> "PlainForward":
        """The same: PEFT adds the adapter at each call."""
        return self

    def logits(self, batch: PackedBatch, masks: DropoutMasks | None) -> Tensor:
        """(B, C) float32 logits; dropout, if there are masks, is drawn by PyTorch itself."""
        training = masks is not None
        self._model.train(training)
        if self._reading.is_transformers:
            inputs = self._inputs(batch)
            with matrix_products_in(self._precision, batch.input_ids.device):
                logits: Tensor = self._model(**inputs).logits
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
        inputs = self._inputs(batch)
        with matrix_products_in(self._precision, batch.input_ids.device):
            hidden = self._model.base_model(**inputs).last_hidden_state
        if self._reading.pooling == "first":
            return hidden[:, 0].float()  # type: ignore[no-any-return]
        weights = inputs["attention_mask"][:, :, None].float()  # (B, L, 1)
        mean: Tensor = (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1)
        return mean

    def _inputs(self, batch: PackedBatch) -> dict[str, Tensor]:
        return padded(batch, self._model.config.pad_token_id or 0, self._padding_side)


def padded(batch: PackedBatch, pad_token_id: int, side: Side = "right") -> dict[str, Tensor]:
    """What Transformers' forward takes, (B, L) int64 each, padded to the longest text of the batch and no further."""
    lengths = batch.cu_seqlens.diff().tolist()

    def pad(values: Tensor, padding: int) -> Tensor:
        return pad_sequence(list(values.split(lengths)), batch_first=True, padding_value=padding, padding_side=side)

    inputs = {
        "input_ids": pad(batch.input_ids, pad_token_id),
        "attention_mask": pad(torch.ones_like(batch.input_ids), 0),
    }
    return inputs if batch.type_ids is None else inputs | {"token_type_ids": pad(batch.type_ids, 0)}
