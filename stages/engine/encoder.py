"""A base model in memory: Transformers' classifier on top of it, and its tokenizer."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    logging,
)

from stages.engine.base_model import BaseModel, find_base_model
from stages.engine.params import BaseModelParams
from stages.engine.record import BaseRecord, Record
from stages.foundation.errors import StudyError

POOLER = "pooler"  # the one part of an encoder that pretraining often leaves out


def load_encoder(base: BaseModel, label_names: tuple[str, ...]) -> tuple[PreTrainedModel, frozenset[str]]:
    """The base model with a fresh classification head, and the modules whose weights are not in its files.

    Raises:
        StudyError: If it cannot be loaded, or its weights lack more than a pooler and the head.
    """
    model, missing_keys = load_model(base.folder, base.name, label_names)
    fresh = frozenset(_module_of(key, model.base_model_prefix) for key in missing_keys)
    if lacking := sorted(fresh & {name for name, _ in model.base_model.named_children()} - {POOLER}):
        raise StudyError(f"model {base.name}: its weights lack {', '.join(lacking)}; they would be random")
    return model, fresh


def load_model(folder: Path, name: str, label_names: tuple[str, ...]) -> tuple[PreTrainedModel, set[str]]:
    """Transformers' classifier in float32, and the keys that the weight files lack; no pickle, no remote code.

    Raises:
        StudyError: If it cannot be loaded.
    """
    refuse_chance()
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
        )
    except RuntimeError as error:
        raise StudyError(f"model {name}: its weights do not fit its config.json, they have other sizes") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StrictDataclassError) as error:
        raise StudyError(f"model {name}: cannot be loaded as a text classifier: {error}") from error
    return model, info["missing_keys"]


def load_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder.

    Raises:
        StudyError: If it cannot be loaded or knows no padding.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"model {name}: its tokenizer cannot be loaded: {error}") from error
    if tokenizer.pad_token_id is None:
        raise StudyError(f"model {name}: its tokenizer has no padding token, which batches need")
    return tokenizer


def require_room(base: BaseModel, encoder: PreTrainedModel, max_tokens: int) -> None:
    """Refuse what would fail at the first long text.

    Raises:
        StudyError: If the model reads fewer tokens than that.
    """
    positions = getattr(encoder.config, "max_position_embeddings", max_tokens)
    table = getattr(getattr(encoder.base_model, "embeddings", None), "position_embeddings", None)
    if (padding := getattr(table, "padding_idx", None)) is not None:  # RoBERTa counts from the one behind it
        positions -= padding + 1
    if max_tokens > positions:
        raise StudyError(f"train.max_tokens is {max_tokens}, but model {base.name} reads at most {positions} tokens")


def record_base(base: BaseModel) -> BaseRecord:
    """What `find_again` needs."""
    return BaseRecord(
        name=base.name,
        source=base.source,
        location=base.location,
        pin=base.pin,
        weights_sha256=base.weights_sha256,
    )


def find_again(record: Record, trained: Path) -> BaseModel:
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


def refuse_chance() -> None:
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


def _module_of(key: str, prefix: str) -> str:
    """`classifier` of `classifier.weight`, `pooler` of `bert.pooler.dense.weight`."""
    return key.removeprefix(f"{prefix}.").split(".")[0]
