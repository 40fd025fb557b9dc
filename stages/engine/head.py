"""A head on a frozen encoder: the states of each text are computed once, so that training takes seconds.

It is the head that fine-tuning trains, reading what that reads; nothing is dropped before it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.engine.forward import Forward, prepare_forward
from stages.engine.lengths import TextLengths, say_cut
from stages.engine.models.encoder import (
    Setup,
    fresh_encoder,
    full_disk_as_os_error,
    lengths_of,
    load_encoder,
    load_tokenizer,
    module_of,
    record_training,
    reload_base,
    tokens_of,
)
from stages.engine.models.record import Record, read_record, write_record
from stages.engine.params import TrainParams
from stages.engine.pooling import freeze_unread, head_of, is_of_head, logits_of_states
from stages.engine.predict import BATCH_TOKENS, text_states
from stages.engine.tokens import TokenRows, sorted_batches
from stages.engine.training.checkpoint import open_checkpoints
from stages.engine.training.fingerprint import fingerprint
from stages.engine.training.history import Fit
from stages.engine.training.learners import StateLearner, TextStates
from stages.engine.training.loop import fit
from stages.engine.training.team import assembled
from stages.foundation.split import Split
from stages.foundation.workers import Workers

WEIGHTS = "head.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadClassifier:
    """A classifier of Transformers of which the head alone is trained."""

    model: PreTrainedModel
    forward: Forward  # of the frozen encoder
    tokenizer: PreTrainedTokenizerBase
    record: Record
    device: torch.device

    def trainable(self) -> dict[str, nn.Parameter]:
        """Name and weights of all that training changes."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def fit(
        self,
        train: Split,
        validation: Split,
        params: TrainParams,
        *,
        seed: int,
        checkpoints: Path | None = None,
        workers: Workers | None = None,
    ) -> Fit:
        """Train the head in place and leave it with the weights of the best epoch; the time includes the states.

        `checkpoints` is the folder of all trainings' checkpoints, from which this one goes on; None keeps none. Of
        several `workers` each computes some of the states. The head, to whose steps telling would add more than
        another worker takes off, each then trains alike.
        """
        texts, others = self._tokenized(train), self._tokenized(validation)
        say_cut({"train": self._lengths(texts), "val": self._lengths(others)})
        mark = fingerprint(
            self.record,
            params,
            [(texts, train.labels), (others, validation.labels)],
            architecture=self.model.config.to_dict(),
            seed=seed,
            device=self.device,
        )
        with (
            assembled(workers, self.device) as team,
            open_checkpoints(checkpoints, params.checkpoint_seconds, mark, team) as kept,
        ):
            states = TextStates(
                lambda rows: self._states(rows, BATCH_TOKENS),
                lambda lengths: sorted_batches(lengths, BATCH_TOKENS),
                train=texts,
                validation=others,
                team=team,
            )
            states.take(kept)
            return fit(
                StateLearner(self._logits, list(self.trainable().values()), states, self.device),
                train.labels,
                validation.labels,
                params,
                learning_rate=params.section(self.record.method).learning_rate,
                seed=seed,
                checkpoints=kept,
                seconds_before=states.seconds,
            )

    @torch.inference_mode()
    def predict(self, split: Split, batch_tokens: int) -> NDArray[np.float32]:
        """(N, C) float32 logits, in the order of the rows."""
        states = torch.from_numpy(self._states(self._tokenized(split), batch_tokens)).to(self.device)
        logits: NDArray[np.float32] = self._logits(states).cpu().numpy()
        return logits

    def save(self, folder: Path) -> None:
        """Write the head, the tokenizer and what reloads the encoder."""
        folder.mkdir(parents=True, exist_ok=True)
        with full_disk_as_os_error():
            save_file({name: weight.detach() for name, weight in self.trainable().items()}, folder / WEIGHTS)
            self.tokenizer.save_pretrained(folder)
        write_record(folder, self.record)

    def lengths(self, split: Split) -> TextLengths:
        """How long the texts are, and what of them is read."""
        return self._lengths(self._tokenized(split))

    def _lengths(self, texts: TokenRows) -> TextLengths:
        return lengths_of(texts, self.model, self.record.max_tokens)

    def _tokenized(self, split: Split) -> TokenRows:
        return tokens_of(split, self.model, self.tokenizer, self.record.max_tokens)

    def _states(self, texts: TokenRows, batch_tokens: int) -> NDArray[np.float32]:
        return text_states(self.forward, texts, batch_tokens=batch_tokens, device=self.device)

    def _logits(self, states: Tensor) -> Tensor:
        """(N, C) float32 logits of (N, W) states."""
        return logits_of_states(head_of(self.model), states, self.record.read_by_head, lambda values, _: values)


def build_head_classifier(
    setup: Setup, params: TrainParams, *, method: str, method_version: int, label_names: tuple[str, ...], seed: int
) -> HeadClassifier:
    """A fresh head on the base model; the same seed gives the same weights.

    Raises:
        StudyError: If the base model cannot be loaded, has a head that is not known by its parts, or reads fewer tokens
            than `params.max_tokens`.
    """
    encoder = fresh_encoder(setup.base, label_names, max_tokens=params.max_tokens, seed=seed)
    model = encoder.model
    head_of(model)
    for name, weight in model.named_parameters():
        weight.requires_grad = is_of_head(model, name) and module_of(model, name) in encoder.fresh
    freeze_unread(model, params.reading)
    torch.manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.weight.requires_grad:
            module.reset_parameters()  # wider than Transformers begins, which suits a head that learns alone
    trainable = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    frozen = sum(weight.numel() for weight in model.base_model.parameters() if not weight.requires_grad)
    record = record_training(
        setup,
        params,
        model,
        method=method,
        method_version=method_version,
        label_names=label_names,
        trainable_parameters=trainable,
        total_parameters=frozen + trainable,  # a fresh pooler is of the base model, and is trained
    )
    return _placed(model, encoder.tokenizer, record, setup.device)


def load_head_classifier(folder: Path, device: torch.device) -> HeadClassifier:
    """What `HeadClassifier.save` wrote, on the encoder it was trained on.

    Raises:
        StudyError: If the base model is not there, or its weights are not those of the training.
    """
    record = read_record(folder)
    model, _ = load_encoder(reload_base(record, folder), tuple(record.label_names))
    trained = load_file(folder / WEIGHTS)
    model.load_state_dict(trained, strict=False)
    for name, weight in model.named_parameters():
        weight.requires_grad = name in trained
    return _placed(model, load_tokenizer(folder, str(folder)), record, device)


def _placed(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, record: Record, device: torch.device
) -> HeadClassifier:
    nn.Module.to(model, device)  # Transformers gives its own `to` no usable type
    forward = prepare_forward(model, record.engine, record.precision, record.read_by_head)
    return HeadClassifier(model=model, forward=forward, tokenizer=tokenizer, record=record, device=device)
