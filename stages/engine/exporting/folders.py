"""A trained classifier as a folder that plain Transformers or plain PEFT loads, and what these then compute.

What PEFT 0.21 and Transformers 5 do with a folder that holds an adapter: where a config.json lies beside it, the folder
is its own base model (`AutoModelForSequenceClassification`, `pipeline`), wherever it was moved to. PEFT's own
`AutoPeftModelForSequenceClassification` goes by `base_model_name_or_path` of adapter_config.json in any case, a Hub id
or a path that is relative to the working directory and never to the folder; what lies there must hold no adapter, or it
would be applied twice. So the base model lies in the folder for the first two and in `base` once more for the third.
"""

import copy
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import yaml
from huggingface_hub import metadata_load
from numpy.typing import NDArray
from peft import AutoPeftModelForSequenceClassification, PeftModel
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    logging,
    pipeline,
)

from stages.engine.classifier import EncoderClassifier, known_warnings, save_adapter
from stages.engine.forward import prepare_forward
from stages.engine.head import HeadClassifier
from stages.engine.models.encoder import full_disk_as_os_error, reload_base
from stages.engine.models.record import Record
from stages.engine.pooling import configure_pooling, reads_as_transformers
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_json
from stages.foundation.split import Split

BASE = "base"  # folder inside an exported adapter
ADAPTER_CONFIG = "adapter_config.json"
BATCH_ROWS = 32  # of a forward pass of the libraries, padded to its longest text

Exportable = EncoderClassifier | HeadClassifier
Logits = NDArray[np.float32]  # (N, C), in the order of the rows


def exportable(classifier: object) -> Exportable:
    """A classifier that stands on a base model.

    Raises:
        StudyError: If it is another.
    """
    if not isinstance(classifier, EncoderClassifier | HeadClassifier):
        raise StudyError("this method has no base model that plain Transformers knows: export method tfidf as files")
    return classifier


def in_fp32(classifier: Exportable) -> Exportable:
    """The same classifier on the same engine, its matrix products in fp32, as the exports compute."""
    record = replace(classifier.record, precision="fp32")
    if isinstance(classifier, EncoderClassifier):
        return replace(classifier, record=record)
    forward = prepare_forward(classifier.model, record.engine, record.precision, record.read_by_head)
    return replace(classifier, record=record, forward=forward)


def transformer_of(classifier: Exportable) -> PreTrainedModel:
    """Transformers' model, adapters inside."""
    return classifier.transformer if isinstance(classifier, EncoderClassifier) else classifier.model


def write_adapter(classifier: Exportable, folder: Path) -> None:
    """Write adapter, base model with the trained head, and tokenizer for plain PEFT.

    Raises:
        StudyError: If no adapter was trained, or Transformers' classifier does not read what its head reads.
    """
    model = classifier.model
    if not isinstance(model, PeftModel):
        raise StudyError(f"method {classifier.record.method} trains no adapter: export it as merged, or as onnx")
    _require_plain_reading(classifier)
    save_adapter(model, folder)
    with full_disk_as_os_error():
        base = copy.deepcopy(model).unload()  # the trained head comes with it
        _save_model(base, folder / BASE)
        save_tokenizer(classifier, folder)
    for file in sorted((folder / BASE).iterdir()):
        _again(file, folder / file.name)
    name_base(folder, folder / BASE)


def name_base(folder: Path, base: Path | str, revision: str | None = None) -> None:
    """Say in an exported adapter where PEFT finds its base model: a folder, by its absolute path, or a Hub id."""
    named = str(base.resolve()) if isinstance(base, Path) else base
    config = read_json(folder / ADAPTER_CONFIG)
    write_json(folder / ADAPTER_CONFIG, config | {"base_model_name_or_path": named, "revision": revision})


def write_merged(classifier: Exportable, folder: Path) -> None:
    """Write one model for plain Transformers, an adapter added to the weights that it adapts.

    Raises:
        StudyError: If Transformers' classifier does not read what the head reads.
    """
    _require_plain_reading(classifier)
    with full_disk_as_os_error():
        _save_model(merged(classifier), folder)
        save_tokenizer(classifier, folder)


def merged(classifier: Exportable) -> PreTrainedModel:
    """A copy of Transformers' model, adapters added to the weights that they adapt."""
    model = copy.deepcopy(classifier.model)
    plain = model.merge_and_unload() if isinstance(model, PeftModel) else model
    configure_pooling(plain, classifier.record.read_by_head)
    return cast(PreTrainedModel, plain.eval())


def inputs_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What the tokenizer tells of a text that the model takes; segments only where it has more than one."""
    taken = set(signature(model.forward).parameters)
    if getattr(model.config, "type_vocab_size", 2) < 2:
        taken.discard("token_type_ids")
    return [name for name in tokenizer.model_input_names if name in taken]


def adapter_logits(folder: Path, split: Split) -> dict[str, Logits]:
    """What an exported adapter computes by each of the usual ways to load it."""
    logging.set_verbosity_error()
    with known_warnings():
        model = AutoPeftModelForSequenceClassification.from_pretrained(str(folder))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    by_peft = {"AutoPeftModelForSequenceClassification": _model_logits(model, tokenizer, split)}
    return by_peft | merged_logits(folder, split)


def merged_logits(folder: Path, split: Split) -> dict[str, Logits]:
    """What plain Transformers computes by each of the usual ways to load a folder."""
    logging.set_verbosity_error()
    with known_warnings():
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        classify = pipeline("text-classification", str(folder))
    named = tuple(model.config.id2label[index] for index in range(model.config.num_labels))
    if named != split.label_names:
        raise StudyError(f"{folder} names the classes {', '.join(named)}, not {', '.join(split.label_names)}")
    by_model = _model_logits(model, AutoTokenizer.from_pretrained(folder), split)
    order = by_length(split)
    texts: Any = [_pipeline_text(split, row) for row in order.tolist()]
    found: Any = classify(texts, batch_size=BATCH_ROWS, truncation=True, top_k=None, function_to_apply="none")
    return {
        "AutoModelForSequenceClassification": by_model,
        'pipeline("text-classification")': _by_name(found, order, split.label_names),
    }


def by_length(split: Split) -> NDArray[np.int64]:
    """(N,) rows, the shortest texts first."""
    lengths = [len(text) for text in split.sentences]
    if split.second is not None:
        lengths = [length + len(text) for length, text in zip(lengths, split.second, strict=True)]
    return np.argsort(lengths, kind="stable")


@torch.inference_mode()
def _model_logits(model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, split: Split) -> Logits:
    order, parts = by_length(split), []
    for start in range(0, len(order), BATCH_ROWS):
        rows = split.take(order[start : start + BATCH_ROWS])
        encoded = tokenizer(rows.sentences, rows.second, truncation=True, padding=True, return_tensors="pt")
        parts.append(model(**encoded).logits.float().numpy())
    return unsorted(np.concatenate(parts), order)


def unsorted(values: Logits, order: NDArray[np.int64]) -> Logits:
    """Values of rows in this order, back in the order of the rows."""
    logits = np.empty_like(values)
    logits[order] = values
    return logits


def _pipeline_text(split: Split, row: int) -> str | dict[str, str]:
    if split.second is None:
        return split.sentences[row]
    return {"text": split.sentences[row], "text_pair": split.second[row]}


def _by_name(
    found: Sequence[Sequence[Mapping[str, Any]]], order: NDArray[np.int64], label_names: Sequence[str]
) -> Logits:
    """The pipeline's scores, put where their names say."""
    values = np.full((len(order), len(label_names)), np.nan, dtype=np.float32)
    for row, scores in zip(order.tolist(), found, strict=True):
        for score in scores:
            values[row, label_names.index(score["label"])] = score["score"]
    return values


def _require_plain_reading(classifier: Exportable) -> None:
    reading, model = classifier.record.read_by_head, transformer_of(classifier)
    if not reads_as_transformers(model, reading):
        raise StudyError(
            f"the head was trained with train.pooling: {reading.pooling} and train.pooler: {reading.pooler}, which the "
            f"classifier of Transformers for {model.config.model_type} does not read: export it as onnx, which takes "
            "any head, or train with first and own"
        )


def _save_model(model: PreTrainedModel, folder: Path) -> None:
    model.config.problem_type = "single_label_classification"  # or a pipeline may take the base model's word for it
    model.save_pretrained(folder)


def save_tokenizer(classifier: Exportable, folder: Path) -> None:
    """Write a tokenizer that cuts texts where the classifier does, and tells what the model takes and no more."""
    tokenizer = copy.deepcopy(classifier.tokenizer)
    tokenizer.model_max_length = classifier.record.max_tokens
    tokenizer.model_input_names = inputs_of(transformer_of(classifier), tokenizer)
    tokenizer.init_kwargs["model_input_names"] = tokenizer.model_input_names  # of these alone the file is made
    tokenizer.save_pretrained(folder)


def _again(file: Path, place: Path) -> None:
    """The same file under a second name, where the file system has such; else a copy."""
    place.unlink(missing_ok=True)
    try:
        os.link(file, place)
    except OSError:
        shutil.copy(file, place)


def stated_licence(record: Record, trained: Path) -> str | None:
    """What the base model's own files say of its licence: the metadata of its README.md; None where they say nothing.

    Args:
        record: Of the classifier.
        trained: The folder that it was saved in, for messages.
    """
    readme = reload_base(record, trained).folder / "README.md" if record.base else None
    if readme is None or not readme.is_file():
        return None
    try:
        licence = (metadata_load(readme) or {}).get("license")
    except (ValueError, yaml.YAMLError):
        return None
    return licence if isinstance(licence, str) else None
