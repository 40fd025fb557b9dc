"""The architectures that the engine knows by their layers. Each is one file of this room, and is found there.

A new one needs its file, a tiny model of it in `tests/tiny_models.py`, a golden record, and the few entries in tests
that `stages/README.md` lists under Contributing.
"""

from importlib import import_module
from pkgutil import iter_modules

from transformers import PreTrainedModel

from stages.engine.architectures.architecture import Architecture

DECLARATION = "ARCHITECTURE"  # what the file of an architecture defines


def _find() -> dict[type[PreTrainedModel], Architecture]:
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    found = [getattr(module, DECLARATION) for module in modules if hasattr(module, DECLARATION)]
    return {classifier: architecture for architecture in found for classifier in architecture.classifiers}


_BY_CLASSIFIER = _find()


def architecture_of(model: PreTrainedModel) -> Architecture | None:
    """Its description; None where there is none, as for a subclass, which may compute something else."""
    return _BY_CLASSIFIER.get(type(model))
