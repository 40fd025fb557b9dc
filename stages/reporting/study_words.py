"""How the answer page writes numbers."""

from collections.abc import Sequence

from stages.reporting.findings import Findings
from stages.reporting.html import NARROW, count, percent
from stages.statistics.interval import Interval

LISTED = 8  # cells that a list names before it only counts
NONE = "\N{EN DASH}"  # a cell of a table with nothing to say


def with_interval(interval: Interval) -> str:
    """An accuracy with its interval: 84.9 % [82.3, 87.1]."""
    return f"{percent(interval.value)} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"


def bare_interval(interval: Interval, digits: int = 1) -> str:
    """A fraction and its interval in percent, for a column whose head says so: 8.2 [6.7, 9.7]."""
    return f"{100 * interval.value:.1f} [{100 * interval.low:.{digits}f}, {100 * interval.high:.{digits}f}]"


def signed(fraction: float) -> str:
    """A difference in points: +0.3, or with a true minus sign."""
    number = f"{100 * fraction:+.1f}"
    return "0.0" if number in ("+0.0", "-0.0") else number.replace("-", "\N{MINUS SIGN}")


def signed_interval(interval: Interval) -> str:
    """A difference in points with its interval."""
    return f"{signed(interval.value)} [{signed(interval.low)}, {signed(interval.high)}]"


def p_value(p: float) -> str:
    """Three digits, and never 0."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def level(fraction: float) -> str:
    """A confidence level: 95 %."""
    return f"{100 * fraction:g}{NARROW}%"


def seeds(number: int) -> str:
    """1 seed, 3 seeds."""
    return f"{number} seed" if number == 1 else f"{number} seeds"


def seconds(value: float) -> str:
    """Seconds of training, which are recorded to the tenth."""
    if value < 0.1:
        return "< 0.1"
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def shortened(names: Sequence[str]) -> tuple[str, ...]:
    """The first names of a list, and how many are left out."""
    if len(names) <= LISTED + 1:  # a last line would count one and save none
        return tuple(names)
    return (*names[:LISTED], f"and {count(len(names) - LISTED)} more")


def unbroken(name: str) -> str:
    """A curve and its size, kept on one line."""
    return name.replace(" ", "\N{NO-BREAK SPACE}")


def most_seeds(findings: Findings) -> int:
    """Seeds of the point that has most of them."""
    return max((len(point.seeds) for curve in findings.curves for point in curve.points), default=0)
