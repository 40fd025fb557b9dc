"""MPNet (Song et al. 2020, arXiv:2004.09297): BERT's layers, and a bias by distance that all of them share.

Source: `models/mpnet/modeling_mpnet.py` in transformers 5.23; the buckets are T5's (Raffel et al. 2019,
arXiv:1910.10683, section 2.1).
"""

import math
from typing import Any

import torch
from torch import Tensor
from transformers import MPNetForSequenceClassification
from transformers.activations import ACT2FN

from stages.engine.architectures.architecture import (
    Architecture,
    EmbeddingParts,
    EncoderParts,
    LayerParts,
    RelativeBias,
    two_layer_head,
)

BUCKETS, FARTHEST = 32, 128  # tokens; Transformers reads neither from the configuration


def _encoder(model: Any) -> EncoderParts:
    config, tables, encoder = model.config, model.mpnet.embeddings, model.mpnet.encoder
    hidden_dropout = config.hidden_dropout_prob
    return EncoderParts(
        embeddings=EmbeddingParts(
            words=tables.word_embeddings,
            positions=tables.position_embeddings,
            counts_from_padding=True,
            types=None,
            norm=tables.LayerNorm,
            project=None,
            dropout=hidden_dropout,
        ),
        layers=tuple(_layer(layer) for layer in encoder.layer),
        num_heads=config.num_attention_heads,
        activation=ACT2FN[config.hidden_act],
        gated=False,
        norm_first=False,
        final_norm=None,
        relative_bias=RelativeBias(table=encoder.relative_attention_bias, bucket=bucket),
        attention_dropout=config.attention_probs_dropout_prob,
        attention_output_dropout=hidden_dropout,
        intermediate_dropout=0.0,
        output_dropout=hidden_dropout,
    )


def _layer(layer: Any) -> LayerParts:
    attention = layer.attention.attn
    return LayerParts(
        attention_input=(attention.q, attention.k, attention.v),
        attention_output=attention.o,
        attention_norm=layer.attention.LayerNorm,
        intermediate=layer.intermediate.dense,
        output=layer.output.dense,
        output_norm=layer.output.LayerNorm,
    )


def bucket(distances: Tensor) -> Tensor:
    """int64 bucket of int64 distances, key less query: one for each of the near, ever wider ones for the far."""
    half, near = BUCKETS // 2, BUCKETS // 4
    behind = torch.where(distances > 0, half, 0)
    tokens = distances.abs()
    ratio = torch.log(tokens.float() / near) / math.log(FARTHEST / near)  # -inf at 0, which is near
    far = (near + (ratio * (half - near)).clamp(min=0).long()).clamp(max=half - 1)
    return behind + torch.where(tokens < near, tokens, far)


ARCHITECTURE = Architecture(
    classifiers=(MPNetForSequenceClassification,),
    head=lambda model: two_layer_head(model.classifier, torch.tanh, model.config.hidden_dropout_prob),
    encoder=_encoder,
)
