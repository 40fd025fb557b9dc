"""A linear head on a frozen encoder: the features of each text are computed once, so that training takes seconds.

The features are the mean of the last hidden states over the tokens of a text, as sentence encoders take it; the
[CLS] state, which fine-tuning reads, says little before it has been trained.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.engine.base_model import BaseModel
from stages.engine.encoder import (
    find_again,
    full_disk_as_os_error,
    load_encoder,
    load_tokenizer,
    record_base,
    require_room,
)
from stages.engine.forward import Forward, choose_engine, prepare_forward
from stages.engine.params import TrainParams
from stages.engine.predict import mean_hidden
from stages.engine.record import Precision, Record, read_record, write_record
from stages.engine.tokens import TokenRows, sorted_batches, tokenize
from stages.engine.training.checkpoint import open_checkpoints
from stages.engine.training.fingerprint import fingerprint
from stages.engine.training.learners import FeatureLearner, Features
from stages.engine.training.loop import Fit, fit
from stages.foundation.split import Split

WEIGHTS = "head.safetensors"
ROWS = 128  # per forward pass; changes speed, not features


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadClassifier:
    """Logits that are linear in the features of a frozen encoder."""

    head: nn.Linear  # on the processor: it is small
    forward: Forward  # of the encoder, whose own head is not used
    tokenizer: PreTrainedTokenizerBase
    record: Record
    device: torch.device  # of the encoder
    architecture: Mapping[str, Any]  # the encoder's config.json

    def features(self, split: Split, batch_size: int) -> Tensor:
        """(N, W) float32 features of the texts, on the processor."""
        texts = tokenize(self.tokenizer, split.sentences, self.record.max_tokens)
        return torch.from_numpy(mean_hidden(self.forward, texts, batch_size=batch_size, device=self.device))

    def _mean_hidden(self, texts: TokenRows) -> NDArray[np.float32]:
        return mean_hidden(self.forward, texts, batch_size=ROWS, device=self.device)

    def fit(
        self, train: Split, validation: Split, params: TrainParams, *, seed: int, checkpoints: Path | None = None
    ) -> Fit:
        """Train the head in place and leave it with the weights of the best epoch; the time includes the features.

        `checkpoints` is the folder of all trainings' checkpoints, from which this one goes on; None keeps none.
        """
        texts, others = (
            tokenize(self.tokenizer, split.sentences, self.record.max_tokens) for split in (train, validation)
        )
        mark = fingerprint(
            self.record,
            params,
            [(texts, train.labels), (others, validation.labels)],
            architecture=self.architecture,
            seed=seed,
            device=self.device,
        )
        features = Features(
            self._mean_hidden, lambda lengths: sorted_batches(lengths, ROWS), train=texts, validation=others
        )
        with open_checkpoints(checkpoints, params.checkpoint_seconds, mark) as kept:
            features.take(kept)
            return fit(
                FeatureLearner(self.head, features),
                train.labels,
                validation.labels,
                params,
                learning_rate=params.head.learning_rate,
                seed=seed,
                checkpoints=kept,
                seconds_before=features.seconds,
            )

    @torch.inference_mode()
    def predict(self, split: Split, batch_size: int) -> NDArray[np.float32]:
        """(N, C) float32 logits, in the order of the rows."""
        logits: NDArray[np.float32] = self.head(self.features(split, batch_size)).numpy()
        return logits

    def save(self, folder: Path) -> None:
        """Write the head, the tokenizer and what finds the encoder again."""
        folder.mkdir(parents=True, exist_ok=True)
        with full_disk_as_os_error():
            save_file(dict(self.head.state_dict()), folder / WEIGHTS)
            self.tokenizer.save_pretrained(folder)
        write_record(folder, self.record)


def build_head_classifier(
    base: BaseModel,
    params: TrainParams,
    *,
    label_names: tuple[str, ...],
    seed: int,
    precision: Precision,
    device: torch.device,
) -> HeadClassifier:
    """A fresh head on the base model; the same seed gives the same weights.

    Raises:
        StudyError: If the base model cannot be loaded or has no room for so many tokens.
    """
    encoder, _ = load_encoder(base, label_names)
    require_room(base, encoder, params.max_tokens)
    torch.manual_seed(seed)
    head = nn.Linear(encoder.config.hidden_size, len(label_names))
    trainable = sum(weight.numel() for weight in head.parameters())
    record = Record(
        method="head",
        label_names=list(label_names),
        trainable_parameters=trainable,
        total_parameters=sum(weight.numel() for weight in encoder.base_model.parameters()) + trainable,
        engine=choose_engine(params.engine, encoder),
        precision=precision,
        max_tokens=params.max_tokens,
        base=record_base(base),
    )
    tokenizer = load_tokenizer(base.folder, base.name)
    forward = prepare_forward(_frozen(encoder, device), record.engine, precision)
    return HeadClassifier(
        head=head,
        forward=forward,
        tokenizer=tokenizer,
        record=record,
        device=device,
        architecture=encoder.config.to_dict(),
    )


def load_head_classifier(folder: Path, device: torch.device) -> HeadClassifier:
    """What `HeadClassifier.save` wrote, on the encoder it was trained on.

    Raises:
        StudyError: If the base model is not there, or its weights are not those of the training.
    """
    record = read_record(folder)
    encoder, _ = load_encoder(find_again(record, folder), tuple(record.label_names))
    head = nn.Linear(encoder.config.hidden_size, len(record.label_names))
    head.load_state_dict(load_file(folder / WEIGHTS))
    forward = prepare_forward(_frozen(encoder, device), record.engine, record.precision)
    tokenizer = load_tokenizer(folder, str(folder))
    return HeadClassifier(
        head=head,
        forward=forward,
        tokenizer=tokenizer,
        record=record,
        device=device,
        architecture=encoder.config.to_dict(),
    )


def _frozen(encoder: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    for weight in encoder.parameters():
        weight.requires_grad = False
    nn.Module.to(encoder, device)  # Transformers gives its own `to` no usable type
    return encoder
