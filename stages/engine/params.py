"""What train and evaluate read from params.yaml."""

from dataclasses import dataclass
from typing import Literal

from stages.foundation.errors import check_param


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseModelParams:
    """Where a named base model comes from."""

    source: Literal["package", "hub", "folder"]
    location: str  # package/folder inside it, Hub id, or folder
    pin: str  # SHA-256 of the weights for a package, commit for the Hub, empty for a folder

    def __post_init__(self) -> None:
        check_param(self.location, "a location under train.base_models is empty")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraParams:
    """Low-rank update W + (alpha / rank) BA (Hu et al. 2021, arXiv:2106.09685), and the head."""

    learning_rate: float  # at the first step; falls linearly to 0
    rank: int  # inner dimension of BA
    alpha: int  # numerator of the scaling alpha / rank
    dropout: float  # probability of dropping an input of A, in [0, 1)
    bias: Literal["none", "all", "lora_only"]  # which biases are trained as well
    target_modules: list[str]  # suffixes of the adapted linear layers' names

    def __post_init__(self) -> None:
        _check_learning_rate("lora", self.learning_rate)
        check_param(self.rank >= 1, f"train.lora.rank must be at least 1, got {self.rank}")
        check_param(self.alpha >= 1, f"train.lora.alpha must be at least 1, got {self.alpha}")
        check_param(0 <= self.dropout < 1, f"train.lora.dropout must be in [0, 1), got {self.dropout}")
        check_param(self.target_modules, "train.lora.target_modules must name at least one module")


@dataclass(frozen=True, kw_only=True, slots=True)
class FullParams:
    """Every parameter is trained."""

    learning_rate: float  # at the first step; falls linearly to 0

    def __post_init__(self) -> None:
        _check_learning_rate("full", self.learning_rate)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadParams:
    """A linear head is trained on what the frozen encoder makes of each text."""

    learning_rate: float  # at the first step; falls linearly to 0

    def __post_init__(self) -> None:
        _check_learning_rate("head", self.learning_rate)


@dataclass(frozen=True, kw_only=True, slots=True)
class TfidfParams:
    """Logistic regression on TF-IDF weights of words and their neighbours; no base model."""

    max_ngram: int  # longest run of words that is a feature
    inverse_regularization: float  # scikit-learn's C: larger fits the training rows more closely

    def __post_init__(self) -> None:
        check_param(self.max_ngram >= 1, f"train.tfidf.max_ngram must be at least 1, got {self.max_ngram}")
        strength = self.inverse_regularization
        check_param(strength > 0, f"train.tfidf.inverse_regularization must be above 0, got {strength}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainParams:
    """The section `train`."""

    epochs: int  # passes over the subset, at most, each followed by validation
    checkpoint_seconds: float  # wall time between checkpoints; 0 keeps none; decides no number
    max_steps: int | None  # optimizer steps in all, in `epochs` equal rounds; None: as many as the passes take
    batch_size: int  # rows per optimizer step
    weight_decay: float  # AdamW's decoupled decay
    max_grad_norm: float  # gradients are scaled down to this norm
    patience: int  # epochs without a better validation loss before stopping
    max_tokens: int  # tokens of the longest text, special tokens included
    bucket_batches: int  # batches sorted by length together
    engine: Literal["auto", "packed", "plain"]
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "bf16", "fp32"]
    lora: LoraParams
    full: FullParams
    head: HeadParams
    tfidf: TfidfParams
    base_models: dict[str, BaseModelParams]

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "bucket_batches"):
            check_param(getattr(self, name) >= 1, f"train.{name} must be at least 1, got {getattr(self, name)}")
        check_param(self.max_tokens >= 3, f"train.max_tokens must be at least 3, got {self.max_tokens}")
        seconds = self.checkpoint_seconds
        check_param(seconds >= 0, f"train.checkpoint_seconds must be at least 0, got {seconds}")
        if self.max_steps is not None:
            rounds = f"train.max_steps must be at least train.epochs, {self.epochs}, got {self.max_steps}"
            check_param(self.max_steps >= self.epochs, rounds)
        check_param(self.weight_decay >= 0, f"train.weight_decay must be at least 0, got {self.weight_decay}")
        check_param(self.max_grad_norm > 0, f"train.max_grad_norm must be above 0, got {self.max_grad_norm}")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainView:
    """All that the stage train reads."""

    seed: int  # initialises what is trained, orders the batches, drives dropout
    model: str  # name, Hub id or folder
    method: Literal["lora", "full", "head", "tfidf"]
    train: TrainParams

    def __post_init__(self) -> None:
        check_param(0 <= self.seed < 2**32, f"seed must be in [0, 2^32), got {self.seed}")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateParams:
    """The section `evaluate`."""

    batch_size: int  # rows per forward pass
    device: Literal["auto", "cpu", "cuda", "mps"]
    confidence_level: float  # of the intervals, in (0, 1)

    def __post_init__(self) -> None:
        check_param(self.batch_size >= 1, f"evaluate.batch_size must be at least 1, got {self.batch_size}")
        level = self.confidence_level
        check_param(0 < level < 1, f"evaluate.confidence_level must be between 0 and 1, got {level}")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateView:
    """All that the stage evaluate reads."""

    evaluate: EvaluateParams


def _check_learning_rate(method: str, rate: float) -> None:
    check_param(rate > 0, f"train.{method}.learning_rate must be above 0, got {rate}")
