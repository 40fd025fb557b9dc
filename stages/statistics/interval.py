"""A number between two ends, under the name that the rooms above know."""

from stages.foundation.interval import Interval

__all__ = ["Interval"]
