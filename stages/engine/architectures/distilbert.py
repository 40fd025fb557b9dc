"""DistilBERT (Sanh et al. 2019, arXiv:1910.01108): BERT's layers under other names, nothing dropped after attention.

Source: `models/distilbert/modeling_distilbert.py` in transformers 5.23.
"""

from typing import Any

from torch import Tensor
from torch.nn.functional import relu
from transformers import DistilBertForSequenceClassification
from transformers.activations import ACT2FN

from stages.engine.architectures.architecture import (
    Architecture,
    EmbeddingParts,
    EncoderParts,
    HeadParts,
    LayerParts,
)


def _encoder(model: Any) -> EncoderParts:
    config, tables = model.config, model.distilbert.embeddings
    return EncoderParts(
        embeddings=EmbeddingParts(
            words=tables.word_embeddings,
            positions=tables.position_embeddings,
            counts_from_padding=False,
            types=None,
            norm=tables.LayerNorm,
            project=None,
            dropout=config.dropout,
        ),
        layers=tuple(_layer(layer) for layer in model.distilbert.transformer.layer),
        num_heads=config.n_heads,
        activation=ACT2FN[config.activation],
        gated=False,
        norm_first=False,
        final_norm=None,
        relative_bias=None,
        attention_dropout=config.attention_dropout,
        attention_output_dropout=0.0,
        intermediate_dropout=0.0,
        output_dropout=config.dropout,
    )


def _layer(layer: Any) -> LayerParts:
    attention = layer.attention
    return LayerParts(
        attention_input=(attention.q_lin, attention.k_lin, attention.v_lin),
        attention_output=attention.out_lin,
        attention_norm=layer.sa_layer_norm,
        intermediate=layer.ffn.lin1,
        output=layer.ffn.lin2,
        output_norm=layer.output_layer_norm,
    )


def _head(model: Any) -> HeadParts:
    def pooler(states: Tensor) -> Tensor:
        return relu(model.pre_classifier(states))

    return HeadParts(
        state_dropout=0.0,
        pooler=pooler,
        pooled_dropout=model.config.seq_classif_dropout,
        output=model.classifier,
    )


ARCHITECTURE = Architecture(classifiers=(DistilBertForSequenceClassification,), head=_head, encoder=_encoder)
