"""ELECTRA (Clark et al. 2020, arXiv:2003.10555): BERT's layers, on embeddings that may be narrower.

Source: `models/electra/modeling_electra.py` in transformers 5.23.
"""

from torch.nn.functional import gelu
from transformers import ElectraForSequenceClassification

from stages.engine.architectures.architecture import Architecture, decoder_obstacle, dropout_of_head, two_layer_head
from stages.engine.architectures.bert import bert_encoder

ARCHITECTURE = Architecture(
    classifiers=(ElectraForSequenceClassification,),
    head=lambda model: two_layer_head(model.classifier, gelu, dropout_of_head(model.config)),
    encoder=lambda model: bert_encoder(model.electra, project=getattr(model.electra, "embeddings_project", None)),
    obstacle=decoder_obstacle,
)
