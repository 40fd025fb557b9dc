"""params.yaml, read strictly: every choice stands there once, and nothing else does."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, cast

from stages.foundation import paths
from stages.foundation.errors import ParamsError, StudyError, check_param
from stages.foundation.files import read_yaml
from stages.foundation.schema import UnquotedTextError, as_yaml, build

View = TypeVar("View")

STUDY = "study"  # the section of `python -m stages.study`, which looks across experiments and is no stage of one


def read_params(stage: str, view: type[View]) -> View:
    """Read what a stage declares in dvc.yaml, as a typed object of the same shape as the file.

    Only declared keys can be read: DVC would not notice a change of any other.

    Args:
        stage: Name of the stage in dvc.yaml.
        view: Frozen dataclass of the shape that `schema` describes.

    Raises:
        ParamsError: For a key that is unknown, missing, undeclared or ill-typed.
    """
    tree = read_yaml(paths.PARAMS)
    declared = declared_keys()
    for key, value in _leaves(tree):
        known = any(_covers(prefix, key) for keys in declared.values() for prefix in keys)
        check_param(
            known, f"unknown key {key} ({value!r}): no stage in dvc.yaml declares it; {_instead(key, declared)}"
        )
    visible = _keep(tree, declared[stage])
    there = {key for key, _ in _branches(tree)}

    def missing(key: str) -> str:
        undeclared = f"stage {stage} reads {key}, which dvc.yaml does not declare for it"
        return undeclared if key in there else f"missing key {key}; `git diff HEAD -- {paths.PARAMS}` shows what it was"

    try:
        return cast(View, build(view, visible, paths.PARAMS, missing=missing))
    except UnquotedTextError as fault:
        raise ParamsError(f"{fault}{_quoted_for_dvc(fault)}") from None
    except StudyError as fault:
        raise ParamsError(str(fault)) from None


def _instead(key: str, declared: Mapping[str, list[str]]) -> str:
    """What may have been meant by a key that nobody reads."""
    known = {prefix for keys in declared.values() for prefix in keys}
    alike = get_close_matches(key, sorted(known), n=1)
    return f"is {alike[0]} meant?" if alike else "remove it"


def _quoted_for_dvc(fault: UnquotedTextError) -> str:
    """How `dvc exp run` is given text, in marks of its own within the shell's; it names no item of a list."""
    if "[" in fault.key:
        return ""
    text = "..." if isinstance(fault.value, float) else as_yaml(fault.value)  # 1e3 came as 1000.0
    return f" (to `dvc exp run`: -S \"{fault.key}='{text}'\")"


def declared_keys() -> dict[str, list[str]]:
    """The keys of params.yaml that each stage declares in dvc.yaml; the study, which is no stage, reads its section."""
    stages = read_yaml(paths.PIPELINE)["stages"]
    return {name: list(stage.get("params", [])) for name, stage in stages.items()} | {STUDY: [STUDY]}


def value_at(tree: object, key: str) -> Any:
    """The value at a dotted key, such as `train.lora.rank`; None where there is none."""
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


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
