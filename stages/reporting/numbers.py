"""How every page writes a number; nothing else in this room formats one.

Fractions come in and percent or points go out: 0.8436 is `84.4 %`, a difference of 0.0041 is `+0.4`.
"""

from collections.abc import Sequence
from math import floor, log10
from typing import Protocol

NARROW = "\N{NARROW NO-BREAK SPACE}"
NONE = "\N{EN DASH}"  # a cell of a table with nothing to say
LISTED = 8  # names that a list gives before it only counts


class Bounded(Protocol):
    """A fraction with its interval, whichever room computed it."""

    @property
    def value(self) -> float:
        """The fraction."""

    @property
    def low(self) -> float:
        """Lower end."""

    @property
    def high(self) -> float:
        """Upper end."""

    @property
    def confidence_level(self) -> float:
        """Of the interval, e.g. 0.95."""


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction: 0.8436 is 84.4 %."""
    return f"{100 * fraction:.{digits}f}{NARROW}%"


def level(fraction: float) -> str:
    """A fraction that somebody chose, with no more digits than it has: a confidence level of 95 %, a target of 85 %."""
    return f"{100 * fraction:g}{NARROW}%"


def confidence(fraction: float) -> str:
    """A confidence level that was computed, by two digits of what it leaves: 90 %, 96.8 %, 99.972 %."""
    digits = max(0, 1 - floor(log10(100 * (1 - fraction))))
    told = f"{100 * fraction:.{digits}f}"
    return f"{told.rstrip('0').rstrip('.') if '.' in told else told}{NARROW}%"


def points(fraction: float, digits: int = 1) -> str:
    """A fraction in points, or in percent where the head of the column says so: 0.0041 is 0.4."""
    return f"{100 * fraction:.{digits}f}"


def signed(fraction: float) -> str:
    """A difference in points: +0.3, with a true minus sign below 0, and no sign where it rounds to 0."""
    number = f"{100 * fraction:+.1f}"
    return "0.0" if number in ("+0.0", "-0.0") else number.replace("-", "\N{MINUS SIGN}")


def margin(fraction: float) -> str:
    """A margin in words: 1 point, 2.5 points."""
    return f"{100 * fraction:g} point{'' if fraction == 0.01 else 's'}"


def decimal(value: float, digits: int = 3) -> str:
    """A number without a unit of its own, such as a loss in nats."""
    return f"{value:,.{digits}f}"


def count(number: float) -> str:
    """A whole number: 1000 is 1,000."""
    return f"{int(number):,}"


def rounded(number: float) -> str:
    """A whole number of which two digits can be told: 21650 is 22,000."""
    return count(float(f"{number:.2g}"))


def counted(number: int, noun: str) -> str:
    """1 seed, 3 seeds."""
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def seeds(number: int) -> str:
    """1 seed, 3 seeds."""
    return counted(number, "seed")


def share(part: int, whole: int) -> str:
    """A number of rows and what share of all it is."""
    return f"{count(part)} ({percent(part / whole)})" if part else "0"


def p_value(p: float) -> str:
    """Three digits, and never 0."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def seconds(value: float) -> str:
    """Seconds of training, which are recorded to the tenth."""
    if value < 0.1:
        return "< 0.1"
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def with_interval(interval: Bounded) -> str:
    """An accuracy with its interval: 84.9 % [82.3, 87.1]."""
    return f"{percent(interval.value)} [{points(interval.low)}, {points(interval.high)}]"


def bare_interval(interval: Bounded, digits: int = 1) -> str:
    """The same for a column whose head says percent: 8.2 [6.7, 9.7]; the ends may have fewer digits."""
    return f"{points(interval.value)} [{points(interval.low, digits)}, {points(interval.high, digits)}]"


def signed_interval(interval: Bounded) -> str:
    """A difference in points with its interval: +0.4 [+0.1, +0.9]."""
    return f"{signed(interval.value)} [{signed(interval.low)}, {signed(interval.high)}]"


def points_in_words(interval: Bounded) -> str:
    """A difference for the middle of a sentence: +0.4 points (90 % interval +0.1 to +0.9)."""
    ends = f"{signed(interval.low)} to {signed(interval.high)}"
    return f"{signed(interval.value)} points ({confidence(interval.confidence_level)} interval {ends})"


def listed(words: Sequence[str]) -> str:
    """The words as one reads them aloud: a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def shortened(names: Sequence[str]) -> tuple[str, ...]:
    """The first names of a long list, and how many are left out."""
    if len(names) <= LISTED + 1:  # a last line would count one and save none
        return tuple(names)
    return (*names[:LISTED], f"and {count(len(names) - LISTED)} more")


def unbroken(name: str) -> str:
    """A name of several words, kept on one line."""
    return name.replace(" ", "\N{NO-BREAK SPACE}")
