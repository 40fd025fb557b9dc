"""Subsets of the training pool, each inside every larger one of the same seed."""

import numpy as np
from numpy.typing import NDArray

from stages.corpus.params import ClassRatio
from stages.foundation.errors import check_param


def nested_subset(labels: NDArray[np.int64], *, samples: int, seed: int, class_ratio: ClassRatio) -> NDArray[np.int64]:
    """Draw training rows so that a smaller subset is the beginning of every larger one.

    The rows of each class are put into random order once; the classes then take turns, either row by row
    (`balanced`) or as often as their size in the pool asks (`natural`). Where the turn of a rare class would come too
    late, its first row takes the last place, so that no class is without any: such a subset is still part of every
    larger one, though no longer its beginning.

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
    fault = impossible(samples, sizes, class_ratio)
    check_param(not fault, f"samples {fault}")
    generator = np.random.default_rng(seed)
    turns = np.empty(len(labels))
    for label, size in enumerate(sizes.tolist()):
        order = generator.permutation(size)
        turns[labels == label] = order if class_ratio == "balanced" else (order + 0.5) / size
    return _with_every_class(np.argsort(turns, kind="stable"), labels, samples)


def _with_every_class(ordered: NDArray[np.int64], labels: NDArray[np.int64], samples: int) -> NDArray[np.int64]:
    """The first rows in this order, as many as leave room for a row of each class that is not among them."""
    firsts = np.sort(np.unique(labels[ordered], return_index=True)[1])  # where each class comes up
    absent = len(firsts) - np.searchsorted(firsts, np.arange(samples + 1))  # in the first 0, 1, 2, ... rows
    kept = int(np.flatnonzero(np.arange(samples + 1) + absent <= samples)[-1])
    return np.concatenate([ordered[:kept], ordered[firsts[firsts >= kept]]])


def largest(sizes: NDArray[np.int64], class_ratio: ClassRatio) -> int:
    """The largest subset of a pool with so many rows of each class."""
    return len(sizes) * int(sizes.min()) if class_ratio == "balanced" else int(sizes.sum())


def impossible(samples: int, sizes: NDArray[np.int64], class_ratio: ClassRatio) -> str:
    """Why a pool with so many rows of each class gives no subset of this size, and what it gives; empty if it does.

    The sentence goes on from the size: `31 cannot be balanced over 3 classes; ...`.
    """
    most, num_classes = largest(sizes, class_ratio), len(sizes)
    if samples > most:
        return (
            f"{samples} is more than there are: the pool gives at most {most} in {class_ratio} class ratio"
            f"{_more_in_natural(sizes) if class_ratio == 'balanced' else ''}"
        )
    if samples < num_classes:
        return f"must be at least {num_classes}, one for each class, got {samples}"
    below = samples - samples % num_classes
    if class_ratio == "natural" or samples == below:
        return ""
    nearest = " or ".join(str(value) for value in (below, below + num_classes) if num_classes <= value <= most)
    return f"{samples} cannot be balanced over {num_classes} classes; the nearest that can is {nearest}"


def _more_in_natural(sizes: NDArray[np.int64]) -> str:
    if (sizes == sizes.min()).all():
        return ""
    return (
        f", since its smallest class has {sizes.min()} rows; as the classes are in the pool, "
        f"`subsample.class_ratio: natural` gives up to {largest(sizes, 'natural')}"
    )
