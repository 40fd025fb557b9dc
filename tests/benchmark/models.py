"""The models that are trained: their folders, found or made."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.engine.params import TrainParams
from stages.foundation.files import read_json
from tests.benchmark.worker import in_child

BERT_BASE = "bert-base"
VOCABULARY = "minilm"  # whose tokenizer is borrowed, with BERT's 30,522 uncased word pieces
SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
# Positions begin behind the padding's, so that 512 tokens need two more.
FAIRSEQ = {"pad_token_id": 1, "max_position_embeddings": 514, "layer_norm_eps": 1e-5}


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """The sizes of a base model as it was published; its weights are random, since the speed is the same."""

    kind: str  # `model_type` of its config.json
    sizes: dict[str, Any] = field(default_factory=dict)  # where the configuration's defaults are others


PUBLISHED = {
    BERT_BASE: Published(kind="bert"),
    "roberta-base": Published(kind="roberta", sizes=FAIRSEQ | {"type_vocab_size": 1}),
    "distilbert-base": Published(kind="distilbert"),
    "electra-base": Published(
        kind="electra",
        sizes={"embedding_size": 768, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
    ),
    "mpnet-base": Published(kind="mpnet", sizes=FAIRSEQ),
    "modernbert-base": Published(
        kind="modernbert",
        sizes={
            "pad_token_id": 0,
            "bos_token_id": 101,
            "cls_token_id": 101,
            "eos_token_id": 102,
            "sep_token_id": 102,
            "classifier_pooling": "cls",  # as `train.pooling: first` has it; published with the mean
        },
    ),
    "deberta-v3-base": Published(
        kind="deberta-v2",
        sizes={
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "pooler_hidden_size": 768,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "position_buckets": 256,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
        },
    ),
}


def model_folder(model: str, params: TrainParams, scratch: Path) -> Path:
    """Folder of a shape of `PUBLISHED`, saved to `scratch`, or of whatever `model` in params.yaml may name."""
    if model not in PUBLISHED:
        return in_child(_find_folder, model, params)
    return in_child(save_random, PUBLISHED[model], in_child(_find_folder, VOCABULARY, params), scratch / model)


def _find_folder(model: str, params: TrainParams) -> Path:
    from stages.engine.models.base_model import find_base_model  # in the child: the parent stays small, see worker.py

    return find_base_model(model, params.base_models).folder.resolve()


def save_random(published: Published, vocabulary: Path, folder: Path) -> Path:
    """The encoder as its configuration makes it, for the borrowed word pieces; in the child."""
    import torch
    from transformers import AutoConfig, AutoModel, logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    content = read_json(vocabulary / "tokenizer.json")
    sizes = {"vocab_size": len(content["model"]["vocab"])} | published.sizes
    config = AutoConfig.for_model(published.kind, **sizes)
    AutoModel.from_config(config).save_pretrained(folder)
    _save_tokenizer(content, config.pad_token_id, folder)
    return folder


def _save_tokenizer(content: dict[str, Any], padding_id: int, folder: Path) -> None:
    """The borrowed tokenizer, with the padding's id that the architecture's positions count from."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    ids, padding = content["model"]["vocab"], SPECIAL["pad"]
    displaced = next(token for token, at in ids.items() if at == padding_id)  # BERT leaves such places unused
    ids[displaced], ids[padding] = ids[padding], ids[displaced]
    for added in content["added_tokens"]:
        added["id"] = ids[added["content"]]
    tokenizer = Tokenizer.from_str(json.dumps(content | {"padding": None, "truncation": None}))
    names = {f"{role}_token": token for role, token in SPECIAL.items()}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
