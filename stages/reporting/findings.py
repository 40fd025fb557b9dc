"""What the study found, as the answer page draws and tells it: computed by `study`, without any decision left."""

from dataclasses import dataclass

from stages.statistics.calibration import Calibration
from stages.statistics.curves import CurveFit
from stages.statistics.interval import Interval
from stages.statistics.non_inferiority import NonInferiority


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One size of one curve: S seeds on the same test rows."""

    samples: int  # training rows
    seeds: tuple[int, ...]  # S, ascending
    accuracy: Interval  # fraction; mean over the seeds: two-way bootstrap, Wilson's for one seed
    seed_accuracies: tuple[float, ...]  # (S,) fractions
    val_accuracy: float  # fraction, mean over the seeds
    calibration: Calibration
    train_seconds: float  # median over the seeds
    trainable_parameters: int
    steps: float  # optimizer steps taken, mean over the seeds; 0 where nothing is trained by steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One method under one protocol, as the training set grows."""

    name: str  # for a legend: `lora`, `lora, 1,750 steps`, `tfidf, random carve`
    method: str  # lora, full, head, tfidf
    contrast: str  # empty: params.yaml's protocol; fixed_steps; random
    points: tuple[Point, ...]  # by size, ascending
    fit: CurveFit | None  # None: refused
    refusal: str  # why there is no fit, one sentence


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Two sets of cells on the same test rows, the first minus the second."""

    family: str  # methods, sizes or protocols: the family that Holm corrects within
    first: str  # e.g. `lora, 8,000`
    second: str  # e.g. `full, 8,000`
    num_seeds: int  # pairs of cells
    difference: Interval  # of accuracy, fraction
    gained: float  # rows that the first alone has right, mean over the seeds
    lost: float  # rows that the second alone has right, mean over the seeds
    p_value: float  # two-sided: exact McNemar for one seed, bootstrap for more
    p_holm: float  # corrected for the family


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """Whether accuracy rises with size over the seeds (Page's test)."""

    curve: str
    num_seeds: int
    num_sizes: int  # those that have all the seeds
    p_value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Is the first as good as the second, at one size and one margin?"""

    samples: int
    num_seeds: int
    discordant: float  # share of the test rows on which exactly one of the two is right, mean over the seeds
    primary: bool  # the claim that the grid fixes: its largest size with both, on all its seeds, at the first margin
    result: NonInferiority


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Part of the test rows, at the largest size of one curve."""

    curve: str
    samples: int
    name: str  # e.g. `up to 9 words`, `with a negation`, `class negative`
    num_rows: int
    accuracy: Interval  # fraction


@dataclass(frozen=True, kw_only=True, slots=True)
class HardRow:
    """A test row that the seeds of one curve get wrong, surely."""

    row_id: int
    num_wrong: int  # seeds
    num_seeds: int
    confidence: float  # probability given to a wrong class, mean over the seeds
    actual: str  # class name
    predicted: str  # class name, the most frequent
    sentence: str  # empty where the data set is not at hand


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


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelsToTarget:
    """What an accuracy costs in labels."""

    curve: str
    target: float  # accuracy, fraction
    low: float | None  # training rows at which the curve's upper band meets the target; None: not within reach
    value: float | None  # ... the curve itself
    high: float | None  # ... its lower band
    reach: float  # training rows up to which the curve is trusted


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """All that the answer page says."""

    title: str
    answers: tuple[str, ...]  # plain sentences, the first is the headline
    caveats: tuple[str, ...]  # plain sentences
    synthetic: bool
    num_test_rows: int
    curves: tuple[Curve, ...]  # params.yaml's protocol first
    differences: tuple[Difference, ...]
    trends: tuple[Trend, ...]
    comparisons: tuple[Comparison, ...]
    targets: tuple[LabelsToTarget, ...]
    slices: tuple[Slice, ...]
    hard_rows: tuple[HardRow, ...]
    leaks: tuple[Leak, ...]
    protocol: tuple[tuple[str, str], ...]  # what, how
    missing: tuple[str, ...]  # cells of the grid that are not finished, by name
    stale: tuple[str, ...]  # experiments of another code version, params or data, which are left out
    confidence_level: float
