"""BERT (Devlin et al. 2018, arXiv:1810.04805): norms behind the residual sums, a pooler that is pretrained.

Source: `models/bert/modeling_bert.py` in transformers 5.23.
"""

from typing import Any

from torch import Tensor
from transformers import BertForSequenceClassification
from transformers.activations import ACT2FN

from stages.engine.architectures.architecture import (
    ATTENTION_ROLES,
    Architecture,
    EmbeddingParts,
    EncoderParts,
    HeadParts,
    LayerParts,
    decoder_obstacle,
    dropout_of_head,
)


def bert_encoder(encoder: Any, *, counts_from_padding: bool = False, project: Any = None) -> EncoderParts:
    """The encoder of BERT and of what is built from its layers: RoBERTa, ELECTRA."""
    config, tables = encoder.config, encoder.embeddings
    hidden_dropout = config.hidden_dropout_prob
    return EncoderParts(
        embeddings=EmbeddingParts(
            words=tables.word_embeddings,
            positions=tables.position_embeddings,
            counts_from_padding=counts_from_padding,
            types=tables.token_type_embeddings,
            norm=tables.LayerNorm,
            project=project,
            dropout=hidden_dropout,
        ),
        layers=tuple(bert_layer(layer) for layer in encoder.encoder.layer),
        num_heads=config.num_attention_heads,
        activation=ACT2FN[config.hidden_act],
        gated=False,
        norm_first=False,
        final_norm=None,
        relative_bias=None,
        attention_dropout=config.attention_probs_dropout_prob,
        attention_output_dropout=hidden_dropout,
        intermediate_dropout=0.0,
        output_dropout=hidden_dropout,
    )


def bert_layer(layer: Any, *, suffix: str = "") -> LayerParts:
    """A layer of BERT's; `suffix` ends the names of query, key and value."""
    attention = layer.attention
    return LayerParts(
        attention_input=tuple(getattr(attention.self, f"{role}{suffix}") for role in ATTENTION_ROLES),
        attention_output=attention.output.dense,
        attention_norm=attention.output.LayerNorm,
        intermediate=layer.intermediate.dense,
        output=layer.output.dense,
        output_norm=layer.output.LayerNorm,
    )


def _head(model: Any) -> HeadParts:
    def pooler(states: Tensor) -> Tensor:
        pooled: Tensor = model.bert.pooler(states[:, None])  # it may hold an adapter of PEFT's
        return pooled

    return HeadParts(
        state_dropout=0.0,
        pooler=pooler,
        pooled_dropout=dropout_of_head(model.config),
        output=model.classifier,
    )


ARCHITECTURE = Architecture(
    classifiers=(BertForSequenceClassification,),
    head=_head,
    encoder=lambda model: bert_encoder(model.bert),
    obstacle=decoder_obstacle,
)
