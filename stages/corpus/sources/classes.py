"""From labels as they are written to classes: names, indices of names, and numbers that are neither."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.corpus.sources.settings import ColumnSettings
from stages.corpus.sources.table import NUMBER, Table, listed, shortened
from stages.foundation.errors import StudyError

INTEGER = re.compile(r"0|-?[1-9][0-9]*")
WHOLE = re.compile(r"(0|-?[1-9][0-9]*)(\.0*)?")  # 1, 1. and 1.0
TRUTHS = {"false", "true"}
HIDDEN = "-1"  # what GLUE on the Hub says instead of a secret test label
HIDING = {"", HIDDEN, "?", "-", "none", "null", "nan", "n/a", "unknown", "hidden"}  # in small letters, likewise
DIGITS = re.compile(r"[-+]?\d+(\.0*)?")  # also 007
WRITTEN = "names as written"
FEW_CLASSES = 20  # so many may have a row each


@dataclass(frozen=True, kw_only=True, slots=True)
class Classes:
    """C classes, and the one of every row."""

    names: tuple[str, ...]  # C, by class index
    labels: dict[str, NDArray[np.int64]]  # by split, (N,) class index
    told: str  # how the labels were read, in words


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a label means."""

    index: Mapping[str, int]  # class index by label
    told: str
    spell: Callable[[str], str] = str  # brings a label as it is written into the form of these

    def of(self, label: str) -> int:
        """The class index, -1 for an unknown label."""
        return self.index.get(label, self.index.get(self.spell(label), -1))


def find_classes(tables: Mapping[str, Table], columns: ColumnSettings) -> Classes:
    """Number the classes and find the one of every row.

    Args:
        tables: `train`, `test` and perhaps `validation`.
        columns: Names the column, perhaps the classes, and how labels are to be read.

    Raises:
        StudyError: If a label is missing or unknown, which names the row, or may mean two things.
    """
    written = {name: _read_labels(table, columns.label) for name, table in tables.items()}
    if len(set(written["train"])) < 2:
        label = shortened(written["train"][0])
        raise StudyError(f"the training rows have one class only ({label}); there must be at least two")
    own = {name: known for name, table in tables.items() if (known := _own_names(table, columns.label))}
    names: Sequence[str] | None = _given_names(columns) or next(iter(own.values()), None)
    plain = {name: labels for name, labels in written.items() if name not in own}
    readings: dict[str, Reading] = {}
    if plain:
        first = next(iter(plain))
        names, reading = _read_plain(tables[first], plain[first], _union(plain), names, columns, is_own=bool(own))
        readings = dict.fromkeys(plain, reading)
    names = names or ()
    is_given = columns.label_names is not None
    readings |= {name: _read_own(tables[name], own[name], names, is_given=is_given) for name in own}
    labels = {name: _look_up(tables[name], written[name], readings[name]) for name in tables}
    return Classes(names=tuple(names), labels=labels, told=readings["train"].told)


def hides_labels(test: Table, train: Table, column: str) -> bool:
    """Whether every label of a test split is missing, -1 or the like, and none of that a label of the training rows."""
    values = test.values(column)
    written, known = ({_plain(value) for value in some} for some in (values, train.values(column)))
    return all(map(_may_be_label, values)) and written <= HIDING and not (written - {""}) & known


def _may_be_label(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _plain(label: Any) -> str:
    return _spell(label).casefold().removesuffix(".0")


def _read_labels(table: Table, column: str) -> list[str]:
    values = table.values(column)
    labels = [_spell(value) for value in values]
    for position, label in enumerate(labels):
        if not label:
            raise StudyError(
                f"{table.place(position)} has no label: column {column} must hold whole numbers or names, "
                f"found {shortened(repr(values[position]))}"
            )
    return labels


def _spell(label: Any) -> str:
    """A label as text, e.g. `1`, `true`, `positive`; empty if it is none."""
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, float) and label.is_integer():  # whole numbers, where another one of the column is missing
        label = int(label)
    return str(label).strip() if isinstance(label, int | float | str) else ""


def _given_names(columns: ColumnSettings) -> tuple[str, ...] | None:
    """The names of dataset.yaml."""
    if columns.label_names is None:
        if columns.label_values not in (None, "names"):
            raise StudyError(f"`label_values: {columns.label_values}` needs `label_names` in dataset.yaml as well")
        return None
    names = tuple(_spell(name) for name in columns.label_names)
    if len(set(names)) < max(2, len(names)) or not all(names):
        raise StudyError(
            f"label_names must hold at least two names, each of them once, got {shortened(columns.label_names)}"
        )
    return names


def _own_names(table: Table, column: str) -> tuple[str, ...]:
    """The names that the file itself gives to the indices in its column of labels."""
    return tuple(_spell(name) for name in table.class_names.get(table.find(column), ()))


def _read_own(table: Table, own: Sequence[str], names: Sequence[str], *, is_given: bool) -> Reading:
    """Indices of the file's own names, which dataset.yaml may put into another order or replace by others."""
    common = set(own) & set(names)
    if common in (set(own), set(names)):
        position = {name: at for at, name in enumerate(names)}
        index = {str(at): position[name] for at, name in enumerate(own) if name in position}
    elif is_given and not common and len(own) == len(names):
        index = {str(at): at for at in range(len(own))}
        return Reading(index=index, told=_told("indices", index, names))
    else:
        raise StudyError(
            f"{table.name} names its classes {listed(own)}, which does not fit {listed(names)}; `label_names` in "
            "dataset.yaml may order the file's names or give as many others"
        )
    return Reading(index=index, told="indices whose names the file itself gives")


def _read_plain(
    table: Table,
    labels: Sequence[str],
    union: Collection[str],
    names: Sequence[str] | None,
    columns: ColumnSettings,
    *,
    is_own: bool,
) -> tuple[Sequence[str], Reading]:
    """Names of the classes, and what labels mean that no file explains.

    Args:
        table: The first table with such labels, as a rule the training rows.
        labels: Its labels.
        union: The labels of all such tables.
        names: Of the classes, from dataset.yaml or another file; None: the labels are names.
        columns: May say how labels are to be read.
        is_own: Whether another file explains its labels, which then are indices from 0.
    """
    spell = str if columns.label_values == "names" else _spelling(set(labels))
    if names is None:
        if columns.label_values is None:
            _require_classes(table, labels, columns.label)
        found = {spell(label) for label in labels}
        names = sorted(found, key=int) if all(map(INTEGER.fullmatch, found)) else sorted(found)
        return names, Reading(index={name: at for at, name in enumerate(names)}, told=WRITTEN, spell=spell)
    readings = {
        "names": {spell(name): at for at, name in enumerate(names)},
        "indices": {str(at): at for at in range(len(names))},
        "indices_from_1": {str(at + 1): at for at in range(len(names))},
    }
    found = {spell(label) for label in labels}
    if found == TRUTHS and len(names) == 2 and not found <= readings["names"].keys():
        readings["indices"] = {"false": 0, "true": 1}
    chosen = columns.label_values or _choose(table, found, {spell(label) for label in union}, readings, is_own=is_own)
    return names, Reading(index=readings[chosen], told=_told(chosen, readings[chosen], names), spell=spell)


def _spelling(found: set[str]) -> Callable[[str], str]:
    """1.0 is 1 where all labels are whole numbers; True is true where all are one of the two."""
    if all(map(WHOLE.fullmatch, found)):
        return lambda label: label.partition(".")[0] if WHOLE.fullmatch(label) else label
    if all(label.lower() in TRUTHS for label in found):
        return str.lower
    return str


def _choose(
    table: Table, found: set[str], union: set[str], readings: Mapping[str, Mapping[str, int]], *, is_own: bool
) -> str:
    """The one reading that fits: first the labels of this table, then all classes, then the labels of every table."""
    union = union - {HIDDEN}
    fitting = [name for name in ("names", "indices") if found <= readings[name].keys()]
    if "names" not in fitting and not is_own and found <= readings["indices_from_1"].keys():
        fitting.append("indices_from_1")
    covering = [name for name in fitting if {readings[name][label] for label in found} == set(readings[name].values())]
    fitting = covering or fitting
    fitting = [name for name in fitting if union <= readings[name].keys()] or fitting
    if not fitting:
        return "indices" if all(map(INTEGER.fullmatch, found)) else "names"
    for label in sorted(found):
        if len({readings[name][label] for name in fitting}) > 1:
            raise StudyError(_two_readings(table, label, [(name, readings[name][label]) for name in fitting], readings))
    return fitting[0]


def _two_readings(
    table: Table, label: str, meant: Sequence[tuple[str, int]], readings: Mapping[str, Mapping[str, int]]
) -> str:
    names = list(readings["names"])
    told = {
        "names": f"the name of class {label} itself (`label_values: names`)",
        "indices": "an index that counts from 0, class {} (`label_values: indices`)",
        "indices_from_1": "one that counts from 1, class {} (`label_values: indices_from_1`)",
    }
    ways = " or ".join(told[name].format(names[at]) for name, at in meant)
    return f"{table.name}: label {label} can be {ways}; say in dataset.yaml which"


def _told(reading: str, index: Mapping[str, int], names: Sequence[str]) -> str:
    if reading == "names":
        return "names as in label_names"
    start = ", counted from 1" if reading == "indices_from_1" else ""
    return f"indices{start}: {listed(f'{label} is {names[at]}' for label, at in index.items())}"


def _require_classes(table: Table, labels: Sequence[str], column: str) -> None:
    """Refuse a column of measured numbers, or one whose values hardly repeat."""
    found = set(labels)
    advice = "name the column of the classes with `label:` in dataset.yaml"
    if all(map(NUMBER.fullmatch, found)) and not all(map(DIGITS.fullmatch, found)):
        position = next(at for at, label in enumerate(labels) if not DIGITS.fullmatch(label))
        raise StudyError(
            f"{table.place(position)}: column {column} holds numbers such as {shortened(labels[position])}, "
            f"{len(found)} different ones, not classes; {advice}, or `label_values: names` if each number is one"
        )
    if len(found) > max(FEW_CLASSES, len(labels) // 2):
        raise StudyError(
            f"{table.name}: column {column} holds {len(found)} different values in {len(labels)} rows, such as "
            f"{shortened(labels[0])}, not classes; {advice}, or `label_values: names` if each value is one"
        )


def _union(written: Mapping[str, Sequence[str]]) -> set[str]:
    return {label for labels in written.values() for label in labels}


def _look_up(table: Table, labels: list[str], reading: Reading) -> NDArray[np.int64]:
    index = {label: reading.of(label) for label in set(labels)}
    numbers = [index[label] for label in labels]
    if -1 in numbers:
        position = numbers.index(-1)
        raise StudyError(f"{table.place(position)}: {_unknown(labels[position], set(labels), reading)}")
    return np.array(numbers, dtype=np.int64)


def _unknown(label: str, labels: Collection[str], reading: Reading) -> str:
    found = {reading.spell(one) for one in labels}
    if found == {HIDDEN}:
        return f"the labels are hidden ({HIDDEN}); take a split that has labels"
    told = f"unknown label {shortened(label)!r}; the classes are {listed(reading.index)}"
    if near := [name for name in reading.index if name.casefold() == label.casefold()]:
        return f"{told} ({near[0]} differs by case alone)"
    if reading.spell(label) == HIDDEN:
        in_order: list[str] = sorted(found, key=int) if all(map(INTEGER.fullmatch, found)) else ["..."]
        return (
            f"{told}. If -1 hides a label, remove such rows; if it is a class, dataset.yaml names the classes as they "
            f"are written: `label_names: [{listed(in_order)}]`"
        )
    return (
        f"{told}, as the training rows have them: add such rows there, or remove them here"
        if reading.told == WRITTEN
        else told
    )
