"""The models that are trained: their folders, found or made."""

import shutil
from pathlib import Path

from stages.engine.params import TrainParams
from tests.benchmark.worker import in_child

BERT_BASE = "bert-base"  # random weights, since the speed is the same: no network is needed
VOCABULARY = "minilm"  # whose tokenizer it borrows, with BERT's 30,522 uncased word pieces
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def model_folder(model: str, params: TrainParams, scratch: Path) -> Path:
    """Folder of `bert-base`, or of whatever `model` in params.yaml may name."""
    if model != BERT_BASE:
        return in_child(_find_folder, model, params)
    return in_child(_save_random_bert, in_child(_find_folder, VOCABULARY, params), scratch / BERT_BASE)


def _find_folder(model: str, params: TrainParams) -> Path:
    from stages.engine.models.base_model import find_base_model  # in the child: the parent stays small, see worker.py

    return find_base_model(model, params.base_models).folder.resolve()


def _save_random_bert(vocabulary: Path, folder: Path) -> Path:
    """BERT-base as its configuration makes it."""
    import torch
    from transformers import BertConfig, BertModel, logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    BertModel(BertConfig()).save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copy(vocabulary / name, folder / name)
    return folder
