"""What a training was: a row per epoch, which epoch is kept, and what no second run repeats, its cost."""

import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.foundation.files import write_json, write_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """What lies between two validations: as a rule one pass over the training rows."""

    epoch: int  # from 1
    train_loss: float  # nats, mean over the pass, dropout on, while the weights move
    val_loss: float  # nats, after the pass
    train_accuracy: float  # fraction, as train_loss
    val_accuracy: float  # fraction
    learning_rate: float  # after the last step of the pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """What a training was; the classifier holds the weights of the best epoch."""

    history: list[Epoch]
    validation_logits: NDArray[np.float32]  # (E, M, C) of the M validation rows after each of E epochs
    train_seconds: float  # wall time of the passes, validation and work that a kill undid apart
    samples_per_second: float  # training rows through the loop
    resumed: int = 0  # how many times the training was taken up again


def write_history(path: Path, history: list[Epoch]) -> None:
    """Write one CSV row per epoch, columns named as the fields of `Epoch`."""
    write_text(path, pd.DataFrame([asdict(epoch) for epoch in history]).to_csv(index=False))


def read_history(path: Path) -> list[Epoch]:
    """Read what `write_history` wrote, to the last bit."""
    rows = pd.read_csv(path).to_dict(orient="records")
    return [Epoch(**row) for row in rows]


def write_validations(path: Path, logits: NDArray[np.float32]) -> None:
    """Write epoch, row and logit_0 ... logit_{C-1} as Parquet, so that another choice of epoch can be judged.

    Args:
        path: Target file.
        logits: (E, M, C) float32 of the M validation rows, in their order, after each of E epochs.
    """
    num_epochs, num_rows, num_classes = logits.shape
    frame = pd.DataFrame(
        {"epoch": np.repeat(np.arange(1, num_epochs + 1), num_rows), "row": np.tile(np.arange(num_rows), num_epochs)}
    )
    for index in range(num_classes):
        frame[f"logit_{index}"] = logits[:, :, index].ravel()
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False)


def best_epoch(history: list[Epoch]) -> Epoch:
    """The epoch with the lowest validation loss, the first of equals: the one that training keeps."""
    return min(history, key=lambda epoch: epoch.val_loss)


def choice_of_epoch(history: list[Epoch]) -> str:
    """Which epoch is kept, for the end of a sentence; nothing where there was no choice."""
    if len(history) == 1:
        return ""
    kept = best_epoch(history).epoch
    hint = " (the validation loss fell to the end: more epochs may help)" if kept == history[-1].epoch else ""
    return f", epoch {kept} is kept{hint}"


def write_cost(path: Path, fit: Fit) -> None:
    """Write seconds and throughput of all parts of a training that was resumed, and the memory of the last."""
    write_json(
        path,
        {
            "train_seconds": round(fit.train_seconds, 1),
            "samples_per_second": round(fit.samples_per_second, 1),
            "peak_memory_mib": round(peak_memory_mib()),
            "resumed": fit.resumed,
        },
    )


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
