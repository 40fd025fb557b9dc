"""BERT's forward pass over packed batches: what Transformers and PEFT compute, without what the task does not need.

Left out: padding; gradients of frozen weights; everything below what is trained; and in the last layer all rows but
[CLS], the only one that the head reads. The weights stay where Transformers and PEFT keep them.

Source: `BertForSequenceClassification` in transformers 5.23, `models/bert/modeling_bert.py`.
"""

from copy import copy
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, gelu, layer_norm
from transformers import PreTrainedModel

from stages.engine.packed.attention import AttentionShape, attend
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.packing import PackedBatch
from stages.engine.packed.projection import Projection, Unchanged


class Norm:
    """A layer norm in the dtype of its input; frozen weights are cast once."""

    def __init__(self, norm: nn.LayerNorm, dtype: torch.dtype) -> None:
        self._norm, self._dtype = norm, dtype
        frozen = not norm.weight.requires_grad
        self._frozen = (norm.weight.detach().to(dtype), norm.bias.detach().to(dtype)) if frozen else None
        self._sources = Unchanged([norm.weight, norm.bias] if frozen else [])

    def __call__(self, values: Tensor) -> Tensor:
        """(T, W) of mean 0 and variance 1 in each row, scaled and shifted."""
        self._sources.check()
        weight, bias = self._frozen or (self._norm.weight.to(self._dtype), self._norm.bias.to(self._dtype))
        return layer_norm(values, self._norm.normalized_shape, weight, bias, self._norm.eps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """The products and norms of one encoder layer."""

    attention_input: Projection  # query, key and value side by side
    attention_output: Projection
    attention_norm: Norm
    intermediate: Projection
    output: Projection
    output_norm: Norm

    def merged(self) -> "Layer":
        """The layer for prediction: adapters are part of the weights."""
        return replace(
            self,
            attention_input=self.attention_input.merged(),
            attention_output=self.attention_output.merged(),
            intermediate=self.intermediate.merged(),
            output=self.output.merged(),
        )


class PackedBert:
    """Logits of a `BertForSequenceClassification`, with or without PEFT's LoRA in it."""

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        """Prepare the weights.

        Args:
            model: The classifier, out of PEFT's wrapper.
            dtype: Of all that runs through the encoder's layers: products, activations, the residual stream that
                they add to, and the norms' inputs and outputs (PyTorch takes their mean and variance in float32).
                In bfloat16 the residual stream so keeps 8 bits; under Transformers' autocast it may keep more.
                Embeddings, attention's softmax, the pooler, the head and every weight that is trained are float32.
        """
        self._bert = cast(Any, model.bert)
        self._head = cast(Any, model.classifier)
        self._config = model.config
        self._dtype = dtype
        self._layers = [_prepare(layer, dtype) for layer in self._bert.encoder.layer]

    def merged(self) -> "PackedBert":
        """For prediction: weights laid out as they are now, adapters added to them."""
        merged = copy(self)
        merged._layers = [layer.merged() for layer in self._layers]
        return merged

    def logits(self, batch: PackedBatch, masks: DropoutMasks | None) -> Tensor:
        """(B, C) float32 logits; with masks as in training, without them nothing is dropped."""
        hidden = self._embed(batch, masks)
        for layer in self._layers[:-1]:
            hidden = self._encode(layer, hidden, batch, masks, only_first=False)
        first = self._encode(self._layers[-1], hidden, batch, masks, only_first=True)
        pooled = self._bert.pooler.train(masks is not None)(first.float()[:, None])  # it may hold an adapter of PEFT's
        head_dropout = self._config.classifier_dropout
        probability = self._config.hidden_dropout_prob if head_dropout is None else head_dropout
        logits: Tensor = self._head(_drop(pooled, probability, masks))
        return logits

    def mean_hidden(self, batch: PackedBatch) -> Tensor:
        """(B, W) float32 mean of the last layer's hidden states over the tokens of each text, nothing dropped."""
        hidden = self._embed(batch, None)
        for layer in self._layers:
            hidden = self._encode(layer, hidden, batch, None, only_first=False)
        lengths = batch.cu_seqlens.diff()  # (B,)
        text_of_token = torch.arange(len(lengths), device=hidden.device).repeat_interleave(lengths)  # (T,)
        sums = hidden.new_zeros(len(lengths), hidden.shape[1], dtype=torch.float32)
        return sums.index_add_(0, text_of_token, hidden.float()) / lengths[:, None]

    def _embed(self, batch: PackedBatch, masks: DropoutMasks | None) -> Tensor:
        """(T, W) embeddings of words and positions; all tokens are of type 0."""
        tables = self._bert.embeddings
        words = embedding(batch.input_ids, tables.word_embeddings.weight, tables.word_embeddings.padding_idx)
        positions = embedding(batch.position_ids, tables.position_embeddings.weight)
        hidden = tables.LayerNorm(words + tables.token_type_embeddings.weight[0] + positions)
        return _drop(hidden, self._config.hidden_dropout_prob, masks).to(self._dtype)

    def _encode(
        self, layer: Layer, hidden: Tensor, batch: PackedBatch, masks: DropoutMasks | None, *, only_first: bool
    ) -> Tensor:
        """One layer: (T, W) of all tokens, or (B, W) of each text's first."""
        probability = self._config.hidden_dropout_prob
        shape = AttentionShape(
            num_heads=self._config.num_attention_heads,
            dropout=self._config.attention_probs_dropout_prob,
            only_first=only_first,
        )
        context = attend(layer.attention_input(hidden, masks), batch.groups, shape, masks)
        attended = _drop(layer.attention_output(context, masks), probability, masks)
        if only_first:
            hidden = hidden.index_select(0, batch.cu_seqlens[:-1])
        hidden = layer.attention_norm(attended + hidden)
        inner = gelu(layer.intermediate(hidden, masks))
        transformed = _drop(layer.output(inner, masks), probability, masks)
        return layer.output_norm(transformed + hidden)


def _prepare(layer: Any, dtype: torch.dtype) -> Layer:
    attention = layer.attention
    return Layer(
        attention_input=Projection([attention.self.query, attention.self.key, attention.self.value], dtype),
        attention_output=Projection([attention.output.dense], dtype),
        attention_norm=Norm(attention.output.LayerNorm, dtype),
        intermediate=Projection([layer.intermediate.dense], dtype),
        output=Projection([layer.output.dense], dtype),
        output_norm=Norm(layer.output.LayerNorm, dtype),
    )


def _drop(values: Tensor, probability: float, masks: DropoutMasks | None) -> Tensor:
    mask = None if masks is None else masks.draw(tuple(values.shape), probability, values.dtype)
    return values if mask is None else values * mask
