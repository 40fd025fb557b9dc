"""The methods that `method` in params.yaml names, each from fresh weights to a saved classifier and back."""

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from stages.engine.base_model import find_base_model
from stages.engine.classifier import build_classifier, load_classifier
from stages.engine.device import choose_device
from stages.engine.head import build_head_classifier, load_head_classifier
from stages.engine.params import TrainParams, TrainView
from stages.engine.precision import choose_precision
from stages.engine.record import Record, read_record
from stages.engine.tfidf import build_tfidf_classifier, load_tfidf_classifier
from stages.engine.training.loop import Fit
from stages.foundation.log import say
from stages.foundation.split import Split


class Trained(Protocol):
    """A classifier of any method."""

    @property
    def record(self) -> Record:
        """What it was made from."""

    def fit(
        self, train: Split, validation: Split, params: TrainParams, *, seed: int, checkpoints: Path | None = None
    ) -> Fit:
        """Learn from the training rows; validation chooses the epoch that is kept.

        `checkpoints` is the folder of all trainings' checkpoints, from which this one goes on; None keeps none.
        """

    def predict(self, split: Split, batch_size: int) -> NDArray[np.float32]:
        """(N, C) float32 logits, in the order of the rows."""

    def save(self, folder: Path) -> None:
        """Write it, without a pickle, a path or a date."""


def build(params: TrainView, label_names: tuple[str, ...]) -> Trained:
    """A classifier that has learned nothing yet; says what was chosen for it, and why.

    Raises:
        StudyError: If params.yaml asks for a model or a device that is not there, or that do not fit.
    """
    train = params.train
    if params.method == "tfidf":
        return build_tfidf_classifier(train.tfidf, label_names)
    base = find_base_model(params.model, train.base_models)
    device, device_reason = choose_device(train.device)
    precision, precision_reason = choose_precision(train.precision, device)
    say(f"device {device.type}: {device_reason}; precision {precision}: {precision_reason}")
    if params.method == "head":
        return build_head_classifier(
            base, train, label_names=label_names, seed=params.seed, precision=precision, device=device
        )
    return build_classifier(
        base,
        train,
        lora=train.lora if params.method == "lora" else None,
        label_names=label_names,
        seed=params.seed,
        precision=precision,
        device=device,
    )


def load(folder: Path, device: torch.device) -> Trained:
    """The classifier of whichever method was saved in a folder.

    Raises:
        StudyError: If its base model is not there, or is another one than in training.
    """
    method = read_record(folder).method
    if method == "tfidf":
        return load_tfidf_classifier(folder)
    if method == "head":
        return load_head_classifier(folder, device)
    return load_classifier(folder, device)
