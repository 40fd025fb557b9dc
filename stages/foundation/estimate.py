"""A number that says how sure it is."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A share with its confidence interval."""

    value: float  # fraction in [0, 1]
    low: float  # lower end of the interval, fraction
    high: float  # upper end of the interval, fraction
    confidence_level: float  # e.g. 0.95
    num_examples: int  # examples that the share was counted on
