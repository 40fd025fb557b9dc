"""What the page says of each class: its scores, its rows, and with which other one it is confused."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stages.reporting.document import Block, Prose, Table
from stages.reporting.numbers import NONE, count, decimal, level, listed, percent, shortened

NUMBERED = 10  # classes up to which a confusion matrix has room for numbers, and a table the order of the classes
CONFUSIONS = 15  # pairs of classes in the table beside a larger matrix

ClassNumbers = Mapping[str, Mapping[str, Mapping[str, float]]]  # by split (train, test, val), class name, measure


def class_blocks(classes: ClassNumbers, *, confidence_level: float) -> tuple[Block, ...]:
    """Precision, recall with its interval, F1 and rows of every class.

    Args:
        classes: What evaluate measured.
        confidence_level: Of the recall's interval, e.g. 0.95.
    """
    names = list(classes["test"])
    many = len(names) > NUMBERED
    if many:
        names.sort(key=lambda name: classes["test"][name].get("f1", 2.0))  # those without any F1 last
    head = ("class", "training rows", "test rows", "precision", f"recall [{level(confidence_level)} interval]", "F1")
    table = Table(head, tuple(_class_row(name, classes) for name in names))
    notes = [*_notes(classes), *(["Classes with the lowest F1 come first."] if many else [])]
    return (table, *([Prose(" ".join(notes), "note")] if notes else []))


def without_test_rows(classes: ClassNumbers) -> list[str]:
    """Names of the classes that the test split has no row of."""
    return [name for name, numbers in classes["test"].items() if not numbers["support"]]


def quoted(names: Sequence[str]) -> str:
    """The names for the middle of a sentence; of many only the first."""
    shown = shortened([f"“{name}”" for name in names])
    return listed(shown) if len(shown) == len(names) else ", ".join(shown)


def confusion_blocks(counts: NDArray[np.int64], label_names: Sequence[str]) -> tuple[Block, ...]:
    """What a matrix of many classes, which has no room for numbers, leaves to words: the pairs that are confused most.

    Args:
        counts: (C, C) test rows, true class down, predicted class across.
        label_names: C class names.
    """
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [pair for pair in zip(*np.unravel_index(order, wrong.shape), strict=True) if wrong[pair]]
    if len(label_names) <= NUMBERED:
        return ()
    shades = "The darker a cell, the larger its share of the true class."
    if not pairs:
        return (Prose(shades, "note"),)
    rows = tuple(
        (
            f"{label_names[true]} → {label_names[predicted]}",
            count(wrong[true, predicted]),
            percent(wrong[true, predicted] / counts[true].sum()),
        )
        for true, predicted in pairs
    )
    return (
        Prose(f"{shades} These are the largest confusions.", "lead"),
        Table(("true class → predicted", "test rows", "of the true class"), rows),
    )


def _class_row(name: str, classes: ClassNumbers) -> tuple[str, ...]:
    numbers = classes["test"][name]
    recall = NONE
    if "recall" in numbers:
        low, high = decimal(numbers["recall_low"]), decimal(numbers["recall_high"])
        recall = f"{decimal(numbers['recall'])} [{low}, {high}]"
    return (
        name,
        count(classes["train"][name]["support"]),
        count(numbers["support"]),
        decimal(numbers["precision"]) if "precision" in numbers else NONE,
        recall,
        decimal(numbers["f1"]) if "f1" in numbers else NONE,
    )


def _notes(classes: ClassNumbers) -> list[str]:
    """How unbalanced the training rows were, and what cannot be measured."""
    told = []
    rows = {name: numbers["support"] for name, numbers in classes["train"].items()}
    fewest, most = min(rows, key=rows.__getitem__), max(rows, key=rows.__getitem__)
    if rows[fewest] < rows[most]:
        told.append(
            f"The training rows were unbalanced, from {count(rows[fewest])} (“{fewest}”) to {count(rows[most])} "
            f"(“{most}”) of a class."
        )
    if unseen := without_test_rows(classes):
        told.append(f"No test row is of class {quoted(unseen)}: nothing here says how well that is recognised.")
    if any("precision" not in numbers for numbers in classes["test"].values()):
        told.append("A class that is never predicted has no precision.")
    return told
