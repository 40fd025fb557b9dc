"""The training loop, one for every method that learns by gradient."""

import time
from collections.abc import Iterator
from math import ceil, isfinite
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import cross_entropy
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from stages.engine.history import Epoch, Fit, best_epoch
from stages.engine.params import TrainParams
from stages.engine.tokens import shuffled_batches
from stages.foundation.errors import StudyError
from stages.foundation.log import say

SHOW_EVERY = 20  # steps; looking at the loss makes the processor wait for an accelerator


class Learner(Protocol):
    """What the loop trains: it knows its training and validation rows, and the loop knows their labels."""

    lengths: NDArray[np.int64]  # (N,) of the training rows; rows of like length share a batch
    device: torch.device

    def weights(self) -> list[Parameter]:
        """All that training changes."""

    def logits(self, rows: NDArray[np.int64]) -> Tensor:
        """(B, C) float32 logits of training rows, dropout on."""

    def validation_logits(self) -> NDArray[np.float32]:
        """(M, C) logits of all validation rows, dropout off."""


def fit(
    learner: Learner,
    labels: NDArray[np.int64],
    validation_labels: NDArray[np.int64],
    params: TrainParams,
    *,
    learning_rate: float,
    seed: int,
) -> Fit:
    """Train; keep the epoch with the lowest validation loss.

    AdamW, learning rate falling linearly to 0 over all steps, gradients clipped by norm, and a stop once
    `params.patience` epochs in a row brought no better validation loss. With `params.max_steps` an epoch is not one
    pass over the rows but an equal share of these steps.

    Raises:
        StudyError: If the loss is no longer a number.
    """
    num_steps = steps_of_epochs(params, len(labels))
    weights = learner.weights()
    optimizer = AdamW(weights, lr=learning_rate, weight_decay=params.weight_decay, fused=True)
    schedule = LambdaLR(optimizer, lambda step: 1 - step / sum(num_steps))
    batches = _endless_batches(learner.lengths, params, np.random.default_rng(seed))

    history: list[Epoch] = []
    best_weights = [weight.detach().clone() for weight in weights]
    train_seconds, rows_seen = 0.0, 0
    for number, steps in enumerate(num_steps, start=1):
        started = time.perf_counter()
        tally = Tally(learner.device)
        with tqdm(total=steps, desc=f"epoch {number}/{len(num_steps)}", unit="step", leave=False, disable=None) as bar:
            for step in range(1, steps + 1):
                batch = next(batches)
                _train_step(learner, batch, labels[batch], optimizer, params.max_grad_norm, tally)
                schedule.step()
                if step % SHOW_EVERY == 0 or step == steps:
                    loss, _ = tally.means()
                    speed = tally.num_rows / (time.perf_counter() - started)
                    bar.set_postfix_str(f"loss {loss:.3f}, {speed:.0f} samples/s", refresh=False)
                    bar.update(step - bar.n)
        train_seconds += time.perf_counter() - started
        rows_seen += tally.num_rows
        history.append(_validated(number, tally, learner, validation_labels, float(schedule.get_last_lr()[0])))
        epochs_since_best = number - best_epoch(history).epoch
        if epochs_since_best == 0:
            best_weights = [weight.detach().clone() for weight in weights]
        elif epochs_since_best >= params.patience:
            break

    with torch.no_grad():
        for weight, best in zip(weights, best_weights, strict=True):
            weight.copy_(best)
    return Fit(history=history, train_seconds=train_seconds, samples_per_second=rows_seen / train_seconds)


def steps_of_epochs(params: TrainParams, num_rows: int) -> list[int]:
    """Optimizer steps of each epoch: one pass each, or equal shares of `max_steps`."""
    if params.max_steps is None:
        return [ceil(num_rows / params.batch_size)] * params.epochs
    bounds = [params.max_steps * epoch // params.epochs for epoch in range(params.epochs + 1)]
    return np.diff(bounds).tolist()


class Tally:
    """Running sums of one epoch, kept on the device so that adding to them waits for nothing."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), dtype=torch.float64 if device.type == "cpu" else torch.float32, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self.num_rows = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: mean loss (), logits (B, C), labels (B,)."""
        self._loss += loss.detach() * len(labels)
        self._correct += (logits.detach().argmax(dim=1) == labels).sum()
        self.num_rows += len(labels)

    def means(self) -> tuple[float, float]:
        """Mean loss (nats) and accuracy (fraction) so far; waits for the device (sync).

        Raises:
            StudyError: If the loss is no longer a number.
        """
        loss = self._loss.item() / self.num_rows
        if not isfinite(loss):
            raise StudyError("the training loss is no longer a number; lower the method's learning_rate in params.yaml")
        return loss, self._correct.item() / self.num_rows


def _train_step(
    learner: Learner,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    optimizer: AdamW,
    max_grad_norm: float,
    tally: Tally,
) -> None:
    wanted = torch.tensor(labels).to(learner.device, non_blocking=True)  # (B,) int64
    logits = learner.logits(rows)  # (B, C) float32
    loss = cross_entropy(logits, wanted)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], max_grad_norm)
    optimizer.step()
    tally.add(loss, logits, wanted)


def _endless_batches(
    lengths: NDArray[np.int64], params: TrainParams, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    while True:
        yield from shuffled_batches(
            lengths, batch_size=params.batch_size, bucket_batches=params.bucket_batches, generator=generator
        )


def _validated(number: int, tally: Tally, learner: Learner, labels: NDArray[np.int64], learning_rate: float) -> Epoch:
    """The epoch's row of the training log, said in one line as well: not every run has a terminal."""
    train_loss, train_accuracy = tally.means()
    val_loss, val_accuracy = loss_and_accuracy(learner.validation_logits(), labels)
    if not isfinite(val_loss):
        raise StudyError("the validation loss is no longer a number; lower the method's learning_rate in params.yaml")
    say(
        f"  epoch {number}: train loss {train_loss:.4f}, accuracy {train_accuracy:.4f}; "
        f"validation loss {val_loss:.4f}, accuracy {val_accuracy:.4f}"
    )
    return Epoch(
        epoch=number,
        train_loss=train_loss,
        val_loss=val_loss,
        train_accuracy=train_accuracy,
        val_accuracy=val_accuracy,
        learning_rate=learning_rate,
    )


def loss_and_accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
    """Mean loss (nats) and accuracy (fraction) of logits (N, C) against labels (N,)."""
    values, wanted = torch.tensor(logits, dtype=torch.float64), torch.tensor(labels)
    return cross_entropy(values, wanted).item(), (values.argmax(dim=1) == wanted).double().mean().item()
