"""Finished cells side by side: the seeds of one curve and size, on the same test rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.statistics.failures import Runs, failed, left_out
from stages.study.cells import Cell
from stages.study.store import Result, RowFacts

CONTRASTS = ("", "fixed_steps", "random", "inside")
VALIDATION_NUMBERS = ("val_accuracy", "val_loss", "best_epoch", "epochs_run", "steps")


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """S seeds of one curve at one size, ascending."""

    results: tuple[Result, ...]
    labels: NDArray[np.int64]  # (N,) class index

    @property
    def cell(self) -> Cell:
        """One of its cells; all differ in the seed alone."""
        return self.results[0].cell

    @property
    def seeds(self) -> tuple[int, ...]:
        """S seeds, ascending."""
        return tuple(result.cell.seed for result in self.results)

    @property
    def logits(self) -> NDArray[np.float32]:
        """(S, N, C)."""
        return np.stack([result.logits for result in self.results])

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(S, N) class index."""
        predicted: NDArray[np.int64] = self.logits.argmax(axis=2)
        return predicted

    @property
    def hits(self) -> NDArray[np.bool_]:
        """(S, N) whether the predicted class is the true one."""
        hits: NDArray[np.bool_] = self.predicted == self.labels
        return hits

    @property
    def left_out(self) -> str:
        """Why it does not count in fits and verdicts; empty where it does."""
        return left_out(self._runs)

    @property
    def failed(self) -> dict[int, str]:
        """The seeds whose run failed, and why; none where the whole cell does not count."""
        reasons = [] if self.left_out else failed(self._runs)
        return {seed: reason for seed, reason in zip(self.seeds, reasons, strict=False) if reason}

    @property
    def _runs(self) -> Runs:
        numbers = {name: np.array(self.numbers(name)) for name in VALIDATION_NUMBERS}
        return Runs(
            accuracies=numbers["val_accuracy"],
            losses=numbers["val_loss"],
            ended_at_best=numbers["best_epoch"] == numbers["epochs_run"],
            steps=numbers["steps"],
            num_classes=self.results[0].logits.shape[1],
        )

    def numbers(self, name: str) -> list[float]:
        """One number of each seed."""
        return [float(result.numbers[name]) for result in self.results]

    def only(self, seeds: set[int]) -> "Group":
        """The same with these seeds alone."""
        kept = tuple(result for result in self.results if result.cell.seed in seeds)
        return Group(results=kept, labels=self.labels)


Groups = Mapping[str, Mapping[int, Group]]  # by curve and size; params.yaml's own protocol first, sizes ascending


def curves_of(found: Mapping[Cell, Result], rows: RowFacts, methods: list[str]) -> Groups:
    """Group finished cells by curve and size, curves in the order of the methods."""
    rank = {method: at for at, method in enumerate(methods)}

    def order(cell: Cell) -> tuple[int, int, str, int, int]:
        return CONTRASTS.index(cell.contrast), rank.get(cell.method, len(rank)), cell.curve, cell.samples, cell.seed

    members: dict[str, dict[int, list[Result]]] = {}
    for cell in sorted(found, key=order):
        members.setdefault(cell.curve, {}).setdefault(cell.samples, []).append(found[cell])
    return {
        curve: {size: Group(results=tuple(results), labels=rows.labels) for size, results in sizes.items()}
        for curve, sizes in members.items()
    }


def paired(first: Group, second: Group) -> tuple[Group, Group] | None:
    """Both with the seeds that they share; None where they share none."""
    common = set(first.seeds) & set(second.seeds)
    return (first.only(common), second.only(common)) if common else None
