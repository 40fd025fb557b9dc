"""What an architecture is: where a text classifier of Transformers keeps its layers, and how its pass differs.

One encoder reads the description (`stages.engine.packed.packed_encoder`). What is described are the live modules, with
PEFT's adapters in them, so that weights stay where Transformers and PEFT keep them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

Activation = Callable[[Tensor], Tensor]

ATTENTION_ROLES = ("query", "key", "value")
OTHER_ROLES = ("attention_output", "intermediate", "output")
ROLES = (*ATTENTION_ROLES, *OTHER_ROLES)  # of the linear layers in an encoder layer, in any architecture


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingParts:
    """How token ids become the first hidden states."""

    words: nn.Embedding
    positions: nn.Embedding | None  # None: attention alone knows of positions
    counts_from_padding: bool  # positions count from the one behind the padding id's, and skip padding ids
    types: nn.Embedding | None  # of segments; the tokens of single texts are of the first
    norm: nn.LayerNorm
    project: nn.Module | None  # to the width of the layers, where it is another one
    dropout: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """Rotary positions of queries and keys (Su et al. 2021, arXiv:2104.09864)."""

    frequencies: Tensor  # (D / 2,) float32, radians per position, of the D / 2 pairs (d, d + D / 2) of a head
    scaling: float  # of the rotated vectors


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerParts:
    """The linear layers and norms of one encoder layer."""

    attention_input: tuple[nn.Module, ...]  # query, key and value; or one layer that gives them side by side
    attention_output: nn.Module
    attention_norm: nn.Module | None  # None: the embeddings' norm stands for it
    intermediate: nn.Module
    output: nn.Module
    output_norm: nn.Module
    window: int | None = None  # tokens to each side that attention sees; None: all of the text
    rotation: Rotation | None = None

    def by_role(self) -> dict[str, nn.Module]:
        """The linear layer of each role; one that is fused has several."""
        queries = self.attention_input if len(self.attention_input) == 3 else self.attention_input * 3
        others = (self.attention_output, self.intermediate, self.output)
        return dict(zip(ROLES, (*queries, *others), strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class RelativeBias:
    """A bias on attention's scores by the distance of two tokens, shared by all layers."""

    table: nn.Embedding  # (buckets, H)
    bucket: Callable[[Tensor], Tensor]  # int64 bucket of int64 key position less query position


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderParts:
    """All of an encoder."""

    embeddings: EmbeddingParts
    layers: tuple[LayerParts, ...]
    num_heads: int  # H
    activation: Activation
    gated: bool  # the intermediate layer gives values and gates side by side, act(values) * gates
    norm_first: bool  # norms on what a block reads; else on its sum with the residual
    final_norm: nn.Module | None
    relative_bias: RelativeBias | None
    attention_dropout: float  # of attention's weights
    attention_output_dropout: float
    intermediate_dropout: float
    output_dropout: float


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadParts:
    """What Transformers' classifier puts between the state of a text and its logits."""

    state_dropout: float
    pooler: Callable[[Tensor], Tensor]  # (B, W) to (B, W): a dense layer, its activation, and a norm if there is one
    pooled_dropout: float
    output: Callable[[Tensor], Tensor]  # (B, W) to (B, C), linear


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """One file of this room each."""

    classifiers: tuple[type[PreTrainedModel], ...]  # the classes of Transformers that it describes, and no others
    head: Callable[[Any], HeadParts]
    encoder: Callable[[Any], EncoderParts] | None  # None: its attention is Transformers' own alone
    layers: Callable[[Any], tuple[LayerParts, ...]] | None = None  # where there is no `encoder`, for roles alone
    poolings: Mapping[str, str] = field(default_factory=dict)  # values of config.classifier_pooling, by train.pooling
    obstacle: Callable[[Any], str | None] = lambda _: None  # what this very model has that the description leaves out

    def layers_of(self, model: PreTrainedModel) -> tuple[LayerParts, ...]:
        """The encoder's layers of a model; empty where they are not described."""
        if self.encoder is not None:
            return self.encoder(model).layers
        return () if self.layers is None else self.layers(model)


def decoder_obstacle(model: Any) -> str | None:
    """BERT's layers can be made to look back only, or at another text."""
    return "decoders" if model.config.is_decoder or model.config.add_cross_attention else None


def two_layer_head(classifier: Any, activation: Activation, dropout: float) -> HeadParts:
    """The head of RoBERTa, ELECTRA and MPNet: a dense layer of its own before the logits, dropout before either."""
    return HeadParts(
        state_dropout=dropout,
        pooler=lambda states: activation(classifier.dense(states)),
        pooled_dropout=dropout,
        output=lambda pooled: classifier.out_proj(pooled),
    )


def dropout_of_head(config: Any) -> float:
    """What many configurations leave to the encoder's dropout."""
    probability: float | None = config.classifier_dropout
    return float(config.hidden_dropout_prob) if probability is None else probability
