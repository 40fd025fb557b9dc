"""Trainings that two workers share, all in one start of theirs: `python -m tests.engine.training.shared_cases`."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from stages.engine import head
from stages.engine.training.history import Fit
from stages.foundation.split import Split
from stages.foundation.stage import run_stage
from stages.foundation.workers import NUMBER, Workers, with_workers
from stages.methods import TrainView, build
from tests.engine.conftest import PARAMS, STILL_LORA, opinions

PROGRAM, FOLDER = "tests.engine.training.shared_cases", "SHARED_CASES"
COUNT, SEED = 2, 3


@contextmanager
def small() -> Iterator[None]:
    """One thread, and states in batches of some eight rows, so that there are some for each."""
    threads, tokens = torch.get_num_threads(), head.BATCH_TOKENS
    torch.set_num_threads(1)
    head.BATCH_TOKENS = 64
    yield
    torch.set_num_threads(threads)
    head.BATCH_TOKENS = tokens


@dataclass(frozen=True, kw_only=True)
class Case:
    """One training."""

    method: str = "lora"
    model: str = "still"  # without dropout; tiny: with it
    rows: Split = field(default_factory=lambda: opinions(64))
    validation: Split = field(default_factory=lambda: opinions(21, seed=1))
    params: Mapping[str, Any] = field(default_factory=dict)

    def train(self, folder: Path, workers: Workers | None = None) -> tuple[Fit, dict[str, torch.Tensor]]:
        """Learn, by one process or with others; gives the weights as well."""
        params = replace(PARAMS, lora=PARAMS.lora if self.model == "tiny" else STILL_LORA, **self.params)
        view = TrainView(seed=SEED, model=str(folder / self.model), method=self.method, train=params)
        with small():
            classifier = build(view, ("negative", "positive"))
            result = classifier.fit(self.rows, self.validation, params, seed=SEED, workers=workers)
        return result, {name: weight.detach().clone() for name, weight in classifier.trainable().items()}


WITHOUT_DROPOUT = {
    "lora, packed": Case(),
    "lora, plain": Case(params={"engine": "plain"}),
    "full, packed": Case(method="full"),
    "full, plain": Case(method="full", params={"engine": "plain"}),
    "lora, packed, weights that decay and gradients that are clipped": Case(
        params={"weight_decay": 0.1, "max_grad_norm": 0.1}
    ),
    "lora, packed, more workers than rows": Case(rows=opinions(9), validation=opinions(1, seed=1)),
}
HEAD = {"head, packed": Case(method="head"), "head, plain": Case(method="head", params={"engine": "plain"})}
WITH_DROPOUT = {
    "lora, packed": Case(model="tiny"),
    "lora, plain": Case(model="tiny", params={"engine": "plain"}),
}
CASES = {
    **{f"still, {name}": case for name, case in (WITHOUT_DROPOUT | HEAD).items()},
    **{f"dropping, {name}": case for name, case in WITH_DROPOUT.items()},
}


def train_together(folder: Path) -> dict[str, tuple[Fit, dict[str, torch.Tensor]]]:
    """Each case by both workers; the second leaves its weights in a file."""
    trained = {}
    with with_workers(PROGRAM, COUNT) as workers:
        for name, case in CASES.items():
            trained[name] = case.train(folder, workers)
            if not workers.leads:
                save_file(trained[name][1], weights_of_other(folder, name))
    return trained


def weights_of_other(folder: Path, name: str) -> Path:
    """Where the second worker leaves its weights."""
    return folder / f"{name}.safetensors"


if __name__ == "__main__" and os.environ.get(NUMBER):
    run_stage("train", lambda: train_together(Path(os.environ[FOLDER])) and None)
