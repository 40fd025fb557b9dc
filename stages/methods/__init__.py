"""The methods that `method` in params.yaml can name. Each is one file of this room, and is found there.

A new one needs its file, its section in params.yaml and dvc.yaml, and a test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Literal, TypeVar

from stages.engine.models.record import read_record
from stages.engine.params import Device, TrainParams
from stages.foundation import versions
from stages.foundation.errors import StudyError, check_param
from stages.methods.method import Classifier, Method, MethodView

DECLARATION = "METHOD"  # what the file of a method defines

View = TypeVar("View", bound=MethodView)


def _find() -> dict[str, Method]:
    names = [found.name for found in iter_modules(__path__) if not found.name.startswith("_")]
    modules = [import_module(f"{__name__}.{name}") for name in names]
    methods = [getattr(module, DECLARATION) for module in modules if hasattr(module, DECLARATION)]
    return {method.name: method for method in methods}


METHODS: Mapping[str, Method] = _find()


# Every section is read and checked whichever method is asked for: a typo should not wait for its turn.
TrainSection = make_dataclass(
    "TrainSection",
    [(method.name, method.params) for method in METHODS.values()],
    bases=(TrainParams,),
    namespace={"__doc__": "The section `train`.", "__module__": __name__},
    frozen=True,
    kw_only=True,
    slots=True,
)


def _check_conflict(view: MethodView) -> None:
    MethodView.__post_init__(view)
    conflict = METHODS[view.method].conflict(view.train)
    check_param(conflict is None, conflict or "")


def with_methods(view: type[View]) -> type[View]:
    """Complete a view: `method` is one of METHODS, and `train` has a section for each of them."""
    names = Literal[tuple(METHODS)]  # type: ignore[valid-type]
    return make_dataclass(
        view.__name__,
        [("method", names), ("train", TrainSection)],
        bases=(view,),
        namespace={"__doc__": view.__doc__, "__module__": view.__module__, "__post_init__": _check_conflict},
        frozen=True,
        kw_only=True,
        slots=True,
    )


@with_methods
@dataclass(frozen=True, kw_only=True, slots=True)
class TrainView(MethodView):
    """All that the stage train reads."""


def build(params: MethodView, label_names: tuple[str, ...]) -> Classifier:
    """A classifier that has learned nothing yet; says what was chosen for it, and why.

    Raises:
        StudyError: If params.yaml asks for a model or a device that is not there, or that do not fit.
    """
    return METHODS[params.method].build(params, label_names)


def processes_of(params: MethodView) -> int:
    """How many processes train: a method that is not trained by steps reads no such param, and is alone."""
    return params.train.processes if METHODS[params.method].by_steps else 1


def load(folder: Path, device: Device) -> Classifier:
    """The classifier that was saved in a folder, whichever method it is of.

    Raises:
        StudyError: If its method, its base model or the device is not there, or the base model is another one than in
            training.
    """
    name = read_record(folder).method
    if name not in METHODS:
        raise StudyError(
            f"{folder} holds a model of the method {name}, which is none of {', '.join(METHODS)}; train again"
        )
    return METHODS[name].load(folder, device)


def training_versions(method: str) -> dict[str, int]:
    """The numerical versions of what trains a method, under the names that its metrics bear."""
    found = METHODS[method]
    shared = {"training_version": versions.TRAINING} if found.by_steps else {}
    return {**shared, "method_version": found.version}
