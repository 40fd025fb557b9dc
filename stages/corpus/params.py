"""What prepare and subsample read from params.yaml."""

from dataclasses import dataclass
from typing import Literal

from stages.foundation.errors import check_param

PartitionKind = Literal["grouped", "random"]
ClassRatio = Literal["balanced", "natural"]
MOST_VALIDATION_SHARE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareParams:
    """The section `prepare`."""

    partition: PartitionKind  # grouped: no overlap between validation and training pool
    split_seed: int  # draws the validation split
    validation_rows: int  # 0: none; this and the next are unused where the source gives a validation split
    validation_ratio: ClassRatio  # balanced: as equal over the classes as they can give; natural: as in the pool

    def __post_init__(self) -> None:
        check_param(self.split_seed >= 0, f"prepare.split_seed must be 0 or more, got {self.split_seed}")
        check_param(self.validation_rows >= 0, f"prepare.validation_rows must be 0 or more, got {self.validation_rows}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareView:
    """All that the stage prepare reads."""

    dataset: str  # a folder in data/sources
    prepare: PrepareParams


@dataclass(frozen=True, kw_only=True, slots=True)
class SubsampleParams:
    """The section `subsample`."""

    class_ratio: ClassRatio  # natural: as in the pool
    validation_share: float  # of the samples, which validates instead of training; 0: the split of prepare does

    def __post_init__(self) -> None:
        check_param(
            0 <= self.validation_share <= MOST_VALIDATION_SHARE,
            f"subsample.validation_share must be in [0, {MOST_VALIDATION_SHARE}], got {self.validation_share}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SubsampleView:
    """All that the stage subsample reads."""

    samples: int  # rows
    seed: int
    subsample: SubsampleParams

    def __post_init__(self) -> None:
        check_param(self.samples >= 1, f"samples must be at least 1, got {self.samples}")
        check_param(0 <= self.seed < 2**32, f"seed must be in [0, 2^32), got {self.seed}")
