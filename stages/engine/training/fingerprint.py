"""Everything that decides a training's numbers, in one digest."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
import transformers
from numpy.typing import NDArray

import stages
from stages.engine.models.record import Record
from stages.engine.params import TrainParams
from stages.engine.provenance import cpu_name
from stages.engine.tokens import TokenRows
from stages.foundation.versions import TRAINING

LAYOUT = 1  # of a checkpoint's tensors and facts


def fingerprint(
    record: Record,
    params: TrainParams,
    rows: Sequence[tuple[TokenRows, NDArray[np.int64]]],
    *,
    architecture: Mapping[str, Any],
    seed: int,
    device: torch.device,
) -> str:
    """SHA-256 of what a training starts from and runs on, in hexadecimal digits.

    Args:
        record: Method, base model with the digest of its weights, number format and engine as they were resolved.
        params: The section `train`; what does not touch the method counts as well, which costs a rerun at most.
        rows: Token ids, segments and labels of the training and the validation rows.
        architecture: The base model's config.json, which says how much is dropped and how many heads there are.
        seed: Of the experiment.
        device: Where it is trained.
    """
    decides = {
        "layout": LAYOUT,
        "version": TRAINING,
        "record": asdict(record),
        "params": {name: value for name, value in asdict(params).items() if name != "checkpoint_seconds"},
        "architecture": {name: value for name, value in architecture.items() if name != "_name_or_path"},
        "seed": seed,
        "rows": [_rows_digest(texts, labels) for texts, labels in rows],
        "machine": _machine(device),
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()


def code_digest() -> str:
    """SHA-256 of all of this project's code as it lies here, in hexadecimal digits.

    No part of the fingerprint: a training goes on after an edit, for it is the numerical versions that tell whether it
    still computes the same.
    """
    root = Path(stages.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(str(file.relative_to(root)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _rows_digest(texts: TokenRows, labels: NDArray[np.int64]) -> str:
    digest = hashlib.sha256()
    segments = () if texts.types is None else (texts.types,)
    for values in (texts.ids, texts.lengths, labels, *segments):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _machine(device: torch.device) -> list[str]:
    """What rounds in a way of its own."""
    return [
        str(device),
        torch.cuda.get_device_name(device) if device.type == "cuda" else "",
        platform.machine(),
        cpu_name(),
        torch.backends.cpu.get_cpu_capability(),
        str(torch.get_num_threads()),
        *(module.__version__ for module in (torch, transformers, peft, np)),
    ]
