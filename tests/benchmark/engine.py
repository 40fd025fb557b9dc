"""This repository's engine as a contestant, on either of its paths. `parity.py` builds on it."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from stages.engine.classifier import EncoderClassifier, build_classifier
from stages.engine.device import choose_device
from stages.engine.models.base_model import find_base_model
from stages.engine.models.encoder import Setup
from stages.engine.params import TrainParams
from stages.engine.precision import choose_precision
from stages.engine.predict import BATCH_TOKENS
from stages.foundation.split import Split
from stages.methods.lora import adapter_config
from tests.benchmark.task import Task

VALIDATION_ROWS = 2  # `fit` wants some; its clock does not count them


class Engine:
    """The training loop of the stage train, one pass at a time."""

    def __init__(self, task: Task, *, path: Literal["packed", "plain"]) -> None:
        self._task = task
        self._params = replace(task.params, engine=path, epochs=1)
        self._classifier = build(task, self._params)
        self.precision = self._classifier.record.precision

    def train(self, num_rows: int, seed: int) -> float:
        """`Fit.train_seconds` starts before the first batch is put together and ends after the last step."""
        with silence():
            result = self._classifier.fit(self._first(num_rows), self._first(VALIDATION_ROWS), self._params, seed=seed)
        return result.train_seconds

    def predict(self, num_rows: int) -> float:
        """Tokenising included, which the others do before; it takes 2 % here."""
        rows = self._first(num_rows)
        started = time.perf_counter()
        self._classifier.predict(rows, BATCH_TOKENS)
        return time.perf_counter() - started

    def _first(self, num_rows: int) -> Split:
        return self._task.rows.take(np.arange(num_rows))


def build(task: Task, params: TrainParams, *, method: Literal["lora", "full"] = "lora") -> EncoderClassifier:
    """The classifier that the stage train makes, on the CPU."""
    device, _ = choose_device("cpu")
    precision, _ = choose_precision(params.precision, device)
    return build_classifier(
        Setup(base=find_base_model(str(task.folder), {}), device=device, precision=precision),
        params,
        method_version=1,
        method=method,
        adapter=adapter_config(params.section("lora")) if method == "lora" else None,
        label_names=task.rows.label_names,
        seed=0,
    )


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep progress bars and epochs out of the benchmark's own lines; errors are raised all the same."""
    with Path("/dev/null").open("w") as sink, contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        yield
