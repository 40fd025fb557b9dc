"""LoRA: low-rank updates of a frozen base model, and a head (Hu et al. 2021, arXiv:2106.09685)."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stages.engine.params import Device, check_learning_rate
from stages.foundation.errors import check_param
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

if TYPE_CHECKING:
    from peft import LoraConfig

NAME = "lora"
VERSION = 1  # of its numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraParams:
    """Low-rank update W + (alpha / rank) BA, and the head."""

    learning_rate: float  # at the first step; falls linearly to 0
    rank: int  # inner dimension of BA
    alpha: int  # numerator of the scaling alpha / rank
    dropout: float  # probability of dropping an input of A, in [0, 1)
    bias: Literal["none", "all", "lora_only"]  # which biases are trained as well
    use_rslora: bool  # rank-stabilised: alpha / sqrt(rank) (Kalajdzievski 2023, arXiv:2312.03732)
    use_dora: bool  # magnitudes trained apart (Liu et al. 2024, arXiv:2402.09353)
    target_modules: list[str]  # roles, `all-linear`, or suffixes of the adapted linear layers' names

    def __post_init__(self) -> None:
        check_learning_rate(NAME, self.learning_rate)
        check_param(self.rank >= 1, f"train.lora.rank must be at least 1, got {self.rank}")
        check_param(self.alpha >= 1, f"train.lora.alpha must be at least 1, got {self.alpha}")
        check_param(0 <= self.dropout < 1, f"train.lora.dropout must be in [0, 1), got {self.dropout}")
        check_param(self.target_modules, "train.lora.target_modules must name at least one module")


def adapter_config(lora: LoraParams) -> "LoraConfig":
    """PEFT's configuration of the adapter."""
    from peft import LoraConfig, TaskType

    return LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        bias=lora.bias,
        use_rslora=lora.use_rslora,
        use_dora=lora.use_dora,
        target_modules=lora.target_modules,
    )


def _build(params: MethodView, label_names: tuple[str, ...]) -> Classifier:
    from stages.engine.classifier import build_classifier
    from stages.engine.models.encoder import choose_setup

    return build_classifier(
        choose_setup(params.model, params.train),
        params.train,
        method=NAME,
        method_version=VERSION,
        adapter=adapter_config(params.own),
        label_names=label_names,
        seed=params.seed,
    )


def _load(folder: Path, device: Device) -> Classifier:
    from stages.engine.classifier import load_adapted_classifier
    from stages.engine.device import choose_device

    return load_adapted_classifier(folder, choose_device(device)[0])


def _own_rows(lora: LoraParams) -> list[list[str]]:
    kind = f"{'DoRA, ' if lora.use_dora else ''}rank {lora.rank}, alpha {lora.alpha}, dropout {lora.dropout:g}"
    scale = ", scaled by alpha / √rank" if lora.use_rslora else ""
    biases = {"none": [], "all": [["trained biases", "all"]], "lora_only": [["trained biases", "of adapted layers"]]}
    return [
        ["adapter", kind + scale],
        ["adapted layers", ", ".join(lora.target_modules)],
        *biases[lora.bias],
    ]


def _conflict(train: Any) -> str | None:
    """What the packed engine never computes, told before any data are read; the rest hangs on the model."""
    if train.engine == "packed" and train.lora.use_dora:
        return "train.lora.use_dora: true is computed by train.engine: plain (or auto), not by packed"
    return None


METHOD = Method(
    name=NAME,
    version=VERSION,
    params=LoraParams,
    reads=GRADIENT_DESCENT,
    computation=None,
    implied={
        **SEED_PROTOCOL,
        **ONE_PROCESS,
        **FINE_TUNING_HEAD,
        "train.lora.use_rslora": False,
        "train.lora.use_dora": False,
    },
    tuned="learning_rate",
    by_steps=True,
    look=Look(color="#1f4e8c", marker="o", dash=()),
    words=Words(
        title="adapter and head on a frozen model",
        classifier="{model} with LoRA",
        curves="Training values are means over the epoch, with dropout on and while the weights move; validation "
        "values are taken after it.",
        own_rows=_own_rows,
    ),
    conflict=_conflict,
    build=_build,
    load=_load,
)
