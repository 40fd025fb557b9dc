"""Workers that train one model together: each holds all of it and computes a part of the rows of each batch.

All draw the same batches and take the same steps, so that their weights stay equal. What they tell each other is one
flat buffer at each step, the sum of their gradients, and at each validation the logits of its rows. Source of the
scheme: PyTorch's DistributedDataParallel (Li et al. 2020, arXiv:2006.15704), whose buckets pay where many weights are
trained on devices of their own, and whose mean over workers is that over rows only where all have as many.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed
from torch.nn import Parameter
from torch.nn.functional import cross_entropy

from stages.engine.training.state import Learner
from stages.foundation.errors import StudyError
from stages.foundation.workers import Workers

LIMIT = timedelta(days=1)  # to wait for a slower worker; that one is gone shows at once, by its closed connection
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"  # all are on one machine, and nobody else is to hear them


class Team:
    """The workers of a training; one alone tells nothing and waits for nothing."""

    def __init__(self, workers: Workers | None = None, device: torch.device | None = None) -> None:
        self._workers, self._device = workers, device
        self.number = 0 if workers is None else workers.number
        self.count = 1 if workers is None else workers.count

    def part(self, num_rows: int) -> NDArray[np.int64]:
        """Which of so many rows this worker computes, in their order; none, where there are more workers than rows.

        Rows of like length lie together, so that they are dealt out to and fro: of 8 rows to 2 workers the first gets
        0, 3, 4, 7. So each has as many rows as another, to within one, and nearly as many tokens.
        """
        at = np.arange(num_rows) % (2 * self.count)
        return np.flatnonzero((at == self.number) | (at == 2 * self.count - 1 - self.number))

    def joined(
        self, values: NDArray[np.float32] | None, places: NDArray[np.int64], num_rows: int
    ) -> NDArray[np.float32]:
        """All workers' rows, (num_rows, W) float32.

        Args:
            values: (K, W) of this worker; None where it has no rows.
            places: (K,) where they belong.
            num_rows: Of all workers.
        """
        width = torch.tensor(0 if values is None else values.shape[1], device=self._device)
        self.add_up(width, of_all=False)
        rows = torch.zeros(num_rows, int(width), device=self._device)
        if values is not None:
            rows[torch.from_numpy(places).to(rows.device)] = torch.from_numpy(values).to(rows.device)
        self.add_up(rows)
        joined: NDArray[np.float32] = rows.cpu().numpy()
        return joined

    def add_up(self, values: Tensor, *, of_all: bool = True) -> None:
        """Put in place of these values their sums over all workers, or else the largest of each.

        Raises:
            WorkerLostError: If another worker has ended.
        """
        if self.count > 1:
            kind = distributed.ReduceOp.SUM if of_all else distributed.ReduceOp.MAX
            self._together(lambda: distributed.all_reduce(values, kind))

    def told(self, text: str) -> str:
        """What worker 0 says, to every worker.

        Raises:
            WorkerLostError: If another worker has ended.
        """
        if self.count == 1:
            return text
        length = torch.tensor(len(text.encode()), device=self._device)
        self._together(lambda: distributed.broadcast(length, 0))
        letters = torch.zeros(int(length), dtype=torch.uint8, device=self._device)
        if self.number == 0:
            letters.copy_(torch.tensor(list(text.encode()), dtype=torch.uint8))
        self._together(lambda: distributed.broadcast(letters, 0))
        return bytes(letters.tolist()).decode()

    def _together(self, work: Callable[[], object]) -> None:
        try:
            work()
        except RuntimeError as error:  # of a closed connection: PyTorch has no error of its own for that
            if self._workers is None:
                raise
            raise self._workers.lost(str(error)) from error


ALONE = Team()


@contextmanager
def assembled(workers: Workers | None, device: torch.device) -> Iterator[Team]:
    """While the block runs, the workers of this training hear each other; one alone needs nobody.

    Raises:
        StudyError: If they cannot on this device, or one of them has ended.
    """
    if workers is None or workers.count == 1:
        yield ALONE
        return
    if device.type not in ("cpu", "cuda") or not distributed.is_available():
        raise StudyError(f"train.processes: {workers.count} is for cpu and cuda, not for {device.type}; 1 is for all")
    meeting = workers.arrive()
    os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
    team, shown = Team(workers, device), sys.excepthook
    try:
        team._together(
            lambda: distributed.init_process_group(
                "nccl" if device.type == "cuda" else "gloo",
                store=distributed.FileStore(str(meeting), workers.count),  # type: ignore[attr-defined] # documented
                rank=workers.number,
                world_size=workers.count,
                timeout=LIMIT,
            )
        )
        yield team
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        sys.excepthook = shown  # PyTorch puts one of its own there, which writes [rank0] before each line


class SharedGradients:
    """The gradients of all workers, added up in one buffer; behind them the sums that tell how the step went."""

    def __init__(self, learner: Learner, team: Team) -> None:
        """Let the learner's weights have their gradients in the buffer, where backward adds to them."""
        self._learner, self._team = learner, team
        weights: list[Parameter] = learner.weights()
        sizes = [weight.numel() for weight in weights]
        self._buffer = torch.zeros(sum(sizes) + 2, device=learner.device)  # float32, as all that is trained
        *places, self._sums = self._buffer.split([*sizes, 2])
        for weight, place in zip(weights, places, strict=True):
            weight.grad = place.view(weight.shape)

    def take(self, rows: NDArray[np.int64], labels: NDArray[np.int64], step: int) -> tuple[Tensor, Tensor]:
        """Leave the weights with the gradient of the mean loss of a batch.

        Dropout is drawn by worker and step, so that no checkpoint needs the generators of others.

        Args:
            rows: (B,) training rows of the whole batch.
            labels: (B,) their classes.
            step: Optimizer steps done before this one.

        Returns:
            Sum of the losses of the batch () float32, in nats, and number of its rows that were right () int64.

        Raises:
            WorkerLostError: If another worker has ended.
        """
        self._buffer.zero_()
        mine = self._team.part(len(rows))
        if len(mine):
            self._learner.draw_anew(self._team.number, step)
            wanted = torch.tensor(labels[mine]).to(self._learner.device, non_blocking=True)
            logits = self._learner.logits(rows[mine])
            loss = cross_entropy(logits, wanted, reduction="sum")
            (loss / len(rows)).backward()
            self._sums[0] = loss.detach()
            self._sums[1] = (logits.detach().argmax(dim=1) == wanted).sum()
        self._team.add_up(self._buffer)
        return self._sums[0], self._sums[1].long()
