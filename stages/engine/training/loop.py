"""The training loop, one for every method that learns by gradient."""

import time
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from stages.engine.params import TrainParams
from stages.engine.training.checkpoint import Checkpoints, told_age
from stages.engine.training.history import Epoch, Fit, best_epoch
from stages.engine.training.state import Learner, Tally, TrainingState
from stages.engine.training.team import ALONE, SharedGradients, Team
from stages.foundation.errors import StudyError
from stages.foundation.log import Progress, say, tell
from stages.foundation.workers import WorkerLostError

SHOW_EVERY = 20  # steps; looking at the loss makes the processor wait for an accelerator


def fit(
    learner: Learner,
    labels: NDArray[np.int64],
    validation_labels: NDArray[np.int64],
    params: TrainParams,
    *,
    learning_rate: float,
    seed: int,
    checkpoints: Checkpoints,
    seconds_before: float = 0.0,
    team: Team = ALONE,
) -> Fit:
    """Train; keep the weights of the validation with the lowest loss.

    AdamW, gradients clipped by norm, learning rate, validations and stopping as `params.schedule` has them. What lies
    between two validations is called an epoch, whether or not it is one pass over the rows.

    Args:
        learner: What is trained.
        labels: (N,) class index of its training rows.
        validation_labels: (M,) class index of its validation rows.
        params: From params.yaml.
        learning_rate: At the first step.
        seed: Orders the batches.
        checkpoints: Where the training goes on from, if it was killed, and what keeps it.
        seconds_before: What the learner took to prepare, which counts as training.
        team: Who trains. Of several workers each comes to the same weights and the same end.

    Raises:
        StudyError: If the loss is no longer a number, a signal asked to stop, or a worker has ended.
    """
    schedule = params.schedule(len(labels))
    state = TrainingState(learner, params, schedule=schedule, learning_rate=learning_rate, seed=seed)
    state.seconds = seconds_before
    _go_on(state, checkpoints)
    _tell(state)
    shared = None if team.count == 1 else SharedGradients(learner, team)
    while not state.finished:
        _pass(state, learner, labels, params, checkpoints, shared)
        with checkpoints.kept_if_lost(state), checkpoints.undisturbed(state):
            epoch = _validated(state, learner, validation_labels)
        state.history.append(epoch)
        _tell(state)
        state.rows_seen += state.tally.num_rows
        state.tally = Tally(learner.device)
        epochs_since_best = epoch.epoch - best_epoch(state.history).epoch
        if epochs_since_best == 0:
            state.keep_best()
        state.finished = epochs_since_best >= schedule.patience or epoch.epoch == len(schedule.rounds)
        if not state.finished:
            checkpoints.offer(state)
    state.take_best()
    if not checkpoints.finished:
        checkpoints.finish(state)
    return Fit(
        history=state.history,
        validation_logits=np.stack(state.validation_logits),
        train_seconds=state.seconds,
        samples_per_second=state.rows_seen / state.seconds,
        resumed=checkpoints.resumed,
    )


def _go_on(state: TrainingState, checkpoints: Checkpoints) -> None:
    """Take up what a checkpoint holds of the training, and say so."""
    found = checkpoints.found
    checkpoints.found = None  # it may be four times the model
    if found is None or "step" not in found.facts:
        return
    state.restore(found.tensors, found.facts)
    if state.finished:
        say(f"this training ended {told_age(found.age)} ago and its result was kept: nothing is trained")
    else:
        say(f"goes on at {state.progress} from a checkpoint of {told_age(found.age)} ago")


def _pass(
    state: TrainingState,
    learner: Learner,
    labels: NDArray[np.int64],
    params: TrainParams,
    checkpoints: Checkpoints,
    shared: SharedGradients | None,
) -> None:
    """The steps from here to the next validation."""
    number, steps = len(state.history) + 1, state.schedule.rounds[len(state.history)]
    started = ticked = time.perf_counter()
    rows_before = state.tally.num_rows
    what = f"epoch {number}/{len(state.schedule.rounds)}"
    with Progress(what, state.schedule.steps, unit="steps", done=state.step) as progress:
        while (step := state.steps_in_epoch) < steps:
            batch = next(state.batches)
            with checkpoints.kept_if_lost(state):
                _train_step(learner, batch, labels[batch], state, params.max_grad_norm, shared)
            state.rates.step()
            state.step, step = state.step + 1, step + 1
            if step % SHOW_EVERY == 0 or step == steps:
                loss, _ = state.tally.means()
                speed = (state.tally.num_rows - rows_before) / (time.perf_counter() - started)
                progress.show(state.step, f"loss {loss:.3f}, {speed:.0f} samples/s")
            now = time.perf_counter()
            state.seconds, ticked = state.seconds + now - ticked, now
            checkpoints.offer(state)


def _train_step(
    learner: Learner,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    state: TrainingState,
    max_grad_norm: float,
    shared: SharedGradients | None,
) -> None:
    if shared is None:
        wanted = torch.tensor(labels).to(learner.device, non_blocking=True)  # (B,) int64
        logits = learner.logits(rows)  # (B, C) float32
        loss = cross_entropy(logits, wanted)
        state.optimizer.zero_grad()
        loss.backward()
        state.tally.add(loss, logits, wanted)
    else:
        try:
            sums = shared.take(rows, labels, state.step)
        except WorkerLostError:
            state.batches.put_back()  # this step was not taken
            raise
        state.tally.add_sums(*sums, len(rows))
    torch.nn.utils.clip_grad_norm_(state.weights, max_grad_norm)
    state.optimizer.step()


def _validated(state: TrainingState, learner: Learner, labels: NDArray[np.int64]) -> Epoch:
    """The epoch's row of the training log, said in one line as well: not every run has a terminal."""
    train_loss, train_accuracy = state.tally.means()
    logits = learner.validation_logits()
    val_loss, val_accuracy = loss_and_accuracy(logits, labels)
    if not isfinite(val_loss):
        raise StudyError("the validation loss is no longer a number; lower the method's learning_rate in params.yaml")
    state.validation_logits.append(logits)
    number = len(state.history) + 1
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
        learning_rate=float(state.rates.get_last_lr()[0]),
    )


def _tell(state: TrainingState) -> None:
    """Where the training is and how good it was when last validated, for who follows it."""
    numbers: dict[str, float] = {"live_epoch": len(state.history), "live_epochs": len(state.schedule.rounds)}
    if state.history:
        last, best = state.history[-1], best_epoch(state.history)
        numbers |= {
            "live_train_loss": last.train_loss,
            "live_val_loss": last.val_loss,
            "live_val_accuracy": last.val_accuracy,
            "live_best_epoch": best.epoch,
            "live_best_val_loss": best.val_loss,
        }
    tell(numbers)


def loss_and_accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
    """Mean loss (nats) and accuracy (fraction) of logits (N, C) against labels (N,)."""
    values, wanted = torch.tensor(logits, dtype=torch.float64), torch.tensor(labels)
    return cross_entropy(values, wanted).item(), (values.argmax(dim=1) == wanted).double().mean().item()
