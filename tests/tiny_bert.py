"""Encoders of random weights, small enough to train in a second."""

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
    DistilBertConfig,
    DistilBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)

from stages.methods.lora import LoraParams

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["good", "bad", "a", "film", "the", "plot", "is", "very", "not", "fine", "poor", "."]
VOCABULARY = {token: index for index, token in enumerate(SPECIAL + WORDS)}
PADDING_AT_1 = {token: index for index, token in enumerate(["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]", *WORDS])}
LORA = LoraParams(learning_rate=1e-2, rank=4, alpha=8, dropout=0.1, bias="none", target_modules=["query", "value"])
WIDE_ENOUGH = 0.2  # initializer range with which random features tell words apart
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def save_tiny_bert(folder: Path, **changes: object) -> Path:
    """Write a two-layer, 32-wide BERT and its tokenizer, always the same weights; `changes` go into its config."""
    config = BertConfig(**_sizes() | {"max_position_embeddings": 128} | changes)
    return _save(folder, BertModel, config)


def save_tiny_distilbert(folder: Path) -> Path:
    """The same as DistilBERT: another family, without a pooler."""
    config = DistilBertConfig(
        vocab_size=len(VOCABULARY),
        dim=32,
        hidden_dim=64,
        n_layers=2,
        n_heads=2,
        max_position_embeddings=128,
        initializer_range=WIDE_ENOUGH,
    )
    return _save(folder, DistilBertModel, config)


def save_tiny_roberta(folder: Path, **changes: object) -> Path:
    """The same as RoBERTa, whose positions begin behind that of the padding token."""
    positions = {"max_position_embeddings": 129, "pad_token_id": VOCABULARY["[PAD]"], "type_vocab_size": 1}
    return _save(folder, RobertaModel, RobertaConfig(**_sizes() | positions | changes))


def save_tiny_mpnet(folder: Path, **changes: object) -> Path:
    """The same as MPNet, which always takes 1 for the padding token, and counts positions from the one behind it."""
    positions = {"max_position_embeddings": 130, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    return _save(folder, MPNetModel, MPNetConfig(**_sizes() | positions | changes), PADDING_AT_1)


def _sizes() -> dict[str, object]:
    return {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "initializer_range": WIDE_ENOUGH,
    }


def _save(folder: Path, kind: type[PreTrainedModel], config: object, vocabulary: dict[str, int] = VOCABULARY) -> Path:
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="[MASK]", **names).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kind(config).save_pretrained(folder)
    return folder
