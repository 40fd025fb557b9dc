"""Subsets of the training pool, each inside every larger one of the same seed.

Of a subset a share may validate instead of training (`shared_subset`): what a person has who bought so many labels and
no others. Which of a class's rows validates hangs on its turn alone, so that both parts are nested as well.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.corpus.carve import Sources
from stages.corpus.params import ClassRatio
from stages.foundation.errors import check_param

FREE, TRAINS, VALIDATES = -1, 0, 1


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedSubset:
    """Positions in the pool, each part the beginning of that of every larger subset of the same seed."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]


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
    places = _places_in_class(labels, seed)
    turns = places if class_ratio == "balanced" else (places + 0.5) / sizes[labels]
    return _with_every_class(np.argsort(turns, kind="stable"), labels, samples)


def shared_subset(
    labels: NDArray[np.int64],
    sources: Sources | None,
    *,
    samples: int,
    seed: int,
    class_ratio: ClassRatio,
    validation_share: float,
) -> SharedSubset:
    """Draw rows of which a share validates, so that no source has rows on both sides.

    The classes take turns as in `nested_subset`, and of each class as many rows in so many validate as the share says:
    the 3rd, the 8th, the 13th of a share of 0.2. A row that shares a source with one drawn before it for the other part
    is passed over for this part, for good; where none is, the rows drawn are those of `nested_subset`.

    Args:
        labels: Class index of each row of the pool; every class occurs.
        sources: What must not be torn apart; None: each row stands alone.
        samples: Rows to draw, of both parts together.
        seed: Draws the order.
        class_ratio: Which share each class gets, in each part.
        validation_share: Of each class's rows, above 0.

    Raises:
        ParamsError: If there are not that many rows, they do not go evenly into the classes, a part would be without a
            class, or not so many can be drawn without tearing a source apart.
    """
    sizes = np.bincount(labels)
    fault = impossible(samples, sizes, class_ratio, validation_share)
    check_param(not fault, f"samples {fault}")
    places = _places_in_class(labels, seed)
    of_class = [np.flatnonzero(labels == label) for label in range(len(sizes))]
    queues = [rows[np.argsort(places[rows])].tolist() for rows in of_class]
    alone = np.empty(0, np.int64)
    source_of = sources.of_each_row(len(labels)) if sources is not None else [alone] * len(labels)
    drawn = _Draw(queues, source_of, num_sources=0 if sources is None else len(sources))
    turns = _turns(sizes, class_ratio)[:samples]
    validating = _validating(len(labels), validation_share)
    parts: tuple[list[int], list[int]] = ([], [])
    taken = np.zeros(len(sizes), dtype=np.int64)
    for label in turns.tolist():
        part = VALIDATES if validating[taken[label]] else TRAINS
        row = drawn.next(label, part)
        if row is None:
            break
        parts[part].append(row)
        taken[label] += 1
    most = int(taken.sum())
    check_param(most == samples, _torn(samples, most, sizes, class_ratio, validation_share))
    train, validation = (np.array(rows, dtype=np.int64) for rows in parts)
    return SharedSubset(train=train, validation=validation)


class _Draw:
    """Rows drawn one after the other, each for the part that its turn is for."""

    def __init__(self, queues: list[list[int]], sources: list[NDArray[np.int64]], *, num_sources: int) -> None:
        self._queues, self._sources = queues, sources
        self._looked_at = np.zeros((2, len(queues)), dtype=np.int64)  # rows of each class that each part has behind it
        self._is_drawn = [False] * len(sources)
        self._part_of = np.full(num_sources, FREE)  # a source that has rows in a part is closed to the other

    def next(self, label: int, part: int) -> int | None:
        """The next row of a class that may be in this part; None where there is none left."""
        queue = self._queues[label]
        while (at := int(self._looked_at[part, label])) < len(queue):
            self._looked_at[part, label] += 1
            row, sources = queue[at], self._sources[queue[at]]
            if not self._is_drawn[row] and (self._part_of[sources] != 1 - part).all():
                self._is_drawn[row] = True
                self._part_of[sources] = part
                return row
        return None


def _places_in_class(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """(N,) the place of each row in the random order of its class, from 0."""
    generator = np.random.default_rng(seed)
    places = np.empty(len(labels), dtype=np.int64)
    for label, size in enumerate(np.bincount(labels).tolist()):
        places[labels == label] = generator.permutation(size)
    return places


def _turns(sizes: NDArray[np.int64], class_ratio: ClassRatio) -> NDArray[np.int64]:
    """(N,) the class whose turn it is, as often as it has rows; of classes whose turn comes at once the first."""
    classes = np.repeat(np.arange(len(sizes)), sizes)
    places = np.concatenate([np.arange(size) for size in sizes])
    turns = places if class_ratio == "balanced" else (places + 0.5) / sizes[classes]
    return classes[np.lexsort((classes, turns))]


def _validating(number: int, share: float) -> NDArray[np.bool_]:
    """(number,) whether a class's first, second, ... row validates: of the first k rows `share` times k, rounded."""
    rounded = np.floor(share * np.arange(number + 1) + 0.5)
    validates: NDArray[np.bool_] = np.diff(rounded) > 0
    return validates


def _least(sizes: NDArray[np.int64], class_ratio: ClassRatio, share: float) -> int | None:
    """The fewest samples of which each class has a row that trains and one that validates; None: there are not."""
    validating = _validating(int(sizes.max()), share)
    of_class = max(int(np.argmax(validating)), int(np.argmin(validating))) + 1
    if not validating.any() or sizes.min() < of_class:
        return None
    turns = _turns(sizes, class_ratio)
    last = [np.flatnonzero(turns == label)[of_class - 1] for label in range(len(sizes))]
    return int(max(last)) + 1


def _torn(samples: int, most: int, sizes: NDArray[np.int64], class_ratio: ClassRatio, share: float) -> str:
    """What is said where sources do not let so many be drawn."""
    if class_ratio == "balanced":
        most -= most % len(sizes)
    least = _least(sizes, class_ratio, share)
    can = f"at most {most} can" if least is not None and most >= least else "no size can"
    return (
        f"samples {samples} cannot have a share of {share:g} that validates without tearing sources apart: {can}, with "
        "this seed; prepare.partition: random tears them apart, and more data would help"
    )


def _with_every_class(ordered: NDArray[np.int64], labels: NDArray[np.int64], samples: int) -> NDArray[np.int64]:
    """The first rows in this order, as many as leave room for a row of each class that is not among them."""
    firsts = np.sort(np.unique(labels[ordered], return_index=True)[1])  # where each class comes up
    absent = len(firsts) - np.searchsorted(firsts, np.arange(samples + 1))  # in the first 0, 1, 2, ... rows
    kept = int(np.flatnonzero(np.arange(samples + 1) + absent <= samples)[-1])
    return np.concatenate([ordered[:kept], ordered[firsts[firsts >= kept]]])


def largest(sizes: NDArray[np.int64], class_ratio: ClassRatio) -> int:
    """The largest subset of a pool with so many rows of each class."""
    return len(sizes) * int(sizes.min()) if class_ratio == "balanced" else int(sizes.sum())


def smallest(sizes: NDArray[np.int64], class_ratio: ClassRatio, validation_share: float = 0.0) -> int:
    """The smallest subset of a pool with so many rows of each class, be it more than the pool gives."""
    least = _least(sizes, class_ratio, validation_share) if validation_share else len(sizes)
    return int(sizes.sum()) + 1 if least is None else least


def impossible(samples: int, sizes: NDArray[np.int64], class_ratio: ClassRatio, validation_share: float = 0.0) -> str:
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
    if validation_share and samples < (least := smallest(sizes, class_ratio, validation_share)):
        wanted = f"so that each class has a row that validates, a share of {validation_share:g}"
        if least > most:
            return f"cannot be {samples}: the smallest class has {sizes.min()} rows, too few {wanted}"
        return f"must be at least {least}, {wanted}, got {samples}"
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
