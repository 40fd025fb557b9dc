"""Which forward pass a model gets: the packed one where it is known to compute the same, else Transformers' own."""

from typing import Literal, Protocol

from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor
from transformers import BertForSequenceClassification, PreTrainedModel

from stages.engine.dropout import DropoutMasks
from stages.engine.packed_bert import PackedBert
from stages.engine.packing import PackedBatch
from stages.engine.plain import PlainForward
from stages.engine.precision import dtype_of
from stages.engine.record import Engine, Precision
from stages.foundation.errors import StudyError
from stages.foundation.log import say


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
        if isinstance(module, BaseTunerLayer) and not _is_known_adapter(name, module):
            return f"an adapter on {name}"
    if any(weight.requires_grad for name, weight in model.named_parameters() if name.endswith("base_layer.bias")):
        return "biases that are trained beside an adapter"
    return None


def _is_known_adapter(name: str, module: BaseTunerLayer) -> bool:
    """Plain LoRA on a linear layer of the encoder or the pooler."""
    inside = name.startswith(("bert.encoder.layer.", "bert.pooler.", "classifier"))
    return inside and (isinstance(module, LoraLinear) or not hasattr(module, "lora_A"))


def prepare_forward(model: PreTrainedModel, engine: str, precision: Precision) -> Forward:
    """The forward pass of an engine over the weights of Transformers' model, PEFT's layers inside."""
    if engine == "packed":
        return PackedBert(model, dtype_of(precision))
    return PlainForward(model, precision)
