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
UNREAD = ("checkpoint_seconds", "processes")  # decides no number, and has a half of its own
HALF = 32  # hexadecimal digits


def fingerprint(
    record: Record,
    params: TrainParams,
    rows: Sequence[tuple[TokenRows, NDArray[np.int64]]],
    *,
    architecture: Mapping[str, Any],
    seed: int,
    device: torch.device,
) -> str:
    """64 hexadecimal digits of what a training starts from and runs on, out of SHA-256.

    The first half is of the training itself; the second of the number of processes and threads as well, which add up
    in another order and may drop otherwise.

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
        "params": {name: value for name, value in asdict(params).items() if name not in UNREAD},
        "architecture": {name: value for name, value in architecture.items() if name != "_name_or_path"},
        "seed": seed,
        "rows": [_rows_digest(texts, labels) for texts, labels in rows],
        "machine": _machine(device),
    }
    training = _half_digest(decides)
    return training + _half_digest([training, params.processes, torch.get_num_threads()])


def _half_digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:HALF]


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
        *(module.__version__ for module in (torch, transformers, peft, np)),
    ]
