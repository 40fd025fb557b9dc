"""What makes a mean over seeds and test rows uncertain, and how many more of each would make it sure enough.

V = s_seed^2 / S + s_row^2 / N + s_rest^2 / (S N) of the mean of S seeds on the same N rows: more seeds lower the first
and the last part, more rows the last two. Source: the two-way layout with random effects, Searle, Casella & McCulloch
1992, Variance Components, chapter 4.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

POWER = 0.8  # chance of a verdict that is due; the one power of the study
MOST_SEEDS, MOST_ROWS = 1_000, 10_000_000  # more are never named


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Variances of (S, N) values by where they come from; estimates, none below 0."""

    seed_means: float  # of the S means: var(seed) + var(residual) / N
    row_means: float  # of the N means: var(row) + var(residual) / S
    residual: float

    @classmethod
    def of(cls, values: NDArray[np.int64]) -> Self:
        """Mean squares of the two-way layout.

        Args:
            values: (S, N), a line per seed.
        """
        num_seeds, num_rows = values.shape
        seed_squares = float(((values.mean(axis=1) - values.mean()) ** 2).sum())
        row_squares = float(((values.mean(axis=0) - values.mean()) ** 2).sum())
        squares = float(((values - values.mean()) ** 2).sum())
        rest = max(0.0, squares - num_rows * seed_squares - num_seeds * row_squares)
        return cls(
            seed_means=seed_squares / max(1, num_seeds - 1),
            row_means=row_squares / max(1, num_rows - 1),
            residual=rest / max(1, (num_seeds - 1) * (num_rows - 1)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Variance:
    """Of the mean of S seeds on N rows, by where it comes from; accuracies as fractions."""

    seed: float  # s_seed^2, of one seed
    row: float  # s_row^2, of one row
    rest: float  # s_rest^2, of one seed on one row
    num_seeds: int  # S
    num_rows: int  # N

    @classmethod
    def of(cls, values: NDArray[np.int64]) -> Self:
        """By the method of moments, none below 0.

        Args:
            values: (S, N) hits, or differences of hits; S at least 2.
        """
        num_seeds, num_rows = values.shape
        spread = Spread.of(values)
        return cls(
            seed=max(0.0, spread.seed_means - spread.residual / num_rows),
            row=max(0.0, spread.row_means - spread.residual / num_seeds),
            rest=spread.residual,
            num_seeds=num_seeds,
            num_rows=num_rows,
        )

    @property
    def parts(self) -> tuple[float, float, float]:
        """What seeds, rows and rest each add to V."""
        return self.seed / self.num_seeds, self.row / self.num_rows, self.rest / (self.num_seeds * self.num_rows)

    @property
    def shares(self) -> tuple[float, float, float]:
        """The same as shares of V; all 0 where nothing varies."""
        total = sum(self.parts)
        seeds, rows, rest = (part / total if total else 0.0 for part in self.parts)
        return seeds, rows, rest

    @property
    def standard_error(self) -> float:
        """Square root of V, fraction."""
        return sqrt(sum(self.parts))

    def with_more(self, *, seeds: int = 0, rows: int = 0) -> "Variance":
        """What it would be with so many more."""
        return replace(self, num_seeds=self.num_seeds + seeds, num_rows=self.num_rows + rows)

    def reach(self, alpha: float, power: float = POWER) -> float:
        """The margin within which a true difference of 0 is called non-inferior with this power, fraction.

        (t(1 - alpha) + t(power)) sqrt(V), with Satterthwaite's degrees of freedom (1946, Biometrics Bulletin 2(6),
        110-114): seeds and rest were told by S means, the rows by N.
        """
        seeds, rows, rest = self.parts
        by_seeds = seeds + rest
        if by_seeds + rows == 0:
            return 0.0
        freedom = (by_seeds + rows) ** 2 / (by_seeds**2 / (self.num_seeds - 1) + rows**2 / (self.num_rows - 1))
        return float(stdtrit(freedom, 1 - alpha) + stdtrit(freedom, power)) * self.standard_error

    def seeds_needed(self, margin: float, alpha: float) -> int | None:
        """Fewest seeds on these rows whose reach is within the margin; None where no number of them is."""
        return _fewest(lambda number: replace(self, num_seeds=number).reach(alpha) <= margin, 2, MOST_SEEDS)

    def rows_needed(self, margin: float, alpha: float) -> int | None:
        """Fewest rows with these seeds whose reach is within the margin; None where no number of them is."""
        return _fewest(lambda number: replace(self, num_rows=number).reach(alpha) <= margin, 2, MOST_ROWS)


def _fewest(enough: Callable[[int], bool], low: int, high: int) -> int | None:
    """Smallest number that is enough, by halving: what more of it would undo is never asked for."""
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
