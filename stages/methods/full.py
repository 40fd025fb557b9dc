"""Full fine-tuning: every parameter of the base model is trained, and a head."""

from dataclasses import dataclass
from pathlib import Path

from stages.engine.params import Device, check_learning_rate
from stages.methods.method import (
    FINE_TUNING_HEAD,
    GRADIENT_DESCENT,
    ONE_PROCESS,
    SEED_PROTOCOL,
    Classifier,
    Look,
    Method,
    MethodView,
    Words,
)

NAME = "full"
VERSION = 1  # of its numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class FullParams:
    """Every parameter is trained."""

    learning_rate: float  # at the first step; falls linearly to 0

    def __post_init__(self) -> None:
        check_learning_rate(NAME, self.learning_rate)


def _build(params: MethodView, label_names: tuple[str, ...]) -> Classifier:
    from stages.engine.classifier import build_classifier
    from stages.engine.models.encoder import choose_setup

    return build_classifier(
        choose_setup(params.model, params.train),
        params.train,
        method=NAME,
        method_version=VERSION,
        adapter=None,
        label_names=label_names,
        seed=params.seed,
    )


def _load(folder: Path, device: Device) -> Classifier:
    from stages.engine.classifier import load_whole_classifier
    from stages.engine.device import choose_device

    return load_whole_classifier(folder, choose_device(device)[0])


METHOD = Method(
    name=NAME,
    version=VERSION,
    params=FullParams,
    reads=GRADIENT_DESCENT,
    computation=None,
    implied={**SEED_PROTOCOL, **ONE_PROCESS, **FINE_TUNING_HEAD},
    tuned="learning_rate",
    by_steps=True,
    look=Look(color="#c2570c", marker="s", dash=(5, 1.5)),
    words=Words(
        title="every parameter, and a head",
        classifier="{model} with all parameters trained",
        curves="Training values are means over the epoch, with dropout on and while the weights move; validation "
        "values are taken after it.",
        own_rows=lambda _: [],
    ),
    build=_build,
    load=_load,
)
