"""A base model in memory: Transformers' classifier on top of it, and its tokenizer."""

import errno
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    logging,
)

from stages.engine.device import choose_device
from stages.engine.forward import choose_engine
from stages.engine.lengths import TextLengths
from stages.engine.models.base_model import BaseModel, find_base_model
from stages.engine.models.record import BaseRecord, Precision, Record
from stages.engine.params import BaseModelParams, TrainParams
from stages.engine.pooling import POOLER
from stages.engine.precision import choose_precision
from stages.engine.tokens import TokenRows, tokenize
from stages.foundation.errors import StudyError
from stages.foundation.log import say
from stages.foundation.split import Split


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What is trained, where, and in which precision."""

    base: BaseModel
    device: torch.device
    precision: Precision  # of the matrix products


def choose_setup(model: str, params: TrainParams) -> Setup:
    """What `model`, `train.device` and `train.precision` mean on this machine; says what was chosen, and why.

    Raises:
        StudyError: If the model or the device is not there.
    """
    base = find_base_model(model, params.base_models)
    device, device_reason = choose_device(params.device)
    precision, precision_reason = choose_precision(params.precision, device)
    say(f"device {device.type}: {device_reason}; precision {precision}: {precision_reason}")
    return Setup(base=base, device=device, precision=precision)


@dataclass(frozen=True, kw_only=True, slots=True)
class FreshEncoder:
    """A base model in memory, with a fresh head, as every training on one begins."""

    model: PreTrainedModel  # Transformers' classifier
    fresh: frozenset[str]  # modules that begin anew: the head, and a pooler that is not in the base model's files
    tokenizer: PreTrainedTokenizerBase


def fresh_encoder(base: BaseModel, label_names: tuple[str, ...], *, max_tokens: int, seed: int) -> FreshEncoder:
    """Load a base model and its tokenizer; the same seed gives the same head, and the generator goes on from there.

    Raises:
        StudyError: If they cannot be loaded, or the model reads fewer tokens than that.
    """
    torch.manual_seed(seed)
    model, fresh = load_encoder(base, label_names)
    check_max_tokens(base, model, max_tokens)
    return FreshEncoder(model=model, fresh=fresh, tokenizer=load_tokenizer(base.folder, base.name))


def record_training(
    setup: Setup,
    params: TrainParams,
    model: PreTrainedModel,
    *,
    method: str,
    method_version: int,
    label_names: tuple[str, ...],
    trainable_parameters: int,
    total_parameters: int,
) -> Record:
    """What `load_encoder` and the forward pass need to make the same classifier again, and what was counted."""
    return Record(
        method=method,
        method_version=method_version,
        label_names=list(label_names),
        trainable_parameters=trainable_parameters,
        total_parameters=total_parameters,
        engine=choose_engine(params.engine, model),
        reading=params.reading,
        precision=setup.precision,
        max_tokens=params.max_tokens,
        base=record_base(setup.base),
    )


def load_encoder(base: BaseModel, label_names: tuple[str, ...]) -> tuple[PreTrainedModel, frozenset[str]]:
    """The base model with a fresh classification head, and the modules that begin anew.

    A head that the base model brings was trained on another question, and of a pooler a part tells nothing; either is
    left aside, and said so.

    Raises:
        StudyError: If it cannot be loaded, or its weights lack more than a pooler and the head.
    """
    model, missing, other_sizes = _load(base.folder, base.name, label_names)
    if encoder_keys := sorted(key for key in other_sizes if key.startswith(f"{model.base_model_prefix}.")):
        raise StudyError(
            f"model {base.name}: its weights do not fit its config.json: {encoder_keys[0]} has another size; take both "
            "files from one model"
        )
    lacking = {module_of(model, key) for key in missing if key.startswith(model.base_model_prefix)}
    if random := sorted(lacking - {POOLER}):
        raise StudyError(
            f"model {base.name}: its weights lack {', '.join(random)}, which would be random; fetch the model again or "
            "choose another"
        )
    head = {name: module for name, module in model.named_children() if module is not model.base_model}
    anew = head | {f"{model.base_model_prefix}.{name}": model.base_model.get_submodule(name) for name in lacking}
    brought = [
        name
        for name, module in anew.items()
        if any(f"{name}.{key}" not in missing - other_sizes for key, _ in module.named_parameters())
    ]
    if brought:
        say(f"model {base.name} brings {_told(brought, head)}: left aside, a fresh one is trained")
        _begin_anew(model, [anew[name] for name in brought])
    heads = {name for name, module in head.items() if any(True for _ in module.parameters())}
    return model, frozenset(heads | lacking)


def _told(brought: Sequence[str], head: Collection[str]) -> str:
    own = [name for name in brought if name in head]
    parts = [f"a head of its own ({', '.join(own)})"] if own else []
    return " and ".join(parts + [f"a part of {name} alone" for name in brought if name not in head])


def _begin_anew(model: PreTrainedModel, modules: list[nn.Module]) -> None:
    """Draw weights as for a model that is made from its configuration."""
    for module in modules:
        for weight in module.parameters():
            weight._is_hf_initialized = False  # type: ignore[attr-defined]  # what Transformers would not draw again
        module.apply(model._init_weights)
    model._init_weights(model)  # some classifiers draw their last layer in a way of its own


def load_model(folder: Path, name: str, label_names: tuple[str, ...]) -> PreTrainedModel:
    """Transformers' classifier in float32 with all weights from the folder; no pickle, no remote code.

    Raises:
        StudyError: If it cannot be loaded.
    """
    model, missing, other_sizes = _load(folder, name, label_names)
    if lacking := sorted(missing | other_sizes):
        raise StudyError(f"model {name}: its weights lack {lacking[0]}, or have it in another size; train again")
    return model


def _load(folder: Path, name: str, label_names: tuple[str, ...]) -> tuple[PreTrainedModel, set[str], set[str]]:
    """The classifier, the keys that its files lack, and those that are there in another size; both are drawn anew."""
    require_determinism()
    logging.set_verbosity_error()  # "newly initialized" is for the caller to judge
    logging.disable_progress_bar()
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=len(label_names),
            id2label=dict(enumerate(label_names)),
            label2id={name: index for index, name in enumerate(label_names)},
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # for a head of other classes; the callers judge
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, StrictDataclassError) as error:
        raise StudyError(f"model {name}: cannot be loaded as a text classifier, choose another: {error}") from error
    return model, set(info["missing_keys"]), {key for key, *_ in info["mismatched_keys"]}


def load_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder.

    Raises:
        StudyError: If it cannot be loaded or knows no padding.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"model {name}: its tokenizer cannot be loaded, fetch it again: {error}") from error
    if tokenizer.pad_token_id is None:
        raise StudyError(f"model {name}: its tokenizer has no padding token, which batches need; choose another")
    return tokenizer


def check_max_tokens(base: BaseModel, encoder: PreTrainedModel, max_tokens: int) -> None:
    """Refuse what would fail at the first long text.

    Raises:
        StudyError: If the model reads fewer tokens than that.
    """
    positions = most_readable(encoder)
    if positions is not None and max_tokens > positions:
        raise StudyError(f"train.max_tokens is {max_tokens}, but model {base.name} reads at most {positions} tokens")


def most_readable(encoder: PreTrainedModel) -> int | None:
    """Tokens of the longest text that a classifier can read; None: it has no limit, which XLNet's calls -1."""
    positions: int | None = getattr(encoder.config, "max_position_embeddings", None)
    if positions is None or positions < 1:
        return None
    table = getattr(getattr(encoder.base_model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return positions if padding is None else positions - padding - 1  # RoBERTa counts from the one behind it


def tells_segments(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether Transformers tells this classifier which of two texts a token is of, beside the tokens between them."""
    told = "token_type_ids" in tokenizer.model_input_names
    taken = "token_type_ids" in signature(type(encoder).forward).parameters
    return told and taken and getattr(encoder.config, "type_vocab_size", 2) > 1  # RoBERTa has a table of one


def tokens_of(split: Split, encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> TokenRows:
    """The texts or pairs of a split as this classifier reads them.

    Raises:
        StudyError: If a pair could keep nothing but special tokens.
    """
    with_types = tells_segments(encoder, tokenizer)
    return tokenize(tokenizer, split.sentences, max_tokens, split.second, with_types=with_types)


def lengths_of(texts: TokenRows, encoder: PreTrainedModel, max_tokens: int) -> TextLengths:
    """How long these texts were before they were cut."""
    lengths = texts.lengths if texts.uncut is None else texts.uncut
    return TextLengths.of(lengths, most_read=max_tokens, most_readable=most_readable(encoder))


def record_base(base: BaseModel) -> BaseRecord:
    """What `reload_base` needs."""
    return BaseRecord(
        name=base.name,
        source=base.source,
        location=base.location,
        pin=base.pin,
        weights_sha256=base.weights_sha256,
    )


def reload_base(record: Record, trained: Path) -> BaseModel:
    """The base model that the classifier in the folder `trained` was trained on.

    Raises:
        StudyError: If it is not there, or its weights are not those of the training.
    """
    if record.base is None:
        raise StudyError(f"{trained} names no base model; train again")
    source = BaseModelParams(source=record.base.source, location=record.base.location, pin=record.base.pin)
    base = find_base_model(record.base.name, {record.base.name: source})
    if base.weights_sha256 != record.base.weights_sha256:
        raise StudyError(f"the weights of {base.name} are not those that {trained} was trained on; train again")
    return base


def require_determinism() -> None:
    """Same inputs, same bits: an operation that cannot promise it raises an error."""
    torch.use_deterministic_algorithms(mode=True)
    # PyTorch would also fill every new tensor with NaN, which costs 6 % here and hides no fault of ours.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextmanager
def full_disk_as_os_error() -> Iterator[None]:
    """Say a full disk as Python does: the libraries in Rust have each a type and words of their own for it."""
    try:
        yield
    except Exception as error:
        if "os error 28" not in str(error):
            raise
        raise OSError(errno.ENOSPC, "No space left on device") from error


def module_of(model: PreTrainedModel, name: str) -> str:
    """`classifier` of `classifier.weight`, `pooler` of `bert.pooler.dense.weight`."""
    return name.removeprefix(f"{model.base_model_prefix}.").split(".")[0]
