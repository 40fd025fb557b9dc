"""What the training loop trains: texts through an encoder, or a head on states of texts."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.engine.forward import Forward
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.packed.packing import pack
from stages.engine.predict import BATCH_TOKENS, predict_logits
from stages.engine.tokens import TokenRows
from stages.engine.training.checkpoint import Checkpoints, told_age
from stages.engine.training.state import Generator
from stages.engine.training.team import ALONE, Team
from stages.foundation.log import Progress, say

BLOCK_BATCHES = 32  # of states between two looks at the clock
TRAIN_AND_VALIDATION = (0, 1)
NAMES, SECONDS = ("features.train", "features.validation"), "features.seconds"  # in a checkpoint


class TextLearner:
    """An encoder that learns from texts."""

    def __init__(
        self,
        forward: Forward,
        weights: list[nn.Parameter],
        *,
        train: TokenRows,
        validation: TokenRows,
        device: torch.device,
        seed: int,
        team: Team = ALONE,
    ) -> None:
        self._forward, self._weights = forward, weights
        self._train, self._validation = train, validation
        self._seed, self._team = seed, team
        self._masks = DropoutMasks(seed, device)
        self.lengths, self.device = train.lengths, device

    def weights(self) -> list[nn.Parameter]:
        """Adapter and head, or everything."""
        return self._weights

    def generators(self) -> list[Generator]:
        """Those of the dropout masks."""
        return list(self._masks.generators)

    def tensors(self) -> dict[str, Tensor]:
        """None: token ids are made anew in no time."""
        return {}

    def logits(self, rows: NDArray[np.int64]) -> Tensor:
        """(B, C) float32 logits of training rows, dropout on."""
        return self._forward.logits(pack(self._train, rows).to(self.device), self._masks)

    def draw_anew(self, worker: int, step: int) -> None:
        """Masks by a new generator; what Transformers and PEFT drop by themselves they draw from torch's global one."""
        own, others = np.random.SeedSequence([self._seed, worker, step]).generate_state(2, np.uint64).tolist()
        self._masks = DropoutMasks(own, self.device)
        torch.manual_seed(others)

    def validation_logits(self) -> NDArray[np.float32]:
        """(M, C) logits of all validation rows, dropout off; each worker computes a part of them."""
        texts = self._validation
        mine = np.argsort(texts.lengths, kind="stable")[self._team.part(len(texts))]
        logits = (
            predict_logits(self._forward, texts.take(mine), batch_tokens=BATCH_TOKENS, device=self.device)
            if len(mine)
            else None
        )
        return self._team.joined(logits, mine, len(texts))


class StateLearner:
    """A head that learns from the states of its training rows and is validated on those of others."""

    def __init__(
        self,
        logits: Callable[[Tensor], Tensor],
        weights: list[nn.Parameter],
        states: "TextStates",
        device: torch.device,
    ) -> None:
        """`logits` gives (B, C) of (B, W) states by the weights, which lie on the device."""
        self._logits, self._weights, self._states = logits, weights, states
        self._train, self._validation = states.rows()
        self.lengths, self.device = np.ones(len(self._train), dtype=np.int64), device

    def weights(self) -> list[nn.Parameter]:
        """The head's."""
        return self._weights

    def generators(self) -> list[Generator]:
        """None: nothing is dropped."""
        return []

    def draw_anew(self, worker: int, step: int) -> None:
        """Nothing is drawn."""

    def tensors(self) -> dict[str, Tensor]:
        """The states."""
        return self._states.tensors()

    def logits(self, rows: NDArray[np.int64]) -> Tensor:
        """(B, C) float32 logits of training rows."""
        return self._logits(self._train[torch.from_numpy(rows)].to(self.device))

    @torch.inference_mode()
    def validation_logits(self) -> NDArray[np.float32]:
        """(M, C) logits of all validation rows."""
        logits: NDArray[np.float32] = self._logits(self._validation.to(self.device)).cpu().numpy()
        return logits


class TextStates:
    """States of the training and of the validation rows, (N, W) and (M, W) float32, computed block by block.

    A block is some whole batches of those that all rows would be computed in, shortest rows first, so that neither the
    size of a block nor the number of workers, each of which computes some of its batches, changes a number.
    """

    def __init__(
        self,
        compute: Callable[[TokenRows], NDArray[np.float32]],
        batches: Callable[[NDArray[np.int64]], list[NDArray[np.int64]]],
        *,
        train: TokenRows,
        validation: TokenRows,
        team: Team = ALONE,
    ) -> None:
        """Compute nothing yet.

        Args:
            compute: States of texts, (B, W), in batches of its own.
            batches: The rows of each of these batches, from the lengths of all texts.
            train: The training rows.
            validation: The validation rows.
            team: Who computes them.
        """
        self._compute, self._team = compute, team
        self._texts = (train, validation)
        self._batches = [batches(texts.lengths) for texts in self._texts]
        self._blocks: list[list[Tensor]] = [[], []]
        self.seconds = 0.0  # wall time of the training rows' states

    @property
    def progress(self) -> str:
        """For people."""
        return f"states of row {sum(map(self._done, TRAIN_AND_VALIDATION)):,} of {sum(map(len, self._texts)):,}"

    def take(self, checkpoints: Checkpoints) -> None:
        """Compute what the checkpoint that was found lacks; nothing if the training itself ended before."""
        if checkpoints.finished:
            return
        if (found := checkpoints.found) is not None:
            self._blocks = [[found.tensors[name]] if name in found.tensors else [] for name in NAMES]
            self.seconds = found.tensors[SECONDS].item()
            if "step" not in found.facts:
                say(f"goes on at {self.progress} from a checkpoint of {told_age(found.age)} ago")
        total = sum(map(len, self._batches))
        with Progress("states of texts", total, unit="batches", done=total - self._batches_left()) as progress:
            for part in TRAIN_AND_VALIDATION:
                while self._done(part) < len(self._texts[part]):
                    with checkpoints.kept_if_lost(self), checkpoints.undisturbed(self):
                        block, seconds = self._next_block(part)
                    self._blocks[part].append(block)
                    self.seconds += seconds
                    progress.show(total - self._batches_left())
                    checkpoints.offer(self)

    def rows(self) -> tuple[Tensor, Tensor]:
        """Of the training and the validation rows, in their own order."""
        train, validation = (self._in_row_order(part) for part in TRAIN_AND_VALIDATION)
        return train, validation

    def tensors(self) -> dict[str, Tensor]:
        """Those that are computed, shortest rows first, and the time they took."""
        computed = {name: torch.cat(blocks) for name, blocks in zip(NAMES, self._blocks, strict=True) if blocks}
        return computed | {SECONDS: torch.tensor(self.seconds, dtype=torch.float64)}

    def facts(self) -> dict[str, Any]:
        """Nothing is trained yet."""
        return {"finished": False}

    def _done(self, part: int) -> int:
        return sum(map(len, self._blocks[part]))

    def _batches_left(self) -> int:
        """Of about equal cost, as rows are not."""
        return sum(len(_from_row(self._batches[part], self._done(part))) for part in TRAIN_AND_VALIDATION)

    def _next_block(self, part: int) -> tuple[Tensor, float]:
        """The states of the next rows, and the seconds that count as training."""
        started, done, texts = time.perf_counter(), self._done(part), self._texts[part]
        ahead = _from_row(self._batches[part], done)[:BLOCK_BATCHES]
        ends = np.cumsum([len(batch) for batch in ahead])
        batch_of_row = np.searchsorted(ends, np.arange(ends[-1]), side="right")
        mine = np.flatnonzero(np.isin(batch_of_row, self._team.part(len(ahead))))
        computed = self._compute(texts.take(np.concatenate(ahead)[mine])) if len(mine) else None
        block = torch.from_numpy(self._team.joined(computed, mine, int(ends[-1])))
        return block, (time.perf_counter() - started) * (part == 0)

    def _in_row_order(self, part: int) -> Tensor:
        if not self._blocks[part]:  # of a training that ended before
            return torch.empty(len(self._texts[part]), 0)
        computed = torch.cat(self._blocks[part])
        rows = torch.empty_like(computed)
        rows[torch.from_numpy(np.concatenate(self._batches[part]))] = computed
        return rows


def _from_row(batches: list[NDArray[np.int64]], done: int) -> list[NDArray[np.int64]]:
    """The batches behind the first so many rows."""
    ends = np.cumsum([len(batch) for batch in batches])
    return batches[int(np.searchsorted(ends, done, side="right")) :]
