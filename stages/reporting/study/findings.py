"""What a study found, as the answer page draws and tells it: computed by `study`, without any decision left."""

from dataclasses import dataclass
from typing import Literal

from stages.foundation.interval import Interval
from stages.scoring.mistakes import Mistake
from stages.statistics.calibration import Calibration
from stages.statistics.curves import CurveFit
from stages.statistics.decision import Decision
from stages.statistics.non_inferiority import NonInferiority

Family = Literal["methods", "sizes", "contrasts"]  # at one size; of one method; against params.yaml's own protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One size of one curve: S seeds on the same test rows."""

    samples: int  # labels drawn from the training pool
    train_rows: int  # those of them that were trained on: all, or what validation left
    val_rows: int  # labelled rows that chose the checkpoint, or were taken out of the samples; 0: there are none
    seeds: tuple[int, ...]  # S, ascending
    accuracy: Interval  # fraction; mean over the seeds: two-way bootstrap, Wilson's for one seed
    seed_accuracies: tuple[float, ...]  # (S,) fractions
    val_accuracy: float  # fraction, mean over the seeds
    calibration: Calibration
    train_seconds: float  # median over the seeds
    trainable_parameters: int
    steps: float  # optimizer steps taken, mean over the seeds; 0 where nothing is trained by steps
    left_out: str  # why it does not count in fits and verdicts: it was not trained enough; empty: it counts
    failed: tuple[tuple[int, str], ...]  # seeds whose run failed, and why; they are in all the other numbers

    @property
    def labels_paid(self) -> int:
        """Labels that a person must buy for it; those of the test split apart."""
        return self.train_rows + self.val_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One method under one protocol, as the training set grows."""

    name: str  # for a legend: `lora`, `lora, 1,750 steps`, `tfidf, random carve`
    method: str  # lora, full, head, tfidf
    contrast: str  # empty: params.yaml's protocol; fixed_steps; random; inside
    points: tuple[Point, ...]  # by size, ascending
    fit: CurveFit | None  # None: refused
    refusal: str  # why there is no fit, one sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One side of a difference: one size of one curve."""

    curve: str  # its name
    method: str
    contrast: str  # empty: params.yaml's protocol
    samples: int  # training rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Two sets of cells on the same test rows, the first minus the second."""

    family: Family  # Holm corrects within it
    first: Side
    second: Side
    num_seeds: int  # pairs of cells
    difference: Interval  # of accuracy, fraction
    gained: float  # rows that the first alone has right, mean over the seeds
    lost: float  # rows that the second alone has right, mean over the seeds
    p_value: float  # two-sided: exact McNemar for one seed, bootstrap for more
    p_holm: float  # corrected for the family
    significant: bool  # whether the corrected p is below 1 less the study's confidence level
    left_out: bool  # whether a side was not trained enough to count


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """Whether accuracy rises with size over the seeds (Page's test)."""

    curve: str
    num_seeds: int
    num_sizes: int  # those that have all the seeds
    p_value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What was fixed before the cells ran: LoRA is worse than full fine-tuning by less than the margin."""

    file: str  # where it stands
    digest: str  # beginning of the file's SHA-256, as each cell that ran under it has it
    data: str  # digest of the source's files
    protocol: str  # as train.protocol
    tuned: bool  # whether tuning chose the learning rates
    sizes: tuple[int, ...]  # training rows
    margins: tuple[float, ...]  # accuracy, fraction
    alpha: float  # of each size and margin, over all looks
    seeds: tuple[int, ...]  # in the order in which they count
    looks: tuple[int, ...]  # seeds at each look, rising


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Is the first as good as the second, at one size and one margin?"""

    samples: int
    num_seeds: int
    discordant: float  # share of the test rows on which exactly one of the two is right, mean over the seeds
    planned: bool  # whether the claim fixed it, and its cells ran after that
    is_over: bool  # of a planned one: settled, or no look to come is likely to settle it
    chance: float | None  # of a planned one: that the last look settles it, as it looks now; None: no look is to come
    failed: tuple[int, ...]  # seeds of which a run failed
    result: NonInferiority


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Which method to take at one size."""

    samples: int  # training rows
    methods: tuple[str, ...]  # compared, as in the decision
    decision: Decision


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Part of the test rows, at the largest size of one curve."""

    curve: str
    samples: int
    name: str  # e.g. `up to 9 words`, `with a negation`, `class negative`
    num_rows: int
    accuracy: Interval  # fraction


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """The random carve beside the grouped partition, at one size of one method."""

    method: str
    samples: int
    num_seeds: int
    overlap_grouped: float  # share of the validation rows that overlap with the training rows
    overlap_random: float
    val_grouped: float  # validation accuracy, mean over the seeds
    val_random: float
    test_grouped: float  # test accuracy
    test_random: float
    kept_grouped: float  # epoch that was kept, mean over the seeds
    kept_random: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PrecisionDifference:
    """The same cells in two number formats, the first minus the second."""

    curve: str
    samples: int  # training rows
    first: str  # bf16, fp32
    second: str
    num_seeds: int
    difference: Interval  # of accuracy, fraction
    reclassified: float  # share of the test rows that the two give different classes, mean over the seeds


@dataclass(frozen=True, kw_only=True, slots=True)
class Sensitivity:
    """What tuning tried for one method at one size."""

    method: str
    samples: int  # training rows
    tuned: str  # in words: learning rate, inverse regularization
    values: tuple[float, ...]  # tried, rising
    losses: tuple[float, ...]  # nats, on validation, mean over the seeds of tuning
    num_seeds: int  # of each value, at least
    chosen: float | None  # None: trials are missing


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelsToTarget:
    """What an accuracy costs in labels."""

    curve: str
    target: float  # accuracy, fraction
    low: float | None  # training rows at which the curve's upper band meets the target; None: not within reach
    value: float | None  # ... the curve itself
    high: float | None  # ... its lower band
    smallest: int  # training rows of the curve's smallest size: below it the curve says nothing
    reach: float  # training rows up to which the curve is trusted


@dataclass(frozen=True, kw_only=True, slots=True)
class MoreLabels:
    """What labels beyond the largest size of one curve would bring."""

    curve: str
    samples: int  # training rows of the largest size
    more: int  # labels beyond it
    gain: Interval  # of accuracy, fraction
    target: float | None  # accuracy, the nearest that the curve has not reached; None: it has reached all
    chance: float  # of having reached the target with them; 0 without a target
    seconds: float  # of one training with all of them, at the speed of the largest size


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """All that the answer page says."""

    dataset: str
    model: str
    synthetic: bool
    protocol: str  # as train.protocol
    tuned: bool  # whether tuning chose the learning rates
    num_test_rows: int
    choices: tuple[Choice, ...]  # by size, ascending; of cells that count
    curves: tuple[Curve, ...]  # params.yaml's protocol first
    differences: tuple[Difference, ...]
    trends: tuple[Trend, ...]
    claim: Claim | None  # None: none was fixed
    comparisons: tuple[Comparison, ...]
    targets: tuple[LabelsToTarget, ...]
    more_labels: tuple[MoreLabels, ...]
    slices: tuple[Slice, ...]
    mistakes: tuple[Mistake, ...]  # of the first curve at its largest size
    leaks: tuple[Leak, ...]
    sensitivities: tuple[Sensitivity, ...]  # method by method, sizes rising; empty: nothing was tuned
    pooled_precisions: tuple[str, ...]  # number formats that stand side by side; empty: there is one
    precisions: tuple[PrecisionDifference, ...]  # from the cells that were computed in several
    provenance: tuple[tuple[str, str], ...]  # what, how
    missing: tuple[str, ...]  # cells of the grid that are not finished, by name
    stale: tuple[str, ...]  # experiments of another code version, params or data, which are left out
    confidence_level: float

    @property
    def own_curves(self) -> tuple[Curve, ...]:
        """A curve per method, under params.yaml's own protocol."""
        return tuple(curve for curve in self.curves if not curve.contrast)

    @property
    def left_out(self) -> tuple[tuple[Curve, Point], ...]:
        """Points of those curves that do not count in fits and verdicts."""
        return tuple((curve, point) for curve in self.own_curves for point in curve.points if point.left_out)

    @property
    def failed(self) -> tuple[tuple[Curve, Point], ...]:
        """Points of those curves with runs that failed."""
        return tuple((curve, point) for curve in self.own_curves for point in curve.points if point.failed)

    @property
    def with_fixed_steps(self) -> tuple[tuple[Curve, Curve], ...]:
        """Each method that was run both with fixed epochs and with fixed steps, in this order."""
        own = {curve.method: curve for curve in self.own_curves}
        steps = (curve for curve in self.curves if curve.contrast == "fixed_steps" and curve.method in own)
        return tuple((own[curve.method], curve) for curve in steps)

    @property
    def most_seeds(self) -> int:
        """Seeds of the point that has most of them."""
        return max((len(point.seeds) for curve in self.curves for point in curve.points), default=0)
