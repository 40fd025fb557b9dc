"""Do more labels help at all, and what is left of many tests once they share one error rate?"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import page_trend_test


def page_trend(accuracies: NDArray[np.float64]) -> float:
    """One-sided p-value: chance of ranks that rise this well with the training-set size, if size did nothing.

    Source: Page 1963, JASA 58(301), 216-230. The repeats must be independent of one another; the test rows they share
    do not matter, because every repeat is ranked by itself.

    Args:
        accuracies: (S, K) float, S >= 2 repeats at K >= 3 sizes in rising order.
    """
    return float(page_trend_test(accuracies).pvalue)


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
