"""RoBERTa (Liu et al. 2019, arXiv:1907.11692): BERT's layers, positions that count from the padding id's.

XLM-R and CamemBERT have the same layers. Source: `models/roberta/modeling_roberta.py` in transformers 5.23.
"""

import torch
from transformers import (
    CamembertForSequenceClassification,
    RobertaForSequenceClassification,
    XLMRobertaForSequenceClassification,
)

from stages.engine.architectures.architecture import Architecture, decoder_obstacle, dropout_of_head, two_layer_head
from stages.engine.architectures.bert import bert_encoder

ARCHITECTURE = Architecture(
    classifiers=(
        RobertaForSequenceClassification,
        XLMRobertaForSequenceClassification,
        CamembertForSequenceClassification,
    ),
    head=lambda model: two_layer_head(model.classifier, torch.tanh, dropout_of_head(model.config)),
    encoder=lambda model: bert_encoder(model.roberta, counts_from_padding=True),
    obstacle=decoder_obstacle,
)
