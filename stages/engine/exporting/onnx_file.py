"""A trained classifier as one ONNX file, with a tokenizer file that cuts and pads by itself: no PyTorch to run it.

Needs the packages onnx, onnxscript and onnxruntime, which nothing else here does.
"""

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import PreTrainedModel

from stages.engine.architectures import architecture_of
from stages.engine.architectures.architecture import HeadParts
from stages.engine.exporting.folders import (
    BATCH_ROWS,
    Exportable,
    Logits,
    by_length,
    inputs_of,
    merged,
    save_tokenizer,
    unsorted,
)
from stages.engine.params import Reading
from stages.engine.pooling import logits_of_states
from stages.foundation.errors import StudyError
from stages.foundation.files import write_json
from stages.foundation.split import Split

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
MODEL = "model.onnx"
QUANTIZED = "model_int8.onnx"
TOKENIZER = "tokenizer.json"
LABELS = "labels.json"  # names of the classes, in the order of the logits
OPSET = 20
LARGEST_FILE = 2**31 - 2**20  # bytes of weights in an ONNX file, which is one message of protobuf; more lie beside it
OF_TOKENIZER = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


def require_packages() -> None:
    """Refuse an export to ONNX where it cannot be written and checked.

    Raises:
        StudyError: If a package is missing.
    """
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise StudyError(f"{' and '.join(missing)} must be installed for ONNX: run `pip install {' '.join(PACKAGES)}`")


class Graph(nn.Module):
    """What the file computes: token ids of B texts, padded to L tokens, to (B, C) float32 logits."""

    def __init__(self, model: PreTrainedModel, reading: Reading) -> None:
        super().__init__()
        self._model, self._reading = model, reading
        architecture = architecture_of(model)
        self._head = None if architecture is None else architecture.head(model)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """(B, C) logits of (B, L) int64 ids, mask and segments."""
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        if self._reading.is_transformers:
            return cast(Tensor, self._model(input_ids=input_ids, attention_mask=attention_mask, **segments).logits)
        encoder = self._model.base_model
        hidden = encoder(input_ids=input_ids, attention_mask=attention_mask, **segments).last_hidden_state
        if self._reading.pooling == "first":
            states = hidden[:, 0]
        else:
            weights = attention_mask[:, :, None].to(hidden.dtype)
            states = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        return logits_of_states(cast(HeadParts, self._head), states, self._reading, lambda values, _: values)


def write_onnx(classifier: Exportable, folder: Path) -> None:
    """Write model.onnx, tokenizer.json and labels.json; number of texts and of tokens are free.

    Raises:
        StudyError: If a package is missing, the tokenizer has no file of its own, or PyTorch cannot export the model.
    """
    require_packages()
    model, record = merged(classifier), classifier.record
    save_tokenizer(classifier, folder)
    _set_cutting(folder / TOKENIZER, classifier)
    write_json(folder / LABELS, record.label_names)
    names = [name for name in OF_TOKENIZER if name in inputs_of(model, classifier.tokenizer)]
    example = {name: torch.ones(2, 8, dtype=torch.int64) for name in names}
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    weights = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    with _unheard(), torch.inference_mode():
        try:
            torch.onnx.export(
                Graph(model.cpu(), record.read_by_head).eval(),
                kwargs=example,
                f=folder / MODEL,
                input_names=names,
                output_names=["logits"],
                dynamic_shapes=dict.fromkeys(names, free),
                opset_version=OPSET,
                external_data=weights > LARGEST_FILE,
                dynamo=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error).strip().splitlines()[0]
            raise StudyError(
                f"PyTorch cannot export a model of type {model.config.model_type} to ONNX: {reason}"
            ) from error


def quantize(folder: Path) -> None:
    """Put a file with int8 weights in the place of model.onnx; activations are quantized as it runs."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(folder / MODEL)
    del model.graph.value_info[:]  # shapes of weights that the quantizer turns round; it infers them anew
    with _unheard():
        # A scale for each output of a layer, and 7 of 8 bits: with one scale for all the default model lost 3 points;
        # sums of 8 bits overflow on processors without VNNI.
        quantize_dynamic(model, folder / QUANTIZED, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True)
    for file in folder.glob(f"{MODEL}*"):
        file.unlink()


@contextmanager
def _unheard() -> Iterator[None]:
    """Leave out what exporter and quantizer tell their own authors."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def onnx_logits(folder: Path, split: Split) -> Logits:
    """(N, C) float32 logits by ONNX Runtime on the processor, the tokenizer file alone before it."""
    from onnxruntime import InferenceSession

    file = next(folder / name for name in (MODEL, QUANTIZED) if (folder / name).is_file())
    session: InferenceSession = InferenceSession(file, providers=["CPUExecutionProvider"])
    tokenizer, order = Tokenizer.from_file(str(folder / TOKENIZER)), by_length(split)
    parts = [
        _session_logits(session, tokenizer, split.take(order[start : start + BATCH_ROWS]))
        for start in range(0, len(order), BATCH_ROWS)
    ]
    return unsorted(np.concatenate(parts), order)


def _session_logits(session: "InferenceSession", tokenizer: Tokenizer, rows: Split) -> NDArray[np.float32]:
    texts: Sequence[Any] = (
        rows.sentences if rows.second is None else list(zip(rows.sentences, rows.second, strict=True))
    )
    encoded = tokenizer.encode_batch(texts)
    fed = {
        entry.name: np.array([getattr(text, OF_TOKENIZER[entry.name]) for text in encoded], dtype=np.int64)
        for entry in session.get_inputs()
    }
    return cast(NDArray[np.float32], session.run(["logits"], fed)[0])


def _set_cutting(file: Path, classifier: Exportable) -> None:
    """Have the tokenizer file cut and pad by itself, as the classifier does: at its right."""
    tokenizer = classifier.tokenizer
    if not file.is_file():
        raise StudyError("the tokenizer of this model has no tokenizer.json, by which texts get to ONNX Runtime")
    alone = Tokenizer.from_file(str(file))
    alone.enable_truncation(classifier.record.max_tokens, direction=tokenizer.truncation_side)
    alone.enable_padding(pad_id=tokenizer.pad_token_id, pad_token=str(tokenizer.pad_token))
    alone.save(str(file))
