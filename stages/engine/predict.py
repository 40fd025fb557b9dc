"""Logits for texts."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stages.engine.classifier import Classifier
from stages.engine.tokens import pad, sorted_batches, tokenize
from stages.foundation.split import Split


@dataclass(frozen=True, slots=True)
class TokenizedSplit:
    """N labelled texts as token ids, tokenised once."""

    token_ids: list[list[int]]  # N lists of vocabulary ids
    lengths: NDArray[np.int64]  # (N,) tokens of each text
    labels: NDArray[np.int64]  # (N,) class index
    pad_token_id: int


def tokenized(classifier: Classifier, split: Split) -> TokenizedSplit:
    """A split as the classifier reads it."""
    token_ids = tokenize(classifier.tokenizer, split.sentences, classifier.record.max_tokens)
    lengths = np.array([len(ids) for ids in token_ids], dtype=np.int64)
    return TokenizedSplit(token_ids, lengths, split.labels, classifier.tokenizer.pad_token_id)


@torch.inference_mode()
def predict_logits(classifier: Classifier, rows: TokenizedSplit, batch_size: int) -> NDArray[np.float32]:
    """(N, C) float32 logits, in the order of the rows, dropout off."""
    classifier.model.eval()
    logits = np.empty((len(rows.token_ids), len(classifier.record.label_names)), dtype=np.float32)
    for batch in sorted_batches(rows.lengths, batch_size):
        padded = pad([rows.token_ids[row] for row in batch], rows.pad_token_id)
        logits[batch] = classifier.logits(padded).numpy()
    return logits
