"""What a method is: everything that the stages, the study and the pages have to know of it.

Declarations need no torch and no scikit-learn: these are imported inside `build` and `load`, since the study and the
report read what is said of a method and never run it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stages.engine.lengths import TextLengths
from stages.engine.models.record import Record
from stages.engine.params import Device, TrainParams
from stages.engine.training.history import Fit
from stages.foundation.errors import check_param
from stages.foundation.split import Split
from stages.foundation.workers import Workers

# What the numbers of a method of gradient descent hang on, beside its own section and that of its base model. Not the
# device, the engine and the number format, which a study resolves first, nor what changes speed alone.
GRADIENT_DESCENT = (
    "model",
    "train.protocol",
    "train.trained",
    "train.epochs",
    "train.max_steps",
    "train.batch_size",
    "train.processes",
    "train.weight_decay",
    "train.max_grad_norm",
    "train.patience",
    "train.max_tokens",
    "train.bucket_batches",
    "train.pooling",
    "train.pooler",
)

# Of these, what one protocol reads and the others do not.
READ_UNDER = {"seed": ("train.max_steps", "train.patience"), "trained": ("train.trained",)}

SEED_PROTOCOL = {"train.protocol": "seed"}  # before there was another
ONE_PROCESS = {"train.processes": 1}  # before there could be others
FINE_TUNING_HEAD = {"train.pooling": "first", "train.pooler": "own"}  # before these were params


@dataclass(frozen=True, kw_only=True, slots=True)
class Computation:
    """What a training really runs with; `auto` is resolved."""

    precision: str  # bf16, fp32 or fp64
    engine: str  # packed, plain or a method's own
    device: str  # cpu, cuda or mps
    weights: str = ""  # SHA-256 of the base model's; empty where a param pins them, and without a base model

    def overrides(self) -> dict[str, str]:
        """What params.yaml must say to compute so, by dotted key."""
        return {
            "train.precision": self.precision,
            "train.engine": self.engine,
            "train.device": self.device,
            "evaluate.device": self.device,
        }


class Classifier(Protocol):
    """A classifier of any method, which has learned something or not yet."""

    @property
    def record(self) -> Record:
        """What it was made from."""

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
        """Learn from the training rows; validation chooses the epoch that is kept.

        `checkpoints` is the folder of all trainings' checkpoints, from which this one goes on; None keeps none. Of
        several `workers`, which there are for methods by steps alone, each calls this alike.
        """

    def predict(self, split: Split, batch_tokens: int) -> NDArray[np.float32]:
        """(N, C) float32 logits, in the order of the rows; at most so many padded tokens at a time."""

    def lengths(self, split: Split) -> TextLengths:
        """How long the texts are, and what of them is read; READ_WHOLE where nothing is ever cut."""

    def save(self, folder: Path) -> None:
        """Write it, without a pickle, a path or a date."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodView:
    """What every stage reads that has to do with methods; `stages.methods.with_methods` completes it."""

    seed: int  # initialises what is trained, orders the batches, drives dropout
    model: str  # name, Hub id or folder
    method: str  # completed: one of METHODS
    train: TrainParams  # completed: a section for each of METHODS

    def __post_init__(self) -> None:
        check_param(0 <= self.seed < 2**32, f"seed must be in [0, 2^32), got {self.seed}")

    @property
    def own(self) -> Any:
        """The section of the method that is asked for, of the type `Method.params`."""
        return self.train.section(self.method)


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """How a method is told from the others in a figure: by marker and dash as well as by colour and lightness."""

    color: str  # #rrggbb
    marker: str  # matplotlib's letter
    dash: tuple[float, ...]  # strokes and gaps in turn, in widths of the line; empty: a solid line

    @property
    def line_style(self) -> Any:
        """The dash as matplotlib takes it."""
        return (0, self.dash) if self.dash else "-"


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """What the report says of a method."""

    title: str  # what it is, in half a line
    classifier: str  # who names the class, for the middle of a sentence; {model} stands for the base model's name
    curves: str  # how to read the training log
    own_rows: Callable[[Any], list[list[str]]]  # its section, as rows of a table


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """One way from labelled rows to a classifier.

    `version` is raised by whoever changes the numbers that the same params give: recorded results of another version
    are not results of this one.
    """

    name: str  # in params.yaml, where `train.<name>` is its section
    version: int  # of its numbers, from 1
    params: type[Any]  # frozen dataclass, its own section
    reads: tuple[str, ...]  # dotted keys and sections of params.yaml that its numbers hang on, beside its own section
    computation: Computation | None  # what it always computes with; None: as params.yaml says, `auto` by the engine
    implied: Mapping[str, Any]  # dotted keys of params that came later: the values that earlier results were made with
    tuned: str  # the key of its section that `study tune` chooses by validation
    by_steps: bool  # trained by optimizer steps: it has epochs, and its section a learning_rate
    look: Look
    words: Words
    conflict: Callable[[Any], str | None] = lambda _: None  # what else in `train` contradicts its section
    build: Callable[[MethodView, tuple[str, ...]], Classifier]  # from params and class names; learned nothing yet
    load: Callable[[Path, Device], Classifier]  # out of the folder that `Classifier.save` wrote

    @property
    def has_base_model(self) -> bool:
        """Whether it starts from a pretrained model."""
        return "model" in self.reads
