"""The training loop: plain, readable, and what every faster engine is tested against."""

import time
from dataclasses import dataclass
from math import ceil, isfinite

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from stages.engine.classifier import Classifier
from stages.engine.history import Epoch, best_epoch
from stages.engine.params import TrainParams
from stages.engine.predict import TokenizedSplit, predict_logits, tokenized
from stages.engine.tokens import pad, shuffled_batches
from stages.foundation.errors import StudyError
from stages.foundation.log import say
from stages.foundation.split import Split

EVALUATION_ROWS = 128  # rows per forward pass on validation; changes speed, not scores


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """What happened; the classifier holds the weights of the best epoch."""

    history: list[Epoch]
    train_seconds: float  # wall time of the passes, validation apart
    samples_per_second: float  # training rows through the loop


def fit(classifier: Classifier, train: Split, validation: Split, params: TrainParams, *, seed: int) -> Fit:
    """Train the adapter and the head; keep the epoch with the lowest validation loss.

    AdamW, learning rate falling linearly to 0 over all `params.epochs`, gradients clipped by norm, and a
    stop once `params.patience` epochs in a row brought no better validation loss.

    Raises:
        StudyError: If the loss is no longer a number.
    """
    train_rows = tokenized(classifier, train)
    validation_rows = tokenized(classifier, validation)
    weights = classifier.trainable()
    optimizer = AdamW(weights.values(), lr=params.learning_rate, weight_decay=params.weight_decay)
    num_steps = params.epochs * ceil(len(train) / params.batch_size)
    schedule = LambdaLR(optimizer, lambda step: 1 - step / num_steps)
    generator = np.random.default_rng(seed)

    history: list[Epoch] = []
    best_weights = _copy(weights)
    train_seconds = 0.0
    for epoch in range(1, params.epochs + 1):
        started = time.perf_counter()
        train_loss, train_accuracy = _train_epoch(
            classifier, train_rows, optimizer, schedule, params, generator, f"epoch {epoch}/{params.epochs}"
        )
        train_seconds += time.perf_counter() - started
        val_loss, val_accuracy = _validate(classifier, validation_rows)
        history.append(
            Epoch(
                epoch=epoch,
                train_loss=train_loss,
                val_loss=val_loss,
                train_accuracy=train_accuracy,
                val_accuracy=val_accuracy,
                learning_rate=float(schedule.get_last_lr()[0]),
            )
        )
        _announce(history[-1])
        epochs_since_best = epoch - best_epoch(history).epoch
        if epochs_since_best == 0:
            best_weights = _copy(weights)
        elif epochs_since_best >= params.patience:
            break

    _restore(weights, best_weights)
    return Fit(
        history=history,
        train_seconds=train_seconds,
        samples_per_second=len(train) * len(history) / train_seconds,
    )


def _train_epoch(
    classifier: Classifier,
    rows: TokenizedSplit,
    optimizer: AdamW,
    schedule: LambdaLR,
    params: TrainParams,
    generator: np.random.Generator,
    caption: str,
) -> tuple[float, float]:
    """One pass; returns mean loss (nats) and accuracy (fraction) over its rows."""
    batches = shuffled_batches(
        rows.lengths,
        batch_size=params.batch_size,
        bucket_batches=params.bucket_batches,
        generator=generator,
    )
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    loss_sum, num_correct, num_seen = 0.0, 0, 0
    classifier.model.train()
    with tqdm(total=len(rows.labels), desc=caption, unit=" samples", leave=False, disable=None) as bar:
        for batch in batches:
            labels = torch.tensor(rows.labels[batch])  # (B,) int64
            padded = pad([rows.token_ids[row] for row in batch], rows.pad_token_id)
            logits = classifier.logits(padded)  # (B, C) float32
            loss = cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, params.max_grad_norm)
            optimizer.step()
            schedule.step()

            loss_sum += loss.item() * len(batch)  # .item() waits for the step (sync): free on a processor
            num_correct += int((logits.argmax(dim=1) == labels).sum())
            num_seen += len(batch)
            if not isfinite(loss_sum):
                raise StudyError("the training loss is no longer a number; lower train.learning_rate")
            bar.set_postfix(loss=f"{loss_sum / num_seen:.3f}", refresh=False)
            bar.update(len(batch))
    return loss_sum / num_seen, num_correct / num_seen


def _validate(classifier: Classifier, rows: TokenizedSplit) -> tuple[float, float]:
    """Mean loss (nats) and accuracy (fraction) on validation, dropout off."""
    logits = torch.from_numpy(predict_logits(classifier, rows, EVALUATION_ROWS)).double()
    labels = torch.tensor(rows.labels)
    loss = cross_entropy(logits, labels).item()
    if not isfinite(loss):
        raise StudyError("the validation loss is no longer a number; lower train.learning_rate")
    return loss, (logits.argmax(dim=1) == labels).double().mean().item()


def _copy(weights: dict[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in weights.items()}


@torch.no_grad()
def _restore(weights: dict[str, torch.nn.Parameter], values: dict[str, torch.Tensor]) -> None:
    for name, weight in weights.items():
        weight.copy_(values[name])


def _announce(epoch: Epoch) -> None:
    """One line per epoch, also where no terminal shows the bar."""
    say(
        f"  epoch {epoch.epoch}: train loss {epoch.train_loss:.4f}, accuracy {epoch.train_accuracy:.4f}; "
        f"validation loss {epoch.val_loss:.4f}, accuracy {epoch.val_accuracy:.4f}"
    )
