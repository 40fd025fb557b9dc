"""params.yaml, read strictly: every choice stands there once, and nothing else does."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from stages.foundation import paths
from stages.foundation.errors import ParamsError, check_param
from stages.foundation.files import read_yaml

View = TypeVar("View")

STUDY = "study"  # the section of `python -m stages.study`, which looks across experiments and is no stage of one

KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def read_params(stage: str, view: type[View]) -> View:
    """Read what a stage declares in dvc.yaml, as a typed object of the same shape as the file.

    Only declared keys can be read: DVC would not notice a change of any other.

    Args:
        stage: Name of the stage in dvc.yaml.
        view: Frozen dataclass; its fields are keys, a field that is a dataclass is a section.

    Raises:
        ParamsError: For a key that is unknown, missing, undeclared or ill-typed.
    """
    tree = read_yaml(paths.PARAMS)
    declared = declared_keys()
    for key, value in _leaves(tree):
        known = any(_covers(prefix, key) for keys in declared.values() for prefix in keys)
        check_param(known, f"unknown key {key} ({value!r}): no stage in dvc.yaml declares it")
    visible = _keep(tree, declared[stage])
    return cast(View, _build(view, visible, "", _Origin(stage, tree)))


def declared_keys() -> dict[str, list[str]]:
    """The keys of params.yaml that each stage declares in dvc.yaml; the study, which is no stage, reads its section."""
    stages = read_yaml(paths.PIPELINE)["stages"]
    return {name: list(stage.get("params", [])) for name, stage in stages.items()} | {STUDY: [STUDY]}


class _Origin:
    """Tells an undeclared key from a missing one."""

    def __init__(self, stage: str, tree: Mapping[str, Any]) -> None:
        self.stage = stage
        self.keys = {key for key, _ in _branches(tree)}

    def complaint(self, key: str) -> str:
        if key in self.keys:
            return f"stage {self.stage} reads {key}, which dvc.yaml does not declare for it"
        return f"missing key {key}"


def _branches(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with its dotted path, sections included."""
    for name, value in tree.items():
        key = f"{path}{name}"
        yield key, value
        if isinstance(value, Mapping):
            yield from _branches(value, f"{key}.")


def _leaves(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in _branches(tree) if not isinstance(value, Mapping))


def _covers(prefix: str, key: str) -> bool:
    return key == prefix or key.startswith(prefix + ".")


def _keep(tree: Mapping[str, Any], declared: list[str], path: str = "") -> dict[str, Any]:
    """The part of the tree that lies under a declared key."""
    kept: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{path}{name}"
        if any(_covers(prefix, key) for prefix in declared):
            kept[name] = value
        elif isinstance(value, Mapping) and (inner := _keep(value, declared, f"{key}.")):
            kept[name] = inner
    return kept


def _build(view: type[Any], tree: Mapping[str, Any], path: str, origin: _Origin) -> Any:
    hints = get_type_hints(view)
    names = [field.name for field in fields(view)]
    for name, value in tree.items():
        check_param(name in names, f"unknown key {path}{name} ({value!r})")
    for name in names:
        check_param(name in tree, origin.complaint(f"{path}{name}"))
    return view(**{name: _convert(tree[name], hints[name], f"{path}{name}", origin) for name in names})


def _convert(value: Any, hint: Any, key: str, origin: _Origin) -> Any:
    """One value as its declared type; 1000.0 counts as a whole number, true and false never do."""
    if is_dataclass(hint):
        check_param(isinstance(value, Mapping), f"{key} must be a section with keys, got {value!r}")
        return _build(cast(type[Any], hint), value, f"{key}.", origin)
    if get_origin(hint) is UnionType:  # a kind, or empty
        return None if value is None else _convert(value, get_args(hint)[0], key, origin)
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        check_param(value in choices, f"{key} must be {' or '.join(map(str, choices))}, got {value!r}")
        return value
    if get_origin(hint) is list:
        check_param(isinstance(value, list), f"{key} must be a list, got {value!r}")
        return [_convert(item, get_args(hint)[0], f"{key}[{at}]", origin) for at, item in enumerate(value)]
    if get_origin(hint) is dict:
        check_param(isinstance(value, Mapping), f"{key} must be a section with keys, got {value!r}")
        return {name: _convert(item, get_args(hint)[1], f"{key}.{name}", origin) for name, item in value.items()}
    return _scalar(value, hint, key)


def _scalar(value: Any, hint: type[Any], key: str) -> Any:
    if hint in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
        check_param(math.isfinite(value), f"{key} must be a finite number, got {value!r}")
        if hint is float or value == int(value):
            return hint(value)
    if type(value) is hint:
        return value
    raise ParamsError(f"params.yaml: {key} must be {KINDS[hint]}, got {value!r}")
