"""Which cells a study is made of: a cell is one experiment, told from its neighbours by what it sets of params.yaml."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Literal

from stages.corpus.params import MOST_VALIDATION_SHARE
from stages.foundation.errors import check_param
from stages.methods import METHODS

Protocol = Literal["seed", "trained"]
Contrast = Literal["", "fixed_steps", "random", "inside"]
OF_STEPS = ("fixed_steps", "inside")  # a method without steps has none to fix, and no checkpoint to choose
NOTHING_TUNED: Mapping[tuple[str, int], float] = {}
# The keys of params.yaml that a cell sets; all others are the study's own.
VARIED = (
    *("samples", "seed", "dataset", "model", "method", "prepare.partition", "subsample.validation_share"),
    *("train.protocol", "train.max_steps"),
    *(f"train.{method.name}.{method.tuned}" for method in METHODS.values()),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TuningParams:
    """The section `study.tuning`: the same number of trials for every method and size."""

    factors: list[float]  # of the value in params.yaml: the learning rate, or C of tfidf
    seeds: list[int]  # of the trials; they never count in the study

    def __post_init__(self) -> None:
        for name in ("factors", "seeds"):
            values = getattr(self, name)
            check_param(values, f"study.tuning.{name} is empty")
            check_param(len(set(values)) == len(values), f"study.tuning.{name} names one value twice: {values}")
        check_param(min(self.factors) > 0, f"study.tuning.factors must be above 0, got {min(self.factors)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyParams:
    """The section `study`."""

    sizes: list[int]  # training rows
    seeds: list[int]
    looks: list[int]  # numbers of seeds at which a claim is judged; the last is the most that it may take
    methods: list[str]
    protocol: Protocol  # as train.protocol
    tuned: bool  # whether each cell takes the value that `tune` chose for its method and size
    tuning: TuningParams
    contrasts: list[Literal["fixed_steps", "random", "inside"]]  # each method again in another way
    fixed_steps: int  # train.max_steps of the contrast of this name
    inside_share: float  # subsample.validation_share of the contrast `inside`
    precisions: list[Literal["auto", "bf16", "fp32"]]  # whose cells count; in the first are missing ones made
    margins: list[float]  # accuracy, fraction; the first is the one that counts
    targets: list[float]  # accuracy, fraction

    def __post_init__(self) -> None:
        for name in ("sizes", "seeds", "looks", "methods", "precisions", "margins", "targets"):
            values = getattr(self, name)
            check_param(values, f"study.{name} is empty")
            check_param(len(set(values)) == len(values), f"study.{name} names one value twice: {values}")
        for method in self.methods:
            check_param(method in METHODS, f"study.methods must name {' or '.join(METHODS)}, got {method!r}")
        alone = "auto" not in self.precisions or len(self.precisions) == 1
        check_param(alone, f"study.precisions must be [auto] or name each, got {self.precisions}")
        steps = "study.contrasts: fixed_steps belongs to study.protocol: seed; `trained` has train.trained.min_steps"
        check_param(self.protocol == "seed" or "fixed_steps" not in self.contrasts, steps)
        counted = sorted(set(self.seeds) & set(self.tuning.seeds))
        check_param(not counted, f"study.seeds and study.tuning.seeds share {counted}: what chose must not count")
        rises = all(low < high for low, high in zip([1, *self.looks], self.looks, strict=False))
        check_param(rises, f"study.looks must rise from 2 on, got {self.looks}")
        check_param(min(self.sizes) >= 1, f"study.sizes must be 1 or more, got {min(self.sizes)}")
        check_param(self.fixed_steps >= 1, f"study.fixed_steps must be at least 1, got {self.fixed_steps}")
        in_reach = 0 < self.inside_share <= MOST_VALIDATION_SHARE
        told = f"study.inside_share must be above 0 and at most {MOST_VALIDATION_SHARE}, got {self.inside_share}"
        check_param(in_reach, told)
        for name in ("margins", "targets"):
            for value in getattr(self, name):
                check_param(0 < value < 1, f"study.{name} are fractions between 0 and 1, got {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyView:
    """What the study reads as its own; of the rest it holds every value against those of the experiments."""

    study: StudyParams


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One experiment of the study."""

    dataset: str
    model: str
    method: str
    samples: int  # labels drawn: training rows, and of the contrast `inside` also those that validate
    seed: int
    protocol: str = "seed"  # a Protocol; always this where a method has no steps
    contrast: str = ""  # what else is done otherwise
    tuned: float | None = None  # of the key that its method tunes; None: as params.yaml says
    max_steps: int | None = None  # of the contrast fixed_steps
    validation_share: float | None = None  # of the contrast inside

    @property
    def name(self) -> str:
        """What the experiment is called in `dvc exp show`."""
        extra = {
            "": "",
            "random": "-random",
            "fixed_steps": f"-{self.max_steps}steps",
            "inside": f"-inside{100 * (self.validation_share or 0):g}",
        }[self.contrast]
        trained = "-trained" if self.protocol == "trained" else ""
        tuned = "" if self.tuned is None else f"-{self.tuned:g}"
        words = f"{self.dataset}-{self.model}-{self.method}{trained}{tuned}{extra}-n{self.samples}-s{self.seed}"
        return re.sub(r"[^A-Za-z0-9-]+", "-", words).strip("-")

    @property
    def base_model(self) -> str:
        """The model that its numbers hang on; empty where they hang on none."""
        method = METHODS.get(self.method)
        return "" if method and not method.has_base_model else self.model

    @property
    def curve(self) -> str:
        """The curve that it is a point of, for a legend."""
        if self.contrast == "fixed_steps":
            return f"{self.method}, {self.max_steps:,} steps"
        told = {"": "", "random": ", random carve", "inside": ", validation inside"}
        return f"{self.method}{told[self.contrast]}"

    def overrides(self) -> dict[str, str | int | float]:
        """What differs from params.yaml, by dotted key."""
        values: dict[str, str | int | float] = {
            "samples": self.samples,
            "seed": self.seed,
            "dataset": self.dataset,
            "model": self.model,
            "method": self.method,
        }
        if METHODS[self.method].by_steps:
            values["train.protocol"] = self.protocol
        if self.contrast == "random":
            values["prepare.partition"] = "random"
        if self.validation_share is not None:
            values["subsample.validation_share"] = self.validation_share
        if self.max_steps is not None:
            values["train.max_steps"] = self.max_steps
        if self.tuned is not None:
            values[tuned_key(self.method)] = self.tuned
        return values


def tuned_key(method: str) -> str:
    """The dotted key of params.yaml that is tuned for a method."""
    return f"train.{method}.{METHODS[method].tuned}"


def cells_of(
    study: StudyParams, *, dataset: str, model: str, tuned: Mapping[tuple[str, int], float] = NOTHING_TUNED
) -> list[Cell]:
    """Every cell of the grid, seed by seed, so that an interrupted study holds whole curves; small sizes first.

    `tuned` holds what tuning chose, by method and size.
    """
    contrasts: list[Contrast] = ["", *study.contrasts]
    return [
        Cell(
            dataset=dataset,
            model=model,
            method=method,
            protocol=study.protocol if METHODS[method].by_steps else "seed",
            contrast=contrast,
            samples=samples,
            seed=seed,
            tuned=tuned.get((method, samples)),
            max_steps=study.fixed_steps if contrast == "fixed_steps" else None,
            validation_share=study.inside_share if contrast == "inside" else None,
        )
        for contrast, seed, method, samples in product(contrasts, study.seeds, study.methods, sorted(study.sizes))
        if contrast not in OF_STEPS or METHODS[method].by_steps
    ]
