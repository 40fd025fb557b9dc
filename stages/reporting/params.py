"""What report reads from params.yaml."""

from dataclasses import dataclass
from typing import Literal

from stages.foundation.errors import check_param


@dataclass(frozen=True, kw_only=True, slots=True)
class SubsampleView:
    """The part of the section `subsample` that the report repeats."""

    class_ratio: str  # balanced or natural


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraView:
    """The part of the section `train.lora` that the report repeats."""

    learning_rate: float  # at the first step
    rank: int
    alpha: int
    dropout: float  # probability
    target_modules: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class RateView:
    """The sections `train.full` and `train.head`."""

    learning_rate: float  # at the first step


@dataclass(frozen=True, kw_only=True, slots=True)
class TfidfView:
    """The section `train.tfidf`."""

    max_ngram: int  # words
    inverse_regularization: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingView:
    """The part of the section `train` that the report repeats."""

    epochs: int  # passes over the subset, at most
    max_steps: int | None  # optimizer steps in all, at most, in `epochs` equal rounds
    batch_size: int  # rows per optimizer step
    weight_decay: float
    max_grad_norm: float
    patience: int  # epochs
    max_tokens: int  # of the longest text
    lora: LoraView
    full: RateView
    head: RateView
    tfidf: TfidfView


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfidenceView:
    """The part of the section `evaluate` that the report repeats."""

    confidence_level: float  # of the accuracies' intervals


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportParams:
    """The section `report`."""

    worst_errors: int  # the most confident mistakes shown; 0: none

    def __post_init__(self) -> None:
        check_param(self.worst_errors >= 0, f"report.worst_errors must be 0 or more, got {self.worst_errors}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportView:
    """Everything the stage declares."""

    samples: int
    seed: int
    dataset: str
    model: str
    method: Literal["lora", "full", "head", "tfidf"]
    subsample: SubsampleView
    train: TrainingView
    evaluate: ConfidenceView
    report: ReportParams
