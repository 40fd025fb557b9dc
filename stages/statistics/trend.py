"""Do more labels help?"""

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
