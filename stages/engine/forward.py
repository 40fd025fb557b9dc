"""Which forward pass a model gets: the packed one where it is known to compute the same, else Transformers' own."""

from collections.abc import Iterator
from typing import Literal, Protocol

from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import Tensor, nn
from transformers import PreTrainedModel

from stages.engine.architectures import architecture_of
from stages.engine.models.record import Engine, Precision
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.operators import public_operators
from stages.engine.packed.packed_encoder import PackedEncoder
from stages.engine.packed.packing import PackedBatch
from stages.engine.packed.projection import ADAPTER
from stages.engine.params import Reading
from stages.engine.plain import PlainForward
from stages.engine.pooling import is_of_head
from stages.engine.precision import dtype_of
from stages.foundation.errors import StudyError
from stages.foundation.log import say


class Forward(Protocol):
    """A forward pass over packed batches of B texts."""

    def logits(self, batch: PackedBatch, masks: DropoutMasks | None) -> Tensor:
        """(B, C) float32 logits; masks turn dropout on."""

    def merged(self) -> "Forward":
        """The same pass for prediction, with the weights as they are now."""

    def states(self, batch: PackedBatch) -> Tensor:
        """(B, W) float32 state of each text that the head reads, dropout off."""


def choose_engine(wanted: Literal["auto", "packed", "plain"], model: PreTrainedModel) -> Engine:
    """What `train.engine` means for this model; says so where `auto` cannot take the packed one.

    Raises:
        StudyError: If the packed engine is asked for and does not know the model.
    """
    if wanted == "plain":
        return "plain"
    obstacle = unknown_to_packed(model)
    if obstacle is None:
        return "packed"
    if wanted == "packed":
        raise StudyError(f"train.engine: packed does not know {obstacle}; auto or plain takes Transformers' own pass")
    say(f"engine plain, several times slower: the packed one does not know {obstacle}")
    return "plain"


def unknown_to_packed(model: PreTrainedModel) -> str | None:
    """What keeps the packed engine from computing what Transformers and PEFT do; None if nothing does."""
    architecture = architecture_of(model)
    if architecture is None or architecture.encoder is None:
        return f"models of type {model.config.model_type}"
    if obstacle := architecture.obstacle(model):
        return obstacle
    layers = architecture.encoder(model).layers
    wanted = {id(module) for layer in layers for module in layer.by_role().values()}
    linear = {name: module for name, module in model.named_modules() if id(module) in wanted}
    for name, module in model.named_modules():
        if not isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper) or is_of_head(model, name):
            continue
        if what := _unknown_adapter(module) if name in linear else "an adapter":
            return f"{what} on {name}"
    for layer in layers:
        if len(ranks := {one.r[ADAPTER] for one in layer.attention_input if isinstance(one, LoraLinear)}) > 1:
            return f"adapters of different ranks, {' and '.join(map(str, sorted(ranks)))}, side by side"
    adapters = [layer for layer in linear.values() if isinstance(layer, LoraLinear)]
    if adapters and any(weight.requires_grad for layer in linear.values() for weight in _base_weights(layer)):
        return "weights or biases that are trained beside an adapter"
    return None


def _base_weights(layer: nn.Module) -> Iterator[nn.Parameter]:
    return (layer.base_layer if isinstance(layer, LoraLinear) else layer).parameters()


def _unknown_adapter(module: BaseTunerLayer | AuxiliaryTrainingWrapper) -> str | None:
    """What PEFT computes on a linear layer of the encoder that the packed pass does not; None if it does.

    It computes one plain LoRA (`Projection`), in its own way. Pooler and head it calls as modules, so that PEFT
    computes what it put there.
    """
    if type(module) is not LoraLinear:
        return "an adapter"
    if type(module.base_layer) is not nn.Linear or module.fan_in_fan_out:
        return "an adapter of no plain linear layer"
    if list(module.lora_A) != [ADAPTER] or module.active_adapters != [ADAPTER] or module.disable_adapters:
        return "several adapters, or one that is not in use,"
    if module.merged:
        return "an adapter that is merged into the weights"
    if variant := module.lora_variant.get(ADAPTER):
        return f"a variant of LoRA, {type(variant).__name__},"
    if any(layer[ADAPTER].bias is not None for layer in (module.lora_A, module.lora_B)):
        return "an adapter with a bias of its own"
    return None


def prepare_forward(model: PreTrainedModel, engine: str, precision: Precision, reading: Reading) -> Forward:
    """The forward pass of an engine over the weights of Transformers' model, PEFT's layers inside.

    Says so where the packed one has to take public operators for faster private ones.
    """
    if engine == "packed":
        for slower in public_operators(model.device, dtype_of(precision)):
            say(f"engine packed, with PyTorch's public operators, which are slower; {slower}")
        return PackedEncoder(model, dtype_of(precision), reading)
    return PlainForward(model, precision, reading)
