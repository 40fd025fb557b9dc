"""Which forward pass a model gets: the packed one where it is known to compute the same, else Transformers' own."""

from typing import Literal, Protocol

from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import Tensor, nn
from transformers import BertForSequenceClassification, PreTrainedModel

from stages.engine.models.record import Engine, Precision
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.operators import public_operators
from stages.engine.packed.packed_bert import PackedBert
from stages.engine.packed.packing import PackedBatch
from stages.engine.packed.projection import ADAPTER
from stages.engine.plain import PlainForward
from stages.engine.precision import dtype_of
from stages.foundation.errors import StudyError
from stages.foundation.log import say

ENCODER = "bert.encoder.layer."  # where the packed pass computes the linear layers itself


class Forward(Protocol):
    """A forward pass over packed batches of B texts."""

    def logits(self, batch: PackedBatch, masks: DropoutMasks | None) -> Tensor:
        """(B, C) float32 logits; masks turn dropout on."""

    def merged(self) -> "Forward":
        """The same pass for prediction, with the weights as they are now."""

    def mean_hidden(self, batch: PackedBatch) -> Tensor:
        """(B, W) float32 mean hidden state of each text, dropout off."""


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
    if type(model) is not BertForSequenceClassification:
        return f"models of type {model.config.model_type}"
    if model.config.hidden_act != "gelu":
        return f"the activation {model.config.hidden_act}"
    if model.config.is_decoder:
        return "decoders"
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper) and (what := _unknown_adapter(name, module)):
            return f"{what} on {name}"
    adapters = [module for module in model.modules() if isinstance(module, LoraLinear)]
    if len(ranks := {layer.r[ADAPTER] for layer in adapters}) > 1:
        return f"adapters of different ranks, {' and '.join(map(str, sorted(ranks)))}"
    linear_weights = [weight for name, weight in model.named_parameters() if _is_linear_of_the_encoder(name)]
    if adapters and any(weight.requires_grad for weight in linear_weights):
        return "weights or biases that are trained beside an adapter"
    return None


def _is_linear_of_the_encoder(parameter: str) -> bool:
    return parameter.startswith(ENCODER) and ".lora_" not in parameter and "LayerNorm" not in parameter


def _unknown_adapter(name: str, module: BaseTunerLayer | AuxiliaryTrainingWrapper) -> str | None:
    """What PEFT computes here that the packed pass does not; None if it does.

    In the encoder it computes one plain LoRA on a linear layer (`Projection`), in its own way. The pooler and the head
    it calls as modules, so that PEFT computes them.
    """
    if name.startswith(("bert.pooler", "classifier")):
        return None
    if not name.startswith(ENCODER) or type(module) is not LoraLinear:
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


def prepare_forward(model: PreTrainedModel, engine: str, precision: Precision) -> Forward:
    """The forward pass of an engine over the weights of Transformers' model, PEFT's layers inside.

    Says so where the packed one has to take public operators for faster private ones.
    """
    if engine == "packed":
        for slower in public_operators(model.device, dtype_of(precision)):
            say(f"engine packed, with PyTorch's public operators, which are slower; {slower}")
        return PackedBert(model, dtype_of(precision))
    return PlainForward(model, precision)
