"""A number that says how sure it is."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A number with its confidence interval; of a difference it may lie below 0."""

    value: float
    low: float
    high: float
    confidence_level: float  # e.g. 0.95
