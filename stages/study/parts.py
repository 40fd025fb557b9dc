"""The test rows in parts: where a classifier is weak, and which rows it gets wrong most surely."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from stages.reporting.findings import HardRow, Slice
from stages.statistics.bootstrap import two_way_bootstrap
from stages.study.contrasts import RESAMPLING_SEED
from stages.study.results import RowFacts
from stages.study.table import Group

LENGTHS = (9, 19)  # words; up to the first, up to the second, longer
HARD_ROWS = 20  # listed


def slices(group: Group, rows: RowFacts, confidence_level: float) -> list[Slice]:
    """Accuracy by length, negation and true class."""
    found = []
    for name, part in _parts(rows).items():
        if part.any():
            accuracy = two_way_bootstrap(group.hits[:, part], confidence_level=confidence_level, seed=RESAMPLING_SEED)
            found.append(
                Slice(
                    curve=group.cell.curve,
                    samples=group.cell.samples,
                    name=name,
                    num_rows=int(part.sum()),
                    accuracy=accuracy,
                )
            )
    return found


def hard_rows(group: Group, rows: RowFacts, sentences: Mapping[int, str]) -> list[HardRow]:
    """Rows that most seeds get wrong, the surest first. Some may be wrong labels."""
    probabilities = softmax(group.logits.astype(np.float64), axis=2)
    probabilities[:, np.arange(len(rows.labels)), rows.labels] = 0
    sureness = probabilities.max(axis=2).mean(axis=0)
    num_wrong = (~group.hits).sum(axis=0)
    surest = np.lexsort((rows.row_ids, -sureness, -num_wrong))[:HARD_ROWS]
    return [
        HardRow(
            row_id=int(rows.row_ids[at]),
            num_wrong=int(num_wrong[at]),
            num_seeds=len(group.seeds),
            confidence=float(sureness[at]),
            actual=rows.label_names[rows.labels[at]],
            predicted=rows.label_names[_most_frequent_wrong(group.predicted[:, at], rows.labels[at])],
            sentence=sentences.get(int(rows.row_ids[at]), ""),
        )
        for at in surest
        if num_wrong[at]
    ]


def _parts(rows: RowFacts) -> dict[str, NDArray[np.bool_]]:
    short, middle = LENGTHS
    parts = {
        f"up to {short} words": rows.num_words <= short,
        f"{short + 1} to {middle} words": (rows.num_words > short) & (rows.num_words <= middle),
        f"{middle + 1} words or more": rows.num_words > middle,
        "with a negation": rows.negates,
        "without a negation": ~rows.negates,
    }
    return parts | {f"class {name}": rows.labels == at for at, name in enumerate(rows.label_names)}


def _most_frequent_wrong(predicted: NDArray[np.int64], label: np.int64) -> int:
    return int(np.bincount(predicted[predicted != label]).argmax())
