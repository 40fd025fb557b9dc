"""The head alone is trained, on what the frozen base model makes of each text."""

from dataclasses import dataclass
from pathlib import Path

from stages.engine.params import Device, check_learning_rate
from stages.methods.method import (
    GRADIENT_DESCENT,
    ONE_PROCESS,
    SEED_PROTOCOL,
    Classifier,
    Look,
    Method,
    MethodView,
    Words,
)

NAME = "head"
VERSION = 1  # of its numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadParams:
    """The head alone is trained, on what the frozen encoder makes of each text."""

    learning_rate: float  # at the first step; falls linearly to 0

    def __post_init__(self) -> None:
        check_learning_rate(NAME, self.learning_rate)


def _build(params: MethodView, label_names: tuple[str, ...]) -> Classifier:
    from stages.engine.head import build_head_classifier
    from stages.engine.models.encoder import choose_setup

    setup = choose_setup(params.model, params.train)
    return build_head_classifier(
        setup, params.train, method=NAME, method_version=VERSION, label_names=label_names, seed=params.seed
    )


def _load(folder: Path, device: Device) -> Classifier:
    from stages.engine.device import choose_device
    from stages.engine.head import load_head_classifier

    return load_head_classifier(folder, choose_device(device)[0])


METHOD = Method(
    name=NAME,
    version=VERSION,
    params=HeadParams,
    reads=GRADIENT_DESCENT,
    computation=None,
    implied={**SEED_PROTOCOL, **ONE_PROCESS, "train.pooling": "mean", "train.pooler": "none"},
    tuned="learning_rate",
    by_steps=True,
    look=Look(color="#158f78", marker="^", dash=(4, 1.5, 1, 1.5)),
    words=Words(
        title="the head alone, on a frozen model",
        classifier="a head on the frozen {model}",
        curves="Training values are means over the epoch, while the weights move; validation values are taken after "
        "it.",
        own_rows=lambda _: [],
    ),
    build=_build,
    load=_load,
)
