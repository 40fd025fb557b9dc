"""What train and evaluate read from params.yaml."""

import re
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any, Literal

from stages.foundation.errors import check_param

Device = Literal["auto", "cpu", "cuda", "mps"]
BaseModelSource = Literal["package", "package_parts", "hub", "folder"]  # parts: of an archive, one in each package


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseModelParams:
    """Where a named base model comes from."""

    source: BaseModelSource
    location: str  # package/folder inside it, packages (NAME-001..005==VERSION), Hub id, or folder
    pin: str  # SHA-256 of the weights for packages, commit for the Hub, empty for a folder

    def __post_init__(self) -> None:
        check_param(self.location, "a location under train.base_models is empty; name a package, a Hub id or a folder")
        pinned = self.source != "package_parts" or re.fullmatch("[0-9a-f]{64}", self.pin)
        check_param(pinned, f"{self.location} under train.base_models needs a pin, the SHA-256 of its weights")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What the classification head reads of a text, in one meaning for every method."""

    pooling: Literal["first", "mean"]  # the last hidden state of the first token, or the mean over all tokens
    pooler: Literal[
        "own", "none"
    ]  # the dense layer that the architecture has before its logits, or a linear head alone

    @property
    def is_transformers(self) -> bool:
        """Whether it is what the classifiers of Transformers compute by themselves."""
        return self.pooling == "first" and self.pooler == "own"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedParams:
    """The section `train.trained`: what the protocol of that name does otherwise, so that few rows are enough steps."""

    min_steps: int  # optimizer steps at least; as many as `epochs` passes take, if these are more
    validations: int  # over the training, at equal distances
    warmup: float  # share of the steps in which the learning rate rises from 0, in [0, 1)
    patience: int  # validations without a better validation loss before stopping

    def __post_init__(self) -> None:
        for name in ("min_steps", "validations", "patience"):
            check_param(getattr(self, name) >= 1, f"train.trained.{name} must be at least 1, got {getattr(self, name)}")
        enough = f"train.trained.min_steps must be at least validations, {self.validations}, got {self.min_steps}"
        check_param(self.min_steps >= self.validations, enough)
        check_param(0 <= self.warmup < 1, f"train.trained.warmup must be in [0, 1), got {self.warmup}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When a training is validated, how its learning rate moves, and when it stops."""

    rounds: list[int]  # optimizer steps before each validation
    warmup_steps: int  # in which the learning rate rises from 0; after them it falls linearly to 0
    patience: int  # validations without a better loss before stopping

    @property
    def steps(self) -> int:
        """Optimizer steps of a training that does not stop before."""
        return sum(self.rounds)

    def rate(self, step: int) -> float:
        """The learning rate of the optimizer step `step`, from 0, as a share of the highest."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        return 1 - (step - self.warmup_steps) / (self.steps - self.warmup_steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainParams:
    """Of the section `train`, what the methods share."""

    protocol: Literal["seed", "trained"]  # seed: as the study that is reproduced; trained: as its section says
    trained: TrainedParams
    epochs: int  # passes over the subset, at most; under `seed` each is followed by validation
    processes: int  # that share the rows of each batch, on this machine
    checkpoint_seconds: float  # wall time between checkpoints; 0 keeps none; decides no number
    max_steps: int | None  # optimizer steps in all, in `epochs` equal rounds; None: as many as the passes take
    batch_size: int  # rows per optimizer step
    weight_decay: float  # AdamW's decoupled decay
    max_grad_norm: float  # gradients are scaled down to this norm
    patience: int  # under `seed`: epochs without a better validation loss before stopping
    max_tokens: int  # tokens of the longest text, special tokens included
    bucket_batches: int  # batches sorted by length together
    pooling: Literal["first", "mean"]  # of a text's last hidden states, what the head reads
    pooler: Literal["own", "none"]  # whether the architecture's dense layer lies before the logits
    engine: Literal["auto", "packed", "plain"]
    device: Device
    precision: Literal["auto", "bf16", "fp32"]
    base_models: dict[str, BaseModelParams]

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "bucket_batches", "processes"):
            check_param(getattr(self, name) >= 1, f"train.{name} must be at least 1, got {getattr(self, name)}")
        check_param(self.max_tokens >= 3, f"train.max_tokens must be at least 3, got {self.max_tokens}")
        seconds = self.checkpoint_seconds
        check_param(seconds >= 0, f"train.checkpoint_seconds must be at least 0, got {seconds}")
        if self.max_steps is not None:
            check_param(
                self.protocol == "seed",
                "train.max_steps belongs to train.protocol: seed; `trained` has train.trained.min_steps",
            )
            rounds = f"train.max_steps must be at least train.epochs, {self.epochs}, got {self.max_steps}"
            check_param(self.max_steps >= self.epochs, rounds)
        check_param(self.weight_decay >= 0, f"train.weight_decay must be at least 0, got {self.weight_decay}")
        check_param(self.max_grad_norm > 0, f"train.max_grad_norm must be above 0, got {self.max_grad_norm}")

    @property
    def reading(self) -> Reading:
        """What the head reads."""
        return Reading(pooling=self.pooling, pooler=self.pooler)

    @property
    def epochs_are_passes(self) -> bool:
        """Whether a validation follows each pass over the rows, and not an equal share of all steps."""
        return self.protocol == "seed" and self.max_steps is None

    def schedule(self, num_rows: int) -> Schedule:
        """The schedule of a training on so many rows."""
        steps_of_pass = ceil(num_rows / self.batch_size)
        if self.protocol == "trained":
            own = self.trained
            steps = max(own.min_steps, steps_of_pass * self.epochs)
            warmup_steps = round(own.warmup * steps)
            return Schedule(
                rounds=equal_shares(steps, own.validations), warmup_steps=warmup_steps, patience=own.patience
            )
        rounds = [steps_of_pass] * self.epochs if self.max_steps is None else equal_shares(self.max_steps, self.epochs)
        return Schedule(rounds=rounds, warmup_steps=0, patience=self.patience)

    def section(self, method: str) -> Any:
        """The section of one method; `stages.methods` adds a field for each."""
        return getattr(self, method)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateParams:
    """The section `evaluate`."""

    batch_tokens: int  # rows of a forward pass times the tokens of its longest text, at most
    device: Device
    confidence_level: float  # of the intervals, in (0, 1)

    def __post_init__(self) -> None:
        check_param(self.batch_tokens >= 1, f"evaluate.batch_tokens must be at least 1, got {self.batch_tokens}")
        level = self.confidence_level
        check_param(0 < level < 1, f"evaluate.confidence_level must be between 0 and 1, got {level}")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateView:
    """All that the stage evaluate reads."""

    evaluate: EvaluateParams


def equal_shares(whole: int, parts: int) -> list[int]:
    """A whole number in parts that differ by at most 1: 7 in 3 is 2, 2, 3."""
    bounds = [whole * part // parts for part in range(parts + 1)]
    return [after - before for before, after in pairwise(bounds)]


def check_learning_rate(method: str, rate: float) -> None:
    """Refuse a learning rate of `train.<method>` that teaches nothing."""
    check_param(rate > 0, f"train.{method}.learning_rate must be above 0, got {rate}")
