"""Many tests, one error rate."""

import numpy as np
from numpy.typing import NDArray


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjusted p-values: those below alpha hold together with at most alpha chance of any false one.

    Source: Holm 1979, Scandinavian Journal of Statistics 6(2), 65-70. `holm([0.01, 0.04, 0.03])` is
    0.03, 0.06, 0.06.

    Args:
        p_values: (M,) float64; the result keeps their order.
    """
    order = np.argsort(p_values)
    remaining = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values), dtype=np.float64)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * remaining))
    return adjusted
