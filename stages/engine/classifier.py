"""A base model with an adapter and a classification head, built, saved and loaded again."""

import errno
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    logging,
)

from stages.engine.base_model import BaseModel, find_base_model
from stages.engine.params import BaseModelParams, LoraParams
from stages.engine.precision import Precision, matrix_products_in
from stages.engine.tokens import PaddedBatch
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_json

PEFT_HEADS = frozenset({"classifier", "score"})  # PEFT trains and saves these by itself
POOLER = "pooler"  # the one part of an encoder that pretraining often leaves out
RECORD = "classifier.json"  # beside the adapter: what is needed to build the same classifier again


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What a saved classifier was made from; plain values, the same on every machine."""

    base_model: str  # the name in params.yaml
    source: str  # package, hub or folder
    location: str
    pin: str  # SHA-256 of the weights or commit
    weights_sha256: str
    method: str
    precision: Precision  # used in training, and again in prediction
    max_tokens: int
    label_names: list[str]
    trainable_parameters: int  # adapter and head
    total_parameters: int  # base model, adapter, and the head twice: PEFT keeps the untrained one


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model that turns token ids into one logit per class."""

    model: PeftModel
    tokenizer: PreTrainedTokenizerBase
    record: Record

    def logits(self, batch: PaddedBatch) -> torch.Tensor:
        """(B, C) float32 logits of a batch."""
        with matrix_products_in(self.record.precision):
            output = self.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        logits: torch.Tensor = output.logits
        return logits.float()

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """Name and weights of all that training changes."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def save(self, folder: Path) -> None:
        """Write what `PeftModel.from_pretrained` and `load_classifier` read: no path, no date, no pickle."""
        with _full_disk_as_os_error():
            # No embedding is trained, so PEFT need not look the base model up on the Hub.
            self.model.save_pretrained(str(folder), save_embedding_layers=False)
            self.tokenizer.save_pretrained(folder)
        (folder / "README.md").unlink()  # PEFT's model card is a form that nobody has filled in
        _write_canonical(folder / "adapter_config.json")
        self.model.config.save_pretrained(folder)
        write_json(folder / RECORD, asdict(self.record))


def build_classifier(
    base: BaseModel,
    *,
    lora: LoraParams,
    label_names: tuple[str, ...],
    seed: int,
    precision: Precision,
    max_tokens: int,
) -> Classifier:
    """The base model with a fresh adapter and head; the same seed gives the same weights.

    The generator that initialises them goes on to drive dropout.

    Raises:
        StudyError: If the base model cannot be loaded, has no layer of the adapter's names or no room for so many
            tokens.
    """
    _refuse_chance()
    torch.manual_seed(seed)
    encoder, fresh = _load_encoder(base, label_names)
    _require_fitting(base, encoder, lora, max_tokens)
    with _known_warnings():
        model = get_peft_model(encoder, lora_config(lora, fresh))
    # A path would differ from machine to machine, and so would the hash of the model.
    model.peft_config["default"].base_model_name_or_path = base.location
    trainable, total = model.get_nb_trainable_parameters()
    record = Record(
        base_model=base.name,
        source=base.source,
        location=base.location,
        pin=base.pin,
        weights_sha256=base.weights_sha256,
        method="lora",
        precision=precision,
        max_tokens=max_tokens,
        label_names=list(label_names),
        trainable_parameters=trainable,
        total_parameters=total,
    )
    return Classifier(model, _load_tokenizer(base.folder, base.name), record)


def lora_config(lora: LoraParams, fresh: frozenset[str] = frozenset()) -> LoraConfig:
    """PEFT's configuration of the adapter.

    Args:
        lora: From params.yaml.
        fresh: Modules that the base model's weights lack; they start at random, so they are trained and saved.
    """
    return LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        bias=lora.bias,
        target_modules=lora.target_modules,
        modules_to_save=sorted(fresh - PEFT_HEADS) or None,
    )


def load_classifier(folder: Path) -> Classifier:
    """The classifier that `Classifier.save` wrote, on the base model it was trained on.

    Raises:
        StudyError: If the base model is not there, or its weights are not those of the training.
    """
    record = Record(**read_json(folder / RECORD))
    source = BaseModelParams(source=record.source, location=record.location, pin=record.pin)  # type: ignore[arg-type]
    base = find_base_model(record.base_model, {record.base_model: source})
    if base.weights_sha256 != record.weights_sha256:
        raise StudyError(f"the weights of {base.name} are not those that {folder} was trained on; train again")
    _refuse_chance()
    encoder, _ = _load_encoder(base, tuple(record.label_names))
    with _known_warnings():
        model = PeftModel.from_pretrained(encoder, str(folder))
    return Classifier(model, _load_tokenizer(folder, base.name), record)


@contextmanager
def _known_warnings() -> Iterator[None]:
    """Leave out what PEFT 0.21 does in an old way of Transformers 5: no user can mend it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        yield


def _refuse_chance() -> None:
    """Same inputs, same bits: an operation that cannot promise it raises an error."""
    torch.use_deterministic_algorithms(mode=True)
    # PyTorch would also fill every new tensor with NaN, which costs 6 % here and hides no fault of ours.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _load_encoder(base: BaseModel, label_names: tuple[str, ...]) -> tuple[PreTrainedModel, frozenset[str]]:
    """The base model with a classification head, and the modules whose weights are not in its files."""
    logging.set_verbosity_error()  # "newly initialized" is checked below instead
    logging.disable_progress_bar()
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            base.folder,
            num_labels=len(label_names),
            id2label=dict(enumerate(label_names)),
            label2id={name: index for index, name in enumerate(label_names)},
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except RuntimeError as error:
        raise StudyError(f"model {base.name}: its weights do not fit its config.json, they have other sizes") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StrictDataclassError) as error:
        raise StudyError(f"model {base.name}: cannot be loaded as a text classifier: {error}") from error
    fresh = frozenset(_module_of(key, model.base_model_prefix) for key in info["missing_keys"])
    if lacking := sorted(fresh & {name for name, _ in model.base_model.named_children()} - {POOLER}):
        raise StudyError(f"model {base.name}: its weights lack {', '.join(lacking)}; they would be random")
    return model, fresh


def _module_of(key: str, prefix: str) -> str:
    """`classifier` of `classifier.weight`, `pooler` of `bert.pooler.dense.weight`."""
    return key.removeprefix(f"{prefix}.").split(".")[0]


def _require_fitting(base: BaseModel, encoder: PreTrainedModel, lora: LoraParams, max_tokens: int) -> None:
    """Refuse what PEFT would do by half and what would fail at the first long text."""
    names = [name for name, _ in encoder.base_model.named_modules()]
    lacking = [target for target in lora.target_modules if not any(f".{name}".endswith(f".{target}") for name in names)]
    if lacking:
        raise StudyError(f"model {base.name} has no layers named {', '.join(lacking)} (train.lora.target_modules)")
    positions = getattr(encoder.config, "max_position_embeddings", max_tokens)
    if max_tokens > positions:
        raise StudyError(f"train.max_tokens is {max_tokens}, but model {base.name} reads at most {positions} tokens")


def _load_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(f"model {name}: its tokenizer cannot be loaded: {error}") from error
    if tokenizer.pad_token_id is None:
        raise StudyError(f"model {name}: its tokenizer has no padding token, which batches need")
    return tokenizer


@contextmanager
def _full_disk_as_os_error() -> Iterator[None]:
    """Say a full disk as Python does: the libraries in Rust have each a type and words of their own for it."""
    try:
        yield
    except Exception as error:
        if "os error 28" not in str(error):
            raise
        raise OSError(errno.ENOSPC, "No space left on device") from error


def _write_canonical(path: Path) -> None:
    """Sort what PEFT writes in the order of a set, which differs from run to run."""
    content = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, {key: sorted(value) if isinstance(value, list) else value for key, value in content.items()})
