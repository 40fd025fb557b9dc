"""From the last hidden states of a text to its logits."""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedModel

from stages.engine.architectures import architecture_of
from stages.engine.architectures.architecture import HeadParts
from stages.engine.params import Reading
from stages.foundation.errors import StudyError

POOLER = "pooler"  # the one part of a base model that the head alone reads, and that pretraining often leaves out


def logits_of_states(
    head: HeadParts, states: Tensor, reading: Reading, drop: Callable[[Tensor, float], Tensor]
) -> Tensor:
    """(B, C) logits of (B, W) states; `drop` drops values with a probability, in training."""
    if reading.pooler == "own":
        states = head.pooler(drop(states, head.state_dropout))
    return head.output(drop(states, head.pooled_dropout))


def is_of_head(model: PreTrainedModel, name: str) -> bool:
    """Whether a module or parameter of this full name lies behind the encoder's layers."""
    prefix = model.base_model_prefix
    return not name.startswith(f"{prefix}.") or name.startswith(f"{prefix}.{POOLER}")


def head_of(model: PreTrainedModel) -> HeadParts:
    """The parts of a classifier's head.

    Raises:
        StudyError: If its architecture is not described.
    """
    if (architecture := architecture_of(model)) is None:
        raise StudyError(
            f"models of type {model.config.model_type} are known by Transformers' own classifier alone: "
            "it takes train.pooling: first and train.pooler: own, and the methods lora and full"
        )
    return architecture.head(model)


def configure_pooling(model: PreTrainedModel, reading: Reading) -> str | None:
    """Have Transformers' own classifier pool as `reading` says, where its configuration can.

    What the configuration said before, where that was something else; None where it was not.
    """
    architecture = architecture_of(model)
    if architecture is None or not architecture.poolings:
        return None
    before, now = str(model.config.classifier_pooling), architecture.poolings[reading.pooling]
    model.config.classifier_pooling = now
    return None if before == now else before


def reads_as_transformers(model: PreTrainedModel, reading: Reading) -> bool:
    """Whether Transformers' own classifier, as `configure_pooling` left it, computes the same logits."""
    architecture = architecture_of(model)
    poolings = {"first"} if architecture is None else {"first", *architecture.poolings}
    return reading.pooler == "own" and reading.pooling in poolings


def freeze_unread(model: PreTrainedModel, reading: Reading) -> None:
    """Train nothing of the head that its logits do not hang on: a dense layer that is passed by.

    Raises:
        StudyError: If the model can be read in Transformers' own way alone, and another is asked for.
    """
    if reading.is_transformers:
        return
    head = head_of(model)
    weights = [weight for name, weight in model.named_parameters() if is_of_head(model, name) and weight.requires_grad]
    with torch.enable_grad():
        states = torch.zeros(1, model.config.hidden_size, device=model.device)
        logits = logits_of_states(head, states, reading, lambda values, _: values)
        gradients = torch.autograd.grad(logits.sum(), weights, allow_unused=True)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.requires_grad = gradient is not None
