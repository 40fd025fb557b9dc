"""DeBERTa-v2 and -v3 (He et al. 2021, arXiv:2111.09543): the head, and the roles of the layers.

Its disentangled attention adds products of content and position to every score; it runs as Transformers has it.
Source: `models/deberta_v2/modeling_deberta_v2.py` in transformers 5.23.
"""

from typing import Any

from torch import Tensor
from transformers import DebertaV2ForSequenceClassification
from transformers.activations import ACT2FN

from stages.engine.architectures.architecture import Architecture, HeadParts
from stages.engine.architectures.bert import bert_layer


def _head(model: Any) -> HeadParts:
    config = model.config
    activation = ACT2FN[config.pooler_hidden_act]
    dropout = getattr(config, "cls_dropout", None)

    def pooler(states: Tensor) -> Tensor:
        pooled: Tensor = activation(model.pooler.dense(states))
        return pooled

    return HeadParts(
        state_dropout=config.pooler_dropout,
        pooler=pooler,
        pooled_dropout=config.hidden_dropout_prob if dropout is None else dropout,
        output=model.classifier,
    )


ARCHITECTURE = Architecture(
    classifiers=(DebertaV2ForSequenceClassification,),
    head=_head,
    encoder=None,
    layers=lambda model: tuple(bert_layer(layer, suffix="_proj") for layer in model.deberta.encoder.layer),
)
