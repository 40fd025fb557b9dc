"""Which layers a LoRA adapts: by their role, which means the same in every architecture, or by their names.

Some architectures fuse query, key and value into one layer. LoRAs of rank r on n of the three are one of rank n r on
the fused layer whose B has n blocks, each r wide, and zeros elsewhere that are never trained: PEFT saves and loads it
as any other. In training they share one dropout mask on the layer's input, since they are one LoRA; on separate layers
each draws its own. The fused layer by its own name, or by `all-linear`, gets one LoRA of rank r, as it would from PEFT.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from peft import LoraConfig
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from transformers import PreTrainedModel

from stages.engine.architectures import architecture_of
from stages.engine.architectures.architecture import ATTENTION_ROLES, ROLES
from stages.engine.packed.projection import ADAPTER
from stages.foundation.errors import StudyError

ALL_LINEAR = "all-linear"  # every linear layer of the encoder, none of the head

Block = tuple[slice, slice]  # rows and columns of a matrix


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """What PEFT is to adapt."""

    names: tuple[str, ...]  # full names of linear layers, or a suffix that means the same layers
    parts: Mapping[str, tuple[int, ...]]  # of a fused layer: which of query, key, value (0, 1, 2), where roles say so


def find_targets(model: PreTrainedModel, wanted: Sequence[str], *, key: str) -> Targets:
    """The layers that roles, names or `all-linear` mean in this model.

    Args:
        model: Transformers' classifier, no adapter in it.
        wanted: Roles, names or `all-linear`.
        key: Of params.yaml, for messages.

    Raises:
        StudyError: If there is none of that role or name; it names those that there are.
    """
    linear = _encoder_layers(model)
    roles = _by_role(model, {id(module): name for name, module in linear.items()})
    names: dict[str, None] = {}  # a set that keeps its order
    parts: dict[str, set[int]] = {}
    whole: set[str] = set()  # asked for by name
    for name in wanted:
        named = _named(model, name)
        found = list(linear) if name == ALL_LINEAR else roles.get(name, named)
        if not any(full.startswith(f"{model.base_model_prefix}.") for full in found):
            raise StudyError(f"{key}: there are no layers named {name}; {_known(linear, roles)}")
        if name in roles and name in ATTENTION_ROLES:
            for full in found:
                parts.setdefault(full, set()).add(ATTENTION_ROLES.index(name))
        else:
            whole.update(found)
        names.update(dict.fromkeys([name] if found == named else found))
    fused = set(roles.get("query", ())) & set(roles.get("key", ()))
    blocks = {name: tuple(sorted(places)) for name, places in parts.items() if name in fused - whole}
    return Targets(names=tuple(names), parts=blocks)


def widen(adapter: LoraConfig, targets: Targets) -> None:
    """Have PEFT make room for a block of each part of the fused layers.

    Raises:
        StudyError: If the adapter is of a kind that has no blocks.
    """
    if adapter.use_dora and any(len(places) < len(ATTENTION_ROLES) for places in targets.parts.values()):
        raise StudyError(
            "DoRA scales all outputs of a layer; this model has query, key and value in one: adapt all three"
        )
    blocks = {re.escape(name): len(places) for name, places in targets.parts.items()}  # PEFT reads a pattern
    adapter.rank_pattern = {name: adapter.r * count for name, count in blocks.items()}
    # alpha / rank stays what it is; rank-stabilised LoRA divides by the root
    power = 0.5 if adapter.use_rslora else 1
    adapter.alpha_pattern = {name: adapter.lora_alpha * count**power for name, count in blocks.items()}


def keep_blocks(model: PreTrainedModel, targets: Targets) -> int:
    """Train nothing of the fused layers' B but its blocks; how many numbers stay 0 in all."""
    fixed = 0
    for name, places in targets.parts.items():
        weight = cast(nn.Linear, cast(LoraLinear, model.get_submodule(name)).lora_B[ADAPTER]).weight
        width, rank = len(weight) // 3, weight.shape[1] // len(places)
        blocks = tuple(
            (slice(place * width, (place + 1) * width), slice(block * rank, (block + 1) * rank))
            for block, place in enumerate(places)
        )
        weight.register_hook(partial(_within, blocks))  # B is (3 W, blocks r), and 0 at first
        fixed += weight.numel() - len(blocks) * width * rank
    return fixed


def _within(blocks: tuple[Block, ...], gradient: Tensor) -> Tensor:
    kept = torch.zeros_like(gradient)  # slices alone: a mask would have to follow the model to its device
    for block in blocks:
        kept[block] = gradient[block]
    return kept


def _encoder_layers(model: PreTrainedModel) -> dict[str, nn.Module]:
    """Every linear layer of the base model by its full name, but those of a pooler."""
    base, prefix = model.base_model, model.base_model_prefix
    return {
        f"{prefix}.{name}": module
        for name, module in base.named_modules()
        if isinstance(module, nn.Linear) and "pooler" not in name.split(".")
    }


def _by_role(model: PreTrainedModel, names: Mapping[int, str]) -> dict[str, list[str]]:
    architecture = architecture_of(model)
    layers = () if architecture is None else architecture.layers_of(model)
    return {role: [names[id(layer.by_role()[role])] for layer in layers] for role in ROLES} if layers else {}


def _named(model: PreTrainedModel, name: str) -> list[str]:
    """Full names of all that PEFT would adapt by this suffix, in the base model and behind it."""
    return [full for full, _ in model.named_modules() if f".{full}".endswith(f".{name}")]


def _known(linear: Mapping[str, nn.Module], roles: Mapping[str, list[str]]) -> str:
    kinds = dict.fromkeys(re.sub(r"^.*\.\d+\.", "", name) for name in linear)
    words = [f"by role {', '.join(roles)}, {ALL_LINEAR}" if roles else ALL_LINEAR, f"by name {', '.join(kinds)}"]
    return "there are " + "; ".join(words)
