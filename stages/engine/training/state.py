"""All that changes while a model is trained, and how to take it up again to the last bit."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields
from math import isfinite
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from stages.engine.params import Schedule, TrainParams
from stages.engine.tokens import shuffled_batches
from stages.engine.training.history import Epoch
from stages.foundation.errors import StudyError

Generator = np.random.Generator | torch.Generator


class Learner(Protocol):
    """What the loop trains: it knows its training and validation rows, and the loop knows their labels."""

    lengths: NDArray[np.int64]  # (N,) of the training rows; rows of like length share a batch
    device: torch.device

    def weights(self) -> list[Parameter]:
        """All that training changes."""

    def generators(self) -> list[Generator]:
        """All that the learner draws from, torch's global ones apart."""

    def tensors(self) -> dict[str, Tensor]:
        """What took long to compute and does not change, by name: a checkpoint keeps it."""

    def draw_anew(self, worker: int, step: int) -> None:
        """From here on draw as a function of the seed and of these two alone: for one worker of several."""

    def logits(self, rows: NDArray[np.int64]) -> Tensor:
        """(B, C) float32 logits of training rows, dropout on."""

    def validation_logits(self) -> NDArray[np.float32]:
        """(M, C) logits of all validation rows, dropout off."""


class Tally:
    """Running sums of one epoch, kept on the device so that adding to them waits for nothing."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), dtype=torch.float64 if device.type == "cpu" else torch.float32, device=device)
        self._correct = torch.zeros((), dtype=torch.int64, device=device)
        self.num_rows = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: mean loss (), logits (B, C), labels (B,)."""
        self.add_sums(loss.detach() * len(labels), (logits.detach().argmax(dim=1) == labels).sum(), len(labels))

    def add_sums(self, loss: Tensor, correct: Tensor, num_rows: int) -> None:
        """Count a batch: sum of its losses (), number of its rows that were right () int64, and of all its rows."""
        self._loss += loss
        self._correct += correct
        self.num_rows += num_rows

    def means(self) -> tuple[float, float]:
        """Mean loss (nats) and accuracy (fraction) so far; waits for the device (sync).

        Raises:
            StudyError: If the loss is no longer a number.
        """
        loss = self._loss.item() / self.num_rows
        if not isfinite(loss):
            raise StudyError("the training loss is no longer a number; lower the method's learning_rate in params.yaml")
        return loss, self._correct.item() / self.num_rows

    def sums(self) -> dict[str, Tensor]:
        """The sums themselves, which `load` takes."""
        return {"tally.loss": self._loss, "tally.correct": self._correct}

    def load(self, sums: Mapping[str, Tensor], num_rows: int) -> None:
        """Go on from these sums."""
        self._loss.copy_(sums["tally.loss"])
        self._correct.copy_(sums["tally.correct"])
        self.num_rows = num_rows


class BatchOrder:
    """Passes over the rows without end; a pass is drawn when its first batch is asked for."""

    def __init__(self, lengths: NDArray[np.int64], params: TrainParams, generator: np.random.Generator) -> None:
        self._lengths, self._params, self._generator = lengths, params, generator
        self._drawn_from = generator.bit_generator.state  # of the generator, before it drew the present pass
        self._batches: list[NDArray[np.int64]] = []
        self._position = 0  # batches taken from the present pass

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return self

    def __next__(self) -> NDArray[np.int64]:
        """Row numbers of the next batch, (B,) int64."""
        if self._position == len(self._batches):
            self._draw()
        self._position += 1
        return self._batches[self._position - 1]

    def put_back(self) -> None:
        """Have the batch that was taken last come next."""
        self._position -= 1

    def position(self) -> dict[str, Any]:
        """Where it stands, as JSON can hold it."""
        return {"generator": self._drawn_from, "position": self._position}

    def move_to(self, position: Mapping[str, Any]) -> None:
        """Go on from what `position` told."""
        self._generator.bit_generator.state = position["generator"]
        self._batches, self._position = [], 0
        if position["position"]:
            self._draw()
            self._position = position["position"]

    def _draw(self) -> None:
        self._drawn_from = self._generator.bit_generator.state
        self._batches = shuffled_batches(
            self._lengths,
            batch_size=self._params.batch_size,
            bucket_batches=self._params.bucket_batches,
            generator=self._generator,
        )
        self._position = 0


class TrainingState:
    """Weights, optimizer, generators and counters between two optimizer steps."""

    def __init__(
        self, learner: Learner, params: TrainParams, *, schedule: Schedule, learning_rate: float, seed: int
    ) -> None:
        self._learner, self.schedule = learner, schedule
        self.weights = learner.weights()
        self.best_weights = [weight.detach().clone() for weight in self.weights]
        self.optimizer = AdamW(self.weights, lr=learning_rate, weight_decay=params.weight_decay, fused=True)
        self.rates = LambdaLR(self.optimizer, schedule.rate)
        self.batches = BatchOrder(learner.lengths, params, np.random.default_rng(seed))
        self.tally = Tally(learner.device)
        self.history: list[Epoch] = []
        self.validation_logits: list[NDArray[np.float32]] = []  # (M, C) of each validation
        self.step = 0  # optimizer steps done
        self.rows_seen = 0  # by all of them
        self.seconds = 0.0  # wall time of the passes, validation apart; work that a kill undid does not count
        self.finished = False

    @property
    def steps_in_epoch(self) -> int:
        """Steps done since the last validation."""
        return self.step - sum(self.schedule.rounds[: len(self.history)])

    @property
    def progress(self) -> str:
        """For people."""
        return f"step {self.step:,} of {self.schedule.steps:,}"

    def tensors(self) -> dict[str, Tensor]:
        """Whatever is a tensor or a float, by name; of a finished training only what its result is made of."""
        tensors = _numbered("best", self.best_weights) if self.history else {}
        if self.history:
            tensors["validation_logits"] = torch.from_numpy(np.stack(self.validation_logits))  # (E, M, C)
        tensors["history"] = torch.tensor([astuple(epoch) for epoch in self.history], dtype=torch.float64)  # (E, 6)
        tensors["seconds"] = torch.tensor(self.seconds, dtype=torch.float64)
        if self.finished:
            return tensors
        optimizer = self.optimizer.state_dict()["state"]  # of each weight: step, exp_avg, exp_avg_sq
        moments = {f"optimizer.{at}.{name}": value for at, entry in optimizer.items() for name, value in entry.items()}
        generators = _numbered("generator", [one.get_state() for one in self._torch_generators()])
        return (
            tensors
            | _numbered("weight", self.weights)
            | moments
            | generators
            | _global_generators(self._learner.device)
            | self.tally.sums()
            | self._learner.tensors()
        )

    def facts(self) -> dict[str, Any]:
        """Whatever is a whole number or a text."""
        return {
            "step": self.step,
            "rows_seen": self.rows_seen,
            "finished": self.finished,
            "tally_rows": self.tally.num_rows,
            "batches": self.batches.position(),
            "numpy_generators": [_plain(one.bit_generator.state) for one in self._numpy_generators()],
        }

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Go on from what `tensors` and `facts` told."""
        self.step, self.rows_seen, self.finished = facts["step"], facts["rows_seen"], facts["finished"]
        self.seconds = tensors["seconds"].item()
        self.history = [_epoch(row) for row in tensors["history"].tolist()]
        if self.history:
            _copy_into(self.best_weights, tensors, "best")
            self.validation_logits = list(tensors["validation_logits"].numpy().copy())
        if self.finished:
            return
        _copy_into(self.weights, tensors, "weight")
        self._restore_optimizer(tensors)
        self.batches.move_to(facts["batches"])
        self.tally.load(tensors, facts["tally_rows"])
        for one, state in zip(self._numpy_generators(), facts["numpy_generators"], strict=True):
            one.bit_generator.state = state
        for at, drawn_from in enumerate(self._torch_generators()):
            drawn_from.set_state(tensors[f"generator.{at}"])
        _restore_global_generators(self._learner.device, tensors)

    def keep_best(self) -> None:
        """Remember the weights as they are now."""
        _copy(self.best_weights, self.weights)

    def take_best(self) -> None:
        """Leave the learner with the weights remembered last."""
        _copy(self.weights, self.best_weights)

    def _restore_optimizer(self, tensors: Mapping[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, at, key = name.split(".")
                state.setdefault(int(at), {})[key] = value.clone()
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        # The rate is a function of the step alone.
        self.rates = LambdaLR(self.optimizer, self.schedule.rate, last_epoch=self.step - 1)

    def _numpy_generators(self) -> list[np.random.Generator]:
        return [one for one in self._learner.generators() if isinstance(one, np.random.Generator)]

    def _torch_generators(self) -> list[torch.Generator]:
        return [one for one in self._learner.generators() if isinstance(one, torch.Generator)]


def _epoch(row: list[float]) -> Epoch:
    values: dict[str, Any] = dict(zip((field.name for field in fields(Epoch)), row, strict=True))
    return Epoch(**values | {"epoch": int(values["epoch"])})


def _numbered(name: str, tensors: list[Any]) -> dict[str, Tensor]:
    return {f"{name}.{at}": tensor.detach() for at, tensor in enumerate(tensors)}


@torch.no_grad()
def _copy(to: list[Any], source: list[Any]) -> None:
    for one, other in zip(to, source, strict=True):
        one.copy_(other)


def _copy_into(to: list[Any], tensors: Mapping[str, Tensor], name: str) -> None:
    _copy(to, [tensors[f"{name}.{at}"] for at in range(len(to))])


def _global_generators(device: torch.device) -> dict[str, Tensor]:
    """State of the generators that Transformers' own dropout draws from, uint8."""
    states = {"generator.global": torch.get_rng_state()}
    if device.type != "cpu":
        states["generator.device"] = torch.get_device_module(device).get_rng_state()
    return states


def _restore_global_generators(device: torch.device, tensors: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(tensors["generator.global"])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(tensors["generator.device"])


def _plain(state: Any) -> Any:
    """A generator's state with whole numbers in place of arrays."""
    if isinstance(state, dict):
        return {name: _plain(value) for name, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state
