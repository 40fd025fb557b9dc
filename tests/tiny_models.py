"""Encoders of random weights, small enough to train in a second."""

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertModel,
    CamembertConfig,
    CamembertModel,
    DebertaV2Config,
    DebertaV2Model,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
    XLNetConfig,
    XLNetModel,
)

from stages.methods.lora import LoraParams

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["good", "bad", "a", "film", "the", "plot", "is", "very", "not", "fine", "poor", "."]
VOCABULARY = {token: index for index, token in enumerate(SPECIAL + WORDS)}
TOLD_SEGMENTS = (BertModel, ElectraModel, DebertaV2Model)  # by their tokenizers, as those of the real models
LORA = LoraParams(
    learning_rate=1e-2,
    rank=4,
    alpha=8,
    dropout=0.1,
    bias="none",
    use_rslora=False,
    use_dora=False,
    target_modules=["query", "value"],
)
# How pairs are laid out: by BERT's tokenizer, and by RoBERTa's, which tells no segments.
PAIR, WIDE_PAIR = (
    "[CLS] $A [SEP] $B:1 [SEP]:1",
    "[CLS] $A [SEP] [SEP] $B [SEP]",
)
WIDE_ENOUGH = 0.2  # initializer range with which random features tell words apart
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def save_tiny_bert(folder: Path, **changes: object) -> Path:
    """Write a two-layer, 32-wide BERT and its tokenizer, always the same weights; `changes` go into its config."""
    config = BertConfig(**_sizes() | {"max_position_embeddings": 128} | changes)
    return _save(folder, BertModel, config)


def save_tiny_distilbert(folder: Path, **changes: object) -> Path:
    """The same as DistilBERT: another family, without a pooler."""
    sizes: dict[str, object] = {
        "vocab_size": len(VOCABULARY),
        "dim": 32,
        "hidden_dim": 64,
        "n_layers": 2,
        "n_heads": 2,
        "max_position_embeddings": 128,
        "initializer_range": WIDE_ENOUGH,
    }
    config = DistilBertConfig(**sizes | changes)
    return _save(folder, DistilBertModel, config)


def save_tiny_roberta(folder: Path, **changes: object) -> Path:
    """The same as RoBERTa, whose positions begin behind that of the padding token."""
    positions = {"max_position_embeddings": 129, "pad_token_id": VOCABULARY["[PAD]"], "type_vocab_size": 1}
    return _save(folder, RobertaModel, RobertaConfig(**_sizes() | positions | changes))


def save_tiny_xlm_roberta(folder: Path, **changes: object) -> Path:
    """RoBERTa's layers under another name."""
    positions = {"max_position_embeddings": 129, "pad_token_id": VOCABULARY["[PAD]"], "type_vocab_size": 1}
    return _save(folder, XLMRobertaModel, XLMRobertaConfig(**_sizes() | positions | changes))


def save_tiny_camembert(folder: Path, **changes: object) -> Path:
    """RoBERTa's layers under a third name."""
    positions = {"max_position_embeddings": 129, "pad_token_id": VOCABULARY["[PAD]"], "type_vocab_size": 1}
    return _save(folder, CamembertModel, CamembertConfig(**_sizes() | positions | changes))


def save_tiny_electra(folder: Path, **changes: object) -> Path:
    """Embeddings half as wide as the layers."""
    config = ElectraConfig(**_sizes() | {"embedding_size": 16, "max_position_embeddings": 128} | changes)
    return _save(folder, ElectraModel, config)


def save_tiny_mpnet(folder: Path, **changes: object) -> Path:
    """A bias by distance, and positions that count from a padding id of 1, whatever the vocabulary says."""
    positions = {"max_position_embeddings": 130, "relative_attention_num_buckets": 32}
    return _save(folder, MPNetModel, MPNetConfig(**_sizes() | positions | changes), padding_id=1)


def save_tiny_modernbert(folder: Path, **changes: object) -> Path:
    """Four layers, the first and the last of which see all of the text, the others 8 tokens to each side."""
    config = ModernBertConfig(
        **_sizes()
        | {
            "num_hidden_layers": 4,
            "local_attention": 16,
            "max_position_embeddings": 128,
            "pad_token_id": VOCABULARY["[PAD]"],
            "bos_token_id": VOCABULARY["[CLS]"],
            "eos_token_id": VOCABULARY["[SEP]"],
            "cls_token_id": VOCABULARY["[CLS]"],
            "sep_token_id": VOCABULARY["[SEP]"],
        }
        | changes
    )
    return _save(folder, ModernBertModel, config)


def save_tiny_deberta(folder: Path, **changes: object) -> Path:
    """DeBERTa-v3's attention, which no description covers."""
    config = DebertaV2Config(
        **_sizes()
        | {
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "position_buckets": 8,
            "position_biased_input": False,
            "type_vocab_size": 0,
            "max_position_embeddings": 128,
        }
        | changes
    )
    return _save(folder, DebertaV2Model, config)


def save_tiny_xlnet(folder: Path, **changes: object) -> Path:
    """Knows no last position, and reads the last token, so that it is padded on the left."""
    sizes = {"vocab_size": len(VOCABULARY), "d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 64}
    config = XLNetConfig(**sizes | {"initializer_range": WIDE_ENOUGH, "pad_token_id": VOCABULARY["[PAD]"]} | changes)
    return _save(folder, XLNetModel, config)


TINY: dict[str, Callable[..., Path]] = {
    "bert": save_tiny_bert,
    "roberta": save_tiny_roberta,
    "xlm-roberta": save_tiny_xlm_roberta,
    "camembert": save_tiny_camembert,
    "distilbert": save_tiny_distilbert,
    "electra": save_tiny_electra,
    "mpnet": save_tiny_mpnet,
    "modernbert": save_tiny_modernbert,
    "deberta-v2": save_tiny_deberta,
}
# What turns all dropout off, for engines to be held against each other.
STILL: dict[str, dict[str, object]] = dict.fromkeys(TINY, NO_DROPOUT) | {
    "distilbert": {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0},
    "modernbert": {},  # drops nothing unless told to
    "deberta-v2": NO_DROPOUT | {"pooler_dropout": 0.0},
}


def _sizes() -> dict[str, object]:
    return {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "initializer_range": WIDE_ENOUGH,
    }


def _save(folder: Path, kind: type[PreTrainedModel], config: object, *, padding_id: int = 0) -> Path:
    vocabulary = VOCABULARY | {"[PAD]": padding_id, "[UNK]": 1 - padding_id}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=PAIR if kind in TOLD_SEGMENTS or kind is DistilBertModel else WIDE_PAIR,
        special_tokens=[(token, VOCABULARY[token]) for token in ("[CLS]", "[SEP]")],
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    inputs = ["input_ids", *(["token_type_ids"] if kind in TOLD_SEGMENTS else []), "attention_mask"]
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, mask_token="[MASK]", model_input_names=inputs, **names
    ).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kind(config).save_pretrained(folder)
    return folder
