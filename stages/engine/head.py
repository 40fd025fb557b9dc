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

from stages.engine.forward import Forward, prepare_forward
from stages.engine.models.encoder import (
    Setup,
    fresh_encoder,
    full_disk_as_os_error,
    load_encoder,
    load_tokenizer,
    record_training,
    reload_base,
)
from stages.engine.models.record import Record, read_record, write_record
from stages.engine.params import TrainParams
from stages.engine.predict import BATCH_TOKENS, mean_hidden
from stages.engine.tokens import TokenRows, sorted_batches, tokenize
from stages.engine.training.checkpoint import open_checkpoints
from stages.engine.training.fingerprint import fingerprint
from stages.engine.training.history import Fit
from stages.engine.training.learners import FeatureLearner, Features
from stages.engine.training.loop import fit
from stages.foundation.split import Split

WEIGHTS = "head.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadClassifier:
    """Logits that are linear in the features of a frozen encoder."""

    head: nn.Linear  # on the CPU: it is small
    forward: Forward  # of the encoder, whose own head is not used
    tokenizer: PreTrainedTokenizerBase
    record: Record
    device: torch.device  # of the encoder
    architecture: Mapping[str, Any]  # the encoder's config.json

    def features(self, split: Split, batch_tokens: int) -> Tensor:
        """(N, W) float32 features of the texts, on the CPU."""
        texts = tokenize(self.tokenizer, split.sentences, self.record.max_tokens)
        return torch.from_numpy(mean_hidden(self.forward, texts, batch_tokens=batch_tokens, device=self.device))

    def _mean_hidden(self, texts: TokenRows) -> NDArray[np.float32]:
        return mean_hidden(self.forward, texts, batch_tokens=BATCH_TOKENS, device=self.device)

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
            self._mean_hidden, lambda lengths: sorted_batches(lengths, BATCH_TOKENS), train=texts, validation=others
        )
        with open_checkpoints(checkpoints, params.checkpoint_seconds, mark) as kept:
            features.take(kept)
            return fit(
                FeatureLearner(self.head, features),
                train.labels,
                validation.labels,
                params,
                learning_rate=params.section(self.record.method).learning_rate,
                seed=seed,
                checkpoints=kept,
                seconds_before=features.seconds,
            )

    @torch.inference_mode()
    def predict(self, split: Split, batch_tokens: int) -> NDArray[np.float32]:
        """(N, C) float32 logits, in the order of the rows."""
        logits: NDArray[np.float32] = self.head(self.features(split, batch_tokens)).numpy()
        return logits

    def save(self, folder: Path) -> None:
        """Write the head, the tokenizer and what reloads the encoder."""
        folder.mkdir(parents=True, exist_ok=True)
        with full_disk_as_os_error():
            save_file(dict(self.head.state_dict()), folder / WEIGHTS)
            self.tokenizer.save_pretrained(folder)
        write_record(folder, self.record)


def build_head_classifier(
    setup: Setup, params: TrainParams, *, method: str, method_version: int, label_names: tuple[str, ...], seed: int
) -> HeadClassifier:
    """A fresh head on the base model; the same seed gives the same weights.

    Raises:
        StudyError: If the base model cannot be loaded or reads fewer tokens than `params.max_tokens`.
    """
    encoder = fresh_encoder(setup.base, label_names, max_tokens=params.max_tokens, seed=seed)
    torch.manual_seed(seed)  # the head of Transformers, which is not used, has drawn from the generator
    head = nn.Linear(encoder.model.config.hidden_size, len(label_names))
    trainable = sum(weight.numel() for weight in head.parameters())
    record = record_training(
        setup,
        params,
        encoder.model,
        method=method,
        method_version=method_version,
        label_names=label_names,
        trainable_parameters=trainable,
        total_parameters=sum(weight.numel() for weight in encoder.model.base_model.parameters()) + trainable,
    )
    forward = prepare_forward(_frozen(encoder.model, setup.device), record.engine, setup.precision)
    return HeadClassifier(
        head=head,
        forward=forward,
        tokenizer=encoder.tokenizer,
        record=record,
        device=setup.device,
        architecture=encoder.model.config.to_dict(),
    )


def load_head_classifier(folder: Path, device: torch.device) -> HeadClassifier:
    """What `HeadClassifier.save` wrote, on the encoder it was trained on.

    Raises:
        StudyError: If the base model is not there, or its weights are not those of the training.
    """
    record = read_record(folder)
    encoder, _ = load_encoder(reload_base(record, folder), tuple(record.label_names))
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
