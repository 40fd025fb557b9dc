"""A fine-tuned encoder: all of it, or an adapter and the head."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from stages.engine.adapters import find_targets, keep_blocks, widen
from stages.engine.forward import Forward, prepare_forward
from stages.engine.lengths import TextLengths, say_cut
from stages.engine.models.encoder import (
    FreshEncoder,
    Setup,
    fresh_encoder,
    full_disk_as_os_error,
    lengths_of,
    load_encoder,
    load_model,
    load_tokenizer,
    record_training,
    reload_base,
    tokens_of,
)
from stages.engine.models.record import Record, read_record, write_record
from stages.engine.params import TrainParams
from stages.engine.pooling import configure_pooling, freeze_unread, reads_as_transformers
from stages.engine.predict import predict_logits
from stages.engine.tokens import TokenRows
from stages.engine.training.checkpoint import open_checkpoints
from stages.engine.training.fingerprint import fingerprint
from stages.engine.training.history import Fit
from stages.engine.training.learners import TextLearner
from stages.engine.training.loop import fit
from stages.engine.training.team import assembled
from stages.foundation.errors import StudyError
from stages.foundation.files import write_json
from stages.foundation.log import say
from stages.foundation.split import Split
from stages.foundation.workers import Workers

PEFT_HEADS = frozenset({"classifier", "score"})  # PEFT trains and saves these by itself


@dataclass(frozen=True)  # without slots, for the cached forward pass
class EncoderClassifier:
    """A model that turns token ids into one logit per class."""

    model: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    record: Record
    device: torch.device

    @cached_property
    def forward(self) -> Forward:
        """The forward pass, for training; its `merged()` is for prediction."""
        record = self.record
        return prepare_forward(self.transformer, record.engine, record.precision, record.read_by_head)

    @property
    def transformer(self) -> PreTrainedModel:
        """Transformers' model, adapters inside."""
        return self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model  # type: ignore[return-value]

    def trainable(self) -> dict[str, torch.nn.Parameter]:
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
        """Train in place and end with the weights of the best epoch.

        `checkpoints` is the folder of all trainings' checkpoints, from which this one goes on; None keeps none. Where
        there are several `workers`, each calls this with the same rows and params.
        """
        texts, others = self._tokenized(train), self._tokenized(validation)
        say_cut({"train": self._lengths(texts), "val": self._lengths(others)})
        mark = fingerprint(
            self.record,
            params,
            [(texts, train.labels), (others, validation.labels)],
            architecture=self.transformer.config.to_dict(),
            seed=seed,
            device=self.device,
        )
        weights = list(self.trainable().values())
        with (
            assembled(workers, self.device) as team,
            open_checkpoints(checkpoints, params.checkpoint_seconds, mark, team) as kept,
        ):
            return fit(
                TextLearner(
                    self.forward, weights, train=texts, validation=others, device=self.device, seed=seed, team=team
                ),
                train.labels,
                validation.labels,
                params,
                learning_rate=params.section(self.record.method).learning_rate,
                seed=seed,
                checkpoints=kept,
                team=team,
            )

    def predict(self, split: Split, batch_tokens: int) -> NDArray[np.float32]:
        """(N, C) float32 logits, in the order of the rows, dropout off."""
        return predict_logits(self.forward, self._tokenized(split), batch_tokens=batch_tokens, device=self.device)

    def lengths(self, split: Split) -> TextLengths:
        """How long the texts are, and what of them is read."""
        return self._lengths(self._tokenized(split))

    def _lengths(self, texts: TokenRows) -> TextLengths:
        return lengths_of(texts, self.transformer, self.record.max_tokens)

    def _tokenized(self, split: Split) -> TokenRows:
        return tokens_of(split, self.transformer, self.tokenizer, self.record.max_tokens)

    def save(self, folder: Path) -> None:
        """Write what PEFT's or Transformers' `from_pretrained` loads again: no path, no date, no pickle.

        Says so where what they then compute is something else, since the head reads what theirs does not.
        """
        with full_disk_as_os_error():
            if isinstance(self.model, PeftModel):
                save_adapter(self.model, folder)
            else:
                self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        write_record(folder, self.record)
        if not reads_as_transformers(self.transformer, self.record.read_by_head):
            say(
                f"{folder} is for stages.methods.load: the classifier of Transformers reads the first token, through a "
                "pooler if it has one, and would give other logits"
            )


def build_classifier(
    setup: Setup,
    params: TrainParams,
    *,
    method: str,
    method_version: int,
    adapter: LoraConfig | None,
    label_names: tuple[str, ...],
    seed: int,
) -> EncoderClassifier:
    """The base model with a fresh head, and with a fresh adapter or all of it to be trained.

    The same seed gives the same weights.

    Args:
        setup: The base model, where to train it, and in which precision.
        params: From params.yaml.
        method: What the record calls it; its section of the params has the learning rate.
        method_version: Of the method's numbers.
        adapter: PEFT's configuration; None trains every parameter.
        label_names: Name of each class index.
        seed: Initialises what is fresh; the generator goes on to drive the dropout of the plain engine.

    Raises:
        StudyError: If the base model cannot be loaded, has no layer of the adapter's names or reads fewer tokens than
            `params.max_tokens`.
    """
    encoder = fresh_encoder(setup.base, label_names, max_tokens=params.max_tokens, seed=seed)
    model, fixed = (encoder.model, 0) if adapter is None else _adapt(setup, encoder, adapter, method)
    freeze_unread(encoder.model, params.reading)
    if other := configure_pooling(encoder.model, params.reading):
        say(f"model {setup.base.name} pools by {other!r} in its own config.json; train.pooling decides, there as well")
    weights = list(model.parameters())
    record = record_training(
        setup,
        params,
        encoder.model,
        method=method,
        method_version=method_version,
        label_names=label_names,
        trainable_parameters=sum(weight.numel() for weight in weights if weight.requires_grad) - fixed,
        total_parameters=sum(weight.numel() for weight in weights),
    )
    torch.nn.Module.to(model, setup.device)  # Transformers gives its own `to` no usable type
    return EncoderClassifier(model, encoder.tokenizer, record, setup.device)


def load_whole_classifier(folder: Path, device: torch.device) -> EncoderClassifier:
    """The classifier that `EncoderClassifier.save` wrote where every parameter was trained.

    Raises:
        StudyError: If it cannot be loaded.
    """
    record = read_record(folder)
    model = load_model(folder, str(folder), tuple(record.label_names))
    return _loaded(model, folder, record, device)


def load_adapted_classifier(folder: Path, device: torch.device) -> EncoderClassifier:
    """The classifier that `EncoderClassifier.save` wrote where an adapter was trained, on the same base model.

    Raises:
        StudyError: If the base model is not there, or its weights are not those of the training.
    """
    record = read_record(folder)
    encoder, _ = load_encoder(reload_base(record, folder), tuple(record.label_names))
    with known_warnings():
        return _loaded(PeftModel.from_pretrained(encoder, str(folder)), folder, record, device)


def _loaded(
    model: PreTrainedModel | PeftModel, folder: Path, record: Record, device: torch.device
) -> EncoderClassifier:
    torch.nn.Module.to(model, device)  # Transformers gives its own `to` no usable type
    classifier = EncoderClassifier(model, load_tokenizer(folder, str(folder)), record, device)
    configure_pooling(classifier.transformer, record.read_by_head)
    return classifier


def _adapt(setup: Setup, encoder: FreshEncoder, adapter: LoraConfig, method: str) -> tuple[PeftModel, int]:
    """PEFT's layers around those that the adapter names, and how many of their numbers stay 0.

    What is fresh is trained and saved with it.
    """
    key = f"train.{method}.target_modules"
    targets = find_targets(encoder.model, adapter.target_modules or [], key=key)
    adapter.target_modules = list(targets.names)
    widen(adapter, targets)
    adapter.modules_to_save = sorted(encoder.fresh - PEFT_HEADS) or None
    try:
        with known_warnings():
            model = get_peft_model(encoder.model, adapter)
    except ValueError as error:
        raise StudyError(f"{key}: {error}") from error
    # A path would differ from machine to machine, and so would the hash of the model.
    model.peft_config["default"].base_model_name_or_path = setup.base.location
    return model, keep_blocks(encoder.model, targets)


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write what PEFT loads on the base model, in the same order each time."""
    # No embedding is trained, so PEFT need not look the base model up on the Hub.
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink()  # PEFT's model card is a form that nobody has filled in
    _write_canonical(folder / "adapter_config.json")
    model.config.save_pretrained(folder)


@contextmanager
def known_warnings() -> Iterator[None]:
    """Leave out what PEFT 0.21 does in an old way of Transformers 5: no user can mend it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        yield


def _write_canonical(path: Path) -> None:
    """Sort what PEFT writes in the order of a set, which differs from run to run."""
    content = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {key: sorted(value) if isinstance(value, list) else value for key, value in content.items()})
