"""How sure a share is."""

from math import sqrt

from scipy.special import ndtri

from stages.foundation.interval import Interval


def wilson(num_hits: int, num_examples: int, confidence_level: float) -> Interval:
    """Share of hits with Wilson's score interval.

    Source: Wilson 1927, JASA 22(158), 209-212. `wilson(743, 872, 0.95)` is 0.852 in [0.827, 0.874].

    Raises:
        ValueError: Without examples, or with more hits than examples.
    """
    if not 0 <= num_hits <= num_examples or num_examples == 0:
        raise ValueError(f"{num_hits} hits of {num_examples} examples are no share")
    share = num_hits / num_examples
    z = float(ndtri((1 + confidence_level) / 2))
    scale = 1 + z**2 / num_examples
    centre = (share + z**2 / (2 * num_examples)) / scale
    half_width = z * sqrt(share * (1 - share) / num_examples + z**2 / (4 * num_examples**2)) / scale
    return Interval(
        value=share,
        low=max(0.0, min(share, centre - half_width)),  # rounding must not put the share outside
        high=min(1.0, max(share, centre + half_width)),
        confidence_level=confidence_level,
    )
