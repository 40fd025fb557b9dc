"""A method as a stranger would add it: the whole of it in one file. It predicts the share of each class."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stages.engine.lengths import READ_WHOLE, TextLengths
from stages.engine.models.record import Record, read_record, write_record
from stages.engine.params import Device, TrainParams
from stages.engine.training.history import Epoch, Fit
from stages.foundation.errors import check_param
from stages.foundation.files import read_json, write_json
from stages.foundation.split import Split
from stages.foundation.workers import Workers
from stages.methods.method import Classifier, Computation, Look, Method, MethodView, Words

NAME = "majority"
COMPUTATION = Computation(precision="fp32", engine="numpy", device="cpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class MajorityParams:
    """Shares of the classes."""

    added_rows: float  # of each class, so that none has a share of 0

    def __post_init__(self) -> None:
        check_param(self.added_rows > 0, f"train.majority.added_rows must be above 0, got {self.added_rows}")


@dataclass(kw_only=True, slots=True)
class Majority:
    """The same logits for every text."""

    label_names: tuple[str, ...]
    added_rows: float
    logits: NDArray[np.float32]  # (C,)

    @property
    def record(self) -> Record:
        """What the fitted classifier is."""
        return Record(
            method=NAME,
            method_version=1,
            label_names=list(self.label_names),
            trainable_parameters=len(self.logits),
            total_parameters=len(self.logits),
            engine=COMPUTATION.engine,
            precision="fp32",
            max_tokens=0,
            base=None,
            reading=None,
        )

    def fit(
        self,
        train: Split,
        validation: Split,
        params: TrainParams,  # noqa: ARG002
        *,
        seed: int,  # noqa: ARG002
        checkpoints: Path | None,  # noqa: ARG002
        workers: Workers,  # noqa: ARG002
    ) -> Fit:
        """Count."""
        counts = np.bincount(train.labels, minlength=len(self.label_names)) + self.added_rows
        self.logits = np.log(counts / counts.sum()).astype(np.float32)
        accuracy = float(np.mean(validation.labels == self.logits.argmax()))
        losses = {"train_loss": 0.7, "val_loss": 0.7, "train_accuracy": 0.5, "val_accuracy": accuracy}
        return Fit(
            history=[Epoch(epoch=1, learning_rate=0.0, **losses)],
            train_seconds=1.0,
            samples_per_second=1.0,
            validation_logits=self.predict(validation, 0)[None],
        )

    def predict(self, split: Split, batch_tokens: int) -> NDArray[np.float32]:  # noqa: ARG002
        """(N, C) float32 logits."""
        return np.tile(self.logits, (len(split), 1))

    def lengths(self, split: Split) -> TextLengths:  # noqa: ARG002
        """It reads no text."""
        return READ_WHOLE

    def save(self, folder: Path) -> None:
        """Write the shares."""
        write_record(folder, self.record)
        write_json(folder / "shares.json", self.logits.tolist())


def _build(params: MethodView, label_names: tuple[str, ...]) -> Classifier:
    return Majority(label_names=label_names, added_rows=params.own.added_rows, logits=np.zeros(len(label_names)))


def _load(folder: Path, device: Device) -> Classifier:
    shares = np.array(read_json(folder / "shares.json"), dtype=np.float32)
    return Majority(label_names=tuple(read_record(folder).label_names), added_rows=0, logits=shares)


METHOD = Method(
    name=NAME,
    version=1,
    params=MajorityParams,
    reads=(),
    computation=COMPUTATION,
    implied={},
    tuned="added_rows",
    by_steps=False,
    look=Look(color="#7a2f8f", marker="v", dash=(3, 1)),
    words=Words(
        title="the share of each class, no text",
        classifier="the most frequent class",
        curves="Counting has no epochs.",
        own_rows=lambda own: [["added to each class", f"{own.added_rows:g} rows"]],
    ),
    build=_build,
    load=_load,
)
