"""The test rows in slices: where a classifier is weak, and which rows it gets wrong most surely."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stages.reporting.study.findings import Slice
from stages.scoring.mistakes import Mistake, surest_mistakes
from stages.statistics.bootstrap import two_way_bootstrap
from stages.study.groups import Group
from stages.study.store import RowFacts

LENGTHS = (9, 19)  # words; up to the first, up to the second, longer
MISTAKES = 20  # listed


def slices(group: Group, rows: RowFacts, confidence_level: float) -> list[Slice]:
    """Accuracy by length, negation and true class."""
    found = []
    for name, inside in _masks(rows).items():
        if inside.any():
            accuracy = two_way_bootstrap(group.hits[:, inside], confidence_level=confidence_level)
            found.append(
                Slice(
                    curve=group.cell.curve,
                    samples=group.cell.samples,
                    name=name,
                    num_rows=int(inside.sum()),
                    accuracy=accuracy,
                )
            )
    return found


def mistakes(group: Group, rows: RowFacts, sentences: Mapping[int, str]) -> list[Mistake]:
    """Rows that most seeds get wrong, the surest first. Some may be wrong labels."""
    return surest_mistakes(
        group.logits,
        rows.labels,
        row_ids=rows.row_ids,
        label_names=rows.label_names,
        sentences=sentences,
        limit=MISTAKES,
    )


def _masks(rows: RowFacts) -> dict[str, NDArray[np.bool_]]:
    short, middle = LENGTHS
    masks = {
        f"up to {short} words": rows.num_words <= short,
        f"{short + 1} to {middle} words": (rows.num_words > short) & (rows.num_words <= middle),
        f"{middle + 1} words or more": rows.num_words > middle,
        "with a negation": rows.negates,
        "without a negation": ~rows.negates,
    }
    return masks | {f"class {name}": rows.labels == at for at, name in enumerate(rows.label_names)}
