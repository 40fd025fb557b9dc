"""An encoder's pass over packed batches: what Transformers and PEFT compute, without what the task does not need.

Left out: padding; gradients of frozen weights; everything below what is trained; and, where the head reads the first
token alone, all other rows of the last layer. The weights stay where Transformers and PEFT keep them, and what an
architecture does in its own way is read from its description (`stages.engine.architectures`).
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, layer_norm
from transformers import PreTrainedModel

from stages.engine.architectures import architecture_of
from stages.engine.architectures.architecture import (
    Architecture,
    EmbeddingParts,
    EncoderParts,
    LayerParts,
    RelativeBias,
    Rotation,
)
from stages.engine.packed.attention import AttentionShape, HeadRows, attend
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.packing import Group, PackedBatch
from stages.engine.packed.projection import Projection, Unchanged
from stages.engine.packed.rotation import Turn, rotate
from stages.engine.params import Reading
from stages.engine.pooling import logits_of_states

UNSEEN = -1e30  # a score of what lies outside the window: its weight is 0, and a row of them alone stays finite


class Norm:
    """A layer norm in the dtype of its input; frozen weights are cast once."""

    def __init__(self, norm: nn.Module, dtype: torch.dtype) -> None:
        self._norm, self._dtype = cast(nn.LayerNorm, norm), dtype
        weights = list(norm.parameters())
        frozen = not any(weight.requires_grad for weight in weights)
        self._frozen = self._cast() if frozen else None
        self._sources = Unchanged(weights if frozen else [])

    def __call__(self, values: Tensor) -> Tensor:
        """(T, W) of mean 0 and variance 1 in each row, scaled and shifted."""
        self._sources.check()
        weight, bias = self._frozen or self._cast()
        return layer_norm(values, self._norm.normalized_shape, weight, bias, self._norm.eps)

    def _cast(self) -> tuple[Tensor, Tensor | None]:
        weight, bias = self._norm.weight, cast(Tensor | None, self._norm.bias)
        return weight.to(self._dtype), None if bias is None else bias.to(self._dtype)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """The products and norms of one encoder layer."""

    attention_input: Projection  # query, key and value side by side
    attention_output: Projection
    attention_norm: Norm | None
    intermediate: Projection
    output: Projection
    output_norm: Norm
    window: int | None
    rotation: Rotation | None

    @classmethod
    def of(cls, parts: LayerParts, dtype: torch.dtype) -> "Layer":
        """Lay the weights out."""
        return cls(
            attention_input=Projection(parts.attention_input, dtype),
            attention_output=Projection([parts.attention_output], dtype),
            attention_norm=None if parts.attention_norm is None else Norm(parts.attention_norm, dtype),
            intermediate=Projection([parts.intermediate], dtype),
            output=Projection([parts.output], dtype),
            output_norm=Norm(parts.output_norm, dtype),
            window=parts.window,
            rotation=parts.rotation,
        )

    def merged(self) -> "Layer":
        """The layer for prediction: adapters are part of the weights."""
        return replace(
            self,
            attention_input=self.attention_input.merged(),
            attention_output=self.attention_output.merged(),
            intermediate=self.intermediate.merged(),
            output=self.output.merged(),
        )


class PackedEncoder:
    """Logits of a text classifier whose architecture is described, with or without PEFT's LoRA in it."""

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype, reading: Reading) -> None:
        """Prepare the weights.

        Args:
            model: The classifier, out of PEFT's wrapper.
            dtype: Of all that runs through the encoder's layers: products, activations, the residual stream that
                they add to, and the norms' inputs and outputs (PyTorch takes their mean and variance in float32).
                In bfloat16 the residual stream so keeps 8 bits; under Transformers' autocast it may keep more.
                Embeddings, attention's softmax, the head and every weight that is trained are float32.
            reading: What the head reads.
        """
        architecture = cast(Architecture, architecture_of(model))
        self._parts: EncoderParts = cast(Callable[[Any], EncoderParts], architecture.encoder)(model)
        self._head = architecture.head(model)
        self._model, self._dtype, self._reading = model, dtype, reading
        self._layers = [Layer.of(layer, dtype) for layer in self._parts.layers]
        self._final_norm = None if self._parts.final_norm is None else Norm(self._parts.final_norm, dtype)

    def merged(self) -> "PackedEncoder":
        """For prediction: weights laid out as they are now, adapters added to them."""
        merged = copy(self)
        merged._layers = [layer.merged() for layer in self._layers]
        return merged

    def logits(self, batch: PackedBatch, masks: DropoutMasks | None) -> Tensor:
        """(B, C) float32 logits; with masks as in training, without them nothing is dropped."""
        if self._model.training != (masks is not None):  # the head may hold adapters, whose dropout PEFT draws
            self._model.train(masks is not None)
        states = self._states(batch, masks)
        return logits_of_states(self._head, states, self._reading, lambda values, p: _drop(values, p, masks))

    def states(self, batch: PackedBatch) -> Tensor:
        """(B, W) float32 state of each text that the head reads, nothing dropped."""
        return self._states(batch, None)

    def _states(self, batch: PackedBatch, masks: DropoutMasks | None) -> Tensor:
        only_first = self._reading.pooling == "first"
        where = _Positions(self._parts, batch)
        hidden = self._embed(batch, masks)
        for layer in self._layers[:-1]:
            hidden = self._encode(layer, hidden, batch, where, masks, only_first=False)
        hidden = self._encode(self._layers[-1], hidden, batch, where, masks, only_first=only_first)
        if self._final_norm is not None:
            hidden = self._final_norm(hidden)
        return hidden.float() if only_first else mean_of_texts(hidden, batch)

    def _embed(self, batch: PackedBatch, masks: DropoutMasks | None) -> Tensor:
        """(T, W) embeddings of words, segments and positions."""
        tables = self._parts.embeddings
        hidden = embedding(batch.input_ids, tables.words.weight, tables.words.padding_idx)
        if tables.types is not None:
            table = tables.types.weight
            hidden = hidden + (table[0] if batch.type_ids is None else embedding(batch.type_ids, table))
        if tables.positions is not None:
            positions = position_ids(tables, batch)
            hidden = hidden + embedding(positions, tables.positions.weight, tables.positions.padding_idx)
        hidden = _drop(tables.norm(hidden), tables.dropout, masks)
        return (hidden if tables.project is None else tables.project(hidden)).to(self._dtype)

    def _encode(
        self,
        layer: Layer,
        hidden: Tensor,
        batch: PackedBatch,
        where: "_Positions",
        masks: DropoutMasks | None,
        *,
        only_first: bool,
    ) -> Tensor:
        """One layer: (T, W) of all tokens, or (B, W) of each text's first."""
        parts = self._parts
        read = layer.attention_norm(hidden) if parts.norm_first and layer.attention_norm is not None else hidden
        projected = layer.attention_input(read, masks)
        if layer.rotation is not None:
            projected = rotate(projected, where.turn(layer.rotation), parts.num_heads)
        shape = AttentionShape(num_heads=parts.num_heads, dropout=parts.attention_dropout, only_first=only_first)
        context = attend(projected, where.rows(layer), shape, masks)
        attended = _drop(layer.attention_output(context, masks), parts.attention_output_dropout, masks)
        if only_first:
            hidden = hidden.index_select(0, batch.cu_seqlens[:-1])
        hidden = attended + hidden
        if not parts.norm_first and layer.attention_norm is not None:
            hidden = layer.attention_norm(hidden)
        inner = layer.intermediate(layer.output_norm(hidden) if parts.norm_first else hidden, masks)
        inner = _drop(self._activate(inner), parts.intermediate_dropout, masks)
        hidden = _drop(layer.output(inner, masks), parts.output_dropout, masks) + hidden
        return hidden if parts.norm_first else layer.output_norm(hidden)

    def _activate(self, inner: Tensor) -> Tensor:
        if not self._parts.gated:
            return self._parts.activation(inner)
        values, gates = inner.chunk(2, dim=-1)
        return self._parts.activation(values) * gates


class _Positions:
    """What the layers of one pass share that hangs on positions alone; made when first asked for."""

    def __init__(self, parts: EncoderParts, batch: PackedBatch) -> None:
        self._bias, self._num_heads, self._batch = parts.relative_bias, parts.num_heads, batch
        self._rows: dict[int | None, tuple[HeadRows, ...]] = {}
        self._turns: dict[int, Turn] = {}

    def turn(self, rotation: Rotation) -> Turn:
        """The rotation of each token's query and key."""
        key = id(rotation.frequencies)
        if key not in self._turns:
            self._turns[key] = Turn.of(rotation.frequencies, rotation.scaling, self._batch.position_ids)
        return self._turns[key]

    def rows(self, layer: Layer) -> tuple[HeadRows, ...]:
        """Where attention finds each group, and what it adds to the scores there."""
        if layer.window not in self._rows:
            self._rows[layer.window] = tuple(
                HeadRows.of(group, self._num_heads, self._scores(group, layer.window)) for group in self._batch.groups
            )
        return self._rows[layer.window]

    def _scores(self, group: Group, window: int | None) -> Tensor | None:
        places = torch.arange(group.width, device=group.bias.device)
        distances = places - places[:, None]  # key less query, (L, L)
        scores = None if self._bias is None else _relative_scores(self._bias, distances)
        if window is not None and group.width > window + 1:
            outside = torch.where(distances.abs() > window, UNSEEN, 0.0)[None]
            scores = outside if scores is None else scores + outside
        return scores


def _relative_scores(bias: RelativeBias, distances: Tensor) -> Tensor:
    """(H, L, L) float32."""
    return embedding(bias.bucket(distances), bias.table.weight).permute(2, 0, 1)


def position_ids(tables: EmbeddingParts, batch: PackedBatch) -> Tensor:
    """(T,) int64 row of the position table of each token.

    Where positions count from the padding id's, as fairseq has it, a padding id inside a text stays at the padding's
    own position and is not counted.
    """
    if not tables.counts_from_padding:
        return batch.position_ids
    padding = cast(int, cast(nn.Embedding, tables.positions).padding_idx)
    counted = batch.input_ids.ne(padding).long()  # (T,)
    before = counted.cumsum(0)
    starts = batch.cu_seqlens[:-1]
    before_text = (before - counted).index_select(0, starts)  # (B,)
    in_text = before - before_text.repeat_interleave(batch.cu_seqlens.diff(), output_size=len(counted))
    return in_text * counted + padding


def mean_of_texts(hidden: Tensor, batch: PackedBatch) -> Tensor:
    """(B, W) float32 mean over the tokens of each text, of hidden (T, W)."""
    lengths = batch.cu_seqlens.diff()  # (B,)
    texts = torch.arange(len(lengths), device=hidden.device)
    text_of_token = texts.repeat_interleave(lengths, output_size=len(hidden))  # (T,); the size spares a wait (sync)
    sums = hidden.new_zeros(len(lengths), hidden.shape[1], dtype=torch.float32)
    return sums.index_add(0, text_of_token, hidden.float()) / lengths[:, None]


def _drop(values: Tensor, probability: float, masks: DropoutMasks | None) -> Tensor:
    mask = None if masks is None else masks.draw(tuple(values.shape), probability, values.dtype)
    return values if mask is None else values * mask
