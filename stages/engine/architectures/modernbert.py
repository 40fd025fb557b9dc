"""ModernBERT (Warner et al. 2024, arXiv:2412.13663): norms first, rotary positions, local layers, gated activations.

Source: `models/modernbert/modeling_modernbert.py` in transformers 5.23.
"""

from typing import Any

from torch import Tensor, nn
from transformers import ModernBertForSequenceClassification
from transformers.activations import ACT2FN

from stages.engine.architectures.architecture import (
    Architecture,
    EmbeddingParts,
    EncoderParts,
    HeadParts,
    LayerParts,
    Rotation,
)

RECOMPUTED = ("dynamic", "longrope")  # kinds of rotation whose frequencies follow the texts of a batch
LOCAL = "sliding_attention"  # Transformers' name of a layer that sees a window


def _encoder(model: Any) -> EncoderParts:
    config, encoder = model.config, model.model
    return EncoderParts(
        embeddings=EmbeddingParts(
            words=encoder.embeddings.tok_embeddings,
            positions=None,
            counts_from_padding=False,
            types=None,
            norm=encoder.embeddings.norm,
            project=None,
            dropout=config.embedding_dropout,
        ),
        layers=tuple(_layer(layer, encoder.rotary_emb, config.sliding_window) for layer in encoder.layers),
        num_heads=config.num_attention_heads,
        activation=ACT2FN[config.hidden_activation],
        gated=True,
        norm_first=True,
        final_norm=encoder.final_norm,
        relative_bias=None,
        attention_dropout=config.attention_dropout,
        attention_output_dropout=config.attention_dropout,
        intermediate_dropout=config.mlp_dropout,
        output_dropout=0.0,
    )


def _layer(layer: Any, rotary: Any, window: int) -> LayerParts:
    kind = layer.attention_type
    return LayerParts(
        attention_input=(layer.attn.Wqkv,),
        attention_output=layer.attn.Wo,
        attention_norm=None if isinstance(layer.attn_norm, nn.Identity) else layer.attn_norm,
        intermediate=layer.mlp.Wi,
        output=layer.mlp.Wo,
        output_norm=layer.mlp_norm,
        window=window if kind == LOCAL else None,
        rotation=Rotation(
            frequencies=getattr(rotary, f"{kind}_inv_freq"), scaling=getattr(rotary, f"{kind}_attention_scaling")
        ),
    )


def _head(model: Any) -> HeadParts:
    def pooler(states: Tensor) -> Tensor:
        pooled: Tensor = model.head(states)
        return pooled

    return HeadParts(
        state_dropout=0.0, pooler=pooler, pooled_dropout=model.config.classifier_dropout, output=model.classifier
    )


def _obstacle(model: Any) -> str | None:
    kinds = set(model.model.rotary_emb.rope_type.values()) & set(RECOMPUTED)
    return f"rotary positions of the kind {kinds.pop()}" if kinds else None


ARCHITECTURE = Architecture(
    classifiers=(ModernBertForSequenceClassification,),
    head=_head,
    encoder=_encoder,
    poolings={"first": "cls", "mean": "mean"},
    obstacle=_obstacle,
)
