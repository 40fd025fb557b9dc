"""Who takes part. What each needs is imported in its own process only."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tests.benchmark.task import Task


class Contestant(Protocol):
    """A way to train and predict."""

    precision: str  # number format of the matrix products: fp32 or bf16

    def train(self, num_rows: int, seed: int) -> float:
        """One pass over the first rows of the task in batches of the task's size; wall seconds of its steps."""

    def predict(self, num_rows: int) -> float:
        """Logits of the first rows; wall seconds. Asked only of those whose entry says `predicts`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of the table."""

    title: str
    predicts: bool = False  # takes part in prediction as well
    is_timed_once: bool = False  # too slow to be warmed up and repeated


CONTESTANTS = {
    "seed": Entry(title="seed loop: 512 tokens, 2nd forward pass", is_timed_once=True),
    "trainer": Entry(title="HF Trainer, dynamic padding", predicts=True),
    "trainer-grouped": Entry(title="HF Trainer, grouped by length", predicts=True),
    "trainer-tuned": Entry(title="HF Trainer, tuned: grouped by length, bf16", predicts=True),
    "reference": Entry(title="reference: this engine's plain path", predicts=True),
    "engine": Entry(title="this engine", predicts=True),
}
TRAINERS: dict[str, dict[str, Any]] = {  # how Trainer is set
    "trainer": {"is_grouped": False, "precision": "fp32"},
    "trainer-grouped": {"is_grouped": True, "precision": "fp32"},
    "trainer-tuned": {"is_grouped": True, "precision": "bf16"},
}
ENGINE_PATHS: dict[str, Literal["packed", "plain"]] = {"reference": "plain", "engine": "packed"}


def enter(name: str, task: Task) -> Contestant:
    """Load a contestant: model, tokens, imports."""
    if name in ENGINE_PATHS:
        from tests.benchmark.engine import Engine

        return Engine(task, path=ENGINE_PATHS[name])
    if name == "seed":
        from tests.benchmark.seed_loop import SeedLoop

        return SeedLoop(task)
    from tests.benchmark.peers import HFTrainer

    return HFTrainer(task, **TRAINERS[name])
