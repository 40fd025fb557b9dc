"""Subsets of the training pool, each inside every larger one of the same seed."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stages.foundation.errors import check_param


def nested_subset(
    labels: NDArray[np.int64], *, samples: int, seed: int, class_ratio: Literal["balanced", "natural"]
) -> NDArray[np.int64]:
    """Draw training rows so that a smaller subset is the beginning of every larger one.

    The rows of each class are put into random order once; the classes then take turns, either row by row
    (`balanced`) or as often as their size in the pool asks (`natural`).

    Args:
        labels: Class index of each row of the pool; every class occurs.
        samples: Rows to draw.
        seed: Draws the order.
        class_ratio: Which share each class gets.

    Returns:
        (samples,) positions in the pool.

    Raises:
        ParamsError: If there are not that many rows, or they do not go evenly into the classes.
    """
    sizes = np.bincount(labels)
    _require_possible(samples, sizes, class_ratio)
    generator = np.random.default_rng(seed)
    turns = np.empty(len(labels))
    for label, size in enumerate(sizes.tolist()):
        order = generator.permutation(size)
        turns[labels == label] = order if class_ratio == "balanced" else (order + 0.5) / size
    rows = np.argsort(turns, kind="stable")[:samples]
    check_param(
        len(np.unique(labels[rows])) == len(sizes),
        f"samples {samples} in natural class ratio leave a class without any row; ask for more",
    )
    return rows


def _require_possible(samples: int, sizes: NDArray[np.int64], class_ratio: str) -> None:
    num_classes = len(sizes)
    most = num_classes * int(sizes.min()) if class_ratio == "balanced" else int(sizes.sum())
    check_param(
        samples <= most,
        f"samples {samples} is more than there are: the pool gives at most {most} in {class_ratio} class ratio",
    )
    check_param(samples >= num_classes, f"samples must be at least {num_classes}, one for each class, got {samples}")
    if class_ratio == "balanced":
        below = samples - samples % num_classes
        nearest = " or ".join(str(value) for value in (below, below + num_classes) if num_classes <= value <= most)
        check_param(
            samples == below,
            f"samples {samples} cannot be balanced over {num_classes} classes; the nearest that can is {nearest}",
        )
