"""RoBERTa (Liu et al. 2019, arXiv:1907.11692): BERT's layers, positions that count from the padding id's.

XLM-R and CamemBERT have the same layers. Source: `models/roberta/modeling_roberta.py` in transformers 5.23.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import (
    CamembertForSequenceClassification,
    RobertaForSequenceClassification,
    XLMRobertaForSequenceClassification,
)

from stages.engine.architectures.architecture import Architecture, HeadParts, decoder_obstacle, dropout_of_head
from stages.engine.architectures.bert import bert_encoder


def _head(model: Any) -> HeadParts:
    head, dropout = model.classifier, dropout_of_head(model.config)

    def pooler(states: Tensor) -> Tensor:
        return torch.tanh(head.dense(states))

    return HeadParts(
        state_dropout=dropout, pooler=pooler, pooled_dropout=dropout, output=lambda pooled: head.out_proj(pooled)
    )


ARCHITECTURE = Architecture(
    classifiers=(
        RobertaForSequenceClassification,
        XLMRobertaForSequenceClassification,
        CamembertForSequenceClassification,
    ),
    head=_head,
    encoder=lambda model: bert_encoder(model.roberta, counts_from_padding=True),
    obstacle=decoder_obstacle,
)
