"""ELECTRA (Clark et al. 2020, arXiv:2003.10555): BERT's layers, on embeddings that may be narrower.

Source: `models/electra/modeling_electra.py` in transformers 5.23.
"""

from typing import Any

from torch import Tensor
from torch.nn.functional import gelu
from transformers import ElectraForSequenceClassification

from stages.engine.architectures.architecture import Architecture, HeadParts, decoder_obstacle, dropout_of_head
from stages.engine.architectures.bert import bert_encoder


def _head(model: Any) -> HeadParts:
    head, dropout = model.classifier, dropout_of_head(model.config)

    def pooler(states: Tensor) -> Tensor:
        return gelu(head.dense(states))

    return HeadParts(
        state_dropout=dropout, pooler=pooler, pooled_dropout=dropout, output=lambda pooled: head.out_proj(pooled)
    )


ARCHITECTURE = Architecture(
    classifiers=(ElectraForSequenceClassification,),
    head=_head,
    encoder=lambda model: bert_encoder(model.electra, project=getattr(model.electra, "embeddings_project", None)),
    obstacle=decoder_obstacle,
)
