"""YAML mappings as frozen dataclasses, read strictly: the one schema of params.yaml and of dataset.yaml.

A dataclass is a section of the file and its fields are the keys. The type of a field says what its value may be:

    int, float, str, bool     1000.0 is a whole number, too; text, true and false never are numbers
    str | int                 one of several
    str | list[str]           a text, or a list of texts
    X | None                  X, or nothing: `null`
    Literal["a", "b"]         one of these words
    list[X], dict[str, X]     any number of X
    a dataclass               a section of its own
    A | B, both dataclasses   a section of one kind or another: its key `kind` names one by their fields
                              `kind: Literal["a"]` and `kind: Literal["b"]`

A field with a default is a key that may be left out. Whatever does not fit is refused in one line.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from stages.foundation.errors import ParamsError, StudyError, check

KIND = "kind"  # the key that tells which of several sections is meant
NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}

Missing = Callable[[str], str]  # what to say of a missing key, given its dotted path


class UnquotedTextError(StudyError):
    """Text is wanted, and YAML reads what stands there as something else: 2024, 1e3, true, null, 2024-01-01."""

    def __init__(self, complaint: str, key: str, value: object) -> None:
        super().__init__(complaint)
        self.key, self.value = key, value


def build(schema: Any, tree: Mapping[str, Any], file: object, *, missing: Missing = "missing key {}".format) -> Any:
    """Build the object that a file describes.

    A section refuses values that do not go together in its `__post_init__`, with `check`; the file's name is
    put before the complaint here.

    Args:
        schema: A frozen dataclass, or a union of the kinds that the file may be of.
        tree: The content, as `read_yaml` gives it.
        file: What to call the file in a complaint.
        missing: What to say of a key that is missing.

    Raises:
        StudyError: One line that names file, key and value: unknown, missing or ill-typed.
    """
    try:
        return _convert(tree, schema, "", missing)
    except ParamsError:  # names its file already
        raise
    except UnquotedTextError as fault:
        raise UnquotedTextError(f"{file}: {fault}", fault.key, fault.value) from None
    except StudyError as fault:
        raise StudyError(" ".join(f"{file}: {fault}".splitlines())) from None


def _convert(value: Any, hint: Any, key: str, missing: Missing) -> Any:
    """One value as its declared type; `key` is its dotted path, empty for the file itself."""
    origin, inner = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _section(_mapping(value, key), hint, key, missing)
    if origin in (Union, UnionType):  # the first of Literal[...] | None
        return _one_of(value, inner, key, missing)
    if origin is Literal:
        return _choice(value, inner, key)
    if origin is list:
        check(isinstance(value, list), f"{key} must be a list, got {value!r}")
        return [_convert(item, inner[0], f"{key}[{at}]", missing) for at, item in enumerate(value)]
    if origin is dict:
        entries = _mapping(value, key)
        return {name: _convert(item, inner[1], _dotted(key, name), missing) for name, item in entries.items()}
    return _scalar(value, (hint,), key)


def _section(tree: Mapping[str, Any], section: Any, key: str, missing: Missing, kind: str = "") -> Any:
    hints, known = get_type_hints(section), [field.name for field in fields(section)]
    for name, value in tree.items():
        who = kind or key or "the file"
        check(name in known, f"unknown key {_dotted(key, name)} ({value!r}); {who} knows {', '.join(known)}")
    for field in fields(section):
        is_needed = field.default is MISSING and field.default_factory is MISSING
        complaint = missing(_dotted(key, field.name)) + (f", which {kind} needs" if kind else "")
        check(field.name in tree or not is_needed, complaint)
    return section(**{name: _convert(tree[name], hints[name], _dotted(key, name), missing) for name in tree})


def _one_of(value: Any, hints: tuple[Any, ...], key: str, missing: Missing) -> Any:
    if value is None and NoneType in hints:
        return None
    hints = tuple(hint for hint in hints if hint is not NoneType)
    if len(hints) == 1:
        return _convert(value, hints[0], key, missing)
    if all(is_dataclass(hint) for hint in hints):
        return _kind(_mapping(value, key), hints, key, missing)
    lists = [hint for hint in hints if get_origin(hint) is list]
    if lists and isinstance(value, list):
        return _convert(value, lists[0], key, missing)
    return _scalar(value, hints, key)


def _kind(tree: Mapping[str, Any], sections: tuple[Any, ...], key: str, missing: Missing) -> Any:
    """The section that the key `kind` names; where it is left out, the one that has a default kind."""
    kinds = {get_args(get_type_hints(section)[KIND])[0]: section for section in sections}
    usual = next((name for name, section in kinds.items() if _default_kind(section) == name), None)
    name = _choice(tree.get(KIND, usual), tuple(kinds), _dotted(key, KIND))
    return _section(tree, kinds[name], key, missing, kind=f"kind {name}")


def _default_kind(section: Any) -> Any:
    return next(field.default for field in fields(section) if field.name == KIND)


def _choice(value: Any, choices: tuple[Any, ...], key: str) -> Any:
    check(isinstance(value, str) and value in choices, f"{key} must be {' or '.join(choices)}, got {value!r}")
    return value


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    check(isinstance(value, Mapping), f"{key} must be a section with keys, got {value!r}")
    for name in value:
        check(isinstance(name, str), f"{_dotted(key, name)} is no key; put it into quotation marks")
    tree: Mapping[str, Any] = value
    return tree


def _dotted(key: str, name: object) -> str:
    return f"{key}.{name}" if key else f"{name}"


def _scalar(value: Any, hints: tuple[Any, ...], key: str) -> Any:
    for hint in hints:
        fitting = _fit(value, hint)
        if fitting is not None:
            return fitting
    wanted = " or ".join(NAMES.get(hint, "a list") for hint in hints)
    if str in hints and not isinstance(value, list | dict):
        condition = "if that is its name, " if value is None else ""
        advice = f"{condition}put it into quotation marks"
        raise UnquotedTextError(f"{key} must be {wanted}, got {as_yaml(value)}; {advice}", key, value)
    raise StudyError(f"{key} must be {wanted if _is_finite(value) else 'a finite number'}, got {value!r}")


def as_yaml(value: Any) -> str:
    """A scalar as YAML writes it: `null`, `true`, `2024-01-01`."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fit(value: Any, hint: Any) -> Any:
    """The value as this scalar type, or None; true and false are no numbers."""
    if hint not in (int, float) or type(value) not in (int, float):
        return value if type(value) is hint else None
    is_lossless = _is_finite(value) if hint is float else value % 1 == 0
    return hint(value) if is_lossless else None


def _is_finite(value: Any) -> bool:
    """False only for a number that no float can hold, which is nan, infinite or a gigantic whole number."""
    try:
        return not isinstance(value, int | float) or math.isfinite(value)
    except OverflowError:
        return False
