"""The loop of the study that is reproduced, as it was written: what the comparison starts from."""

import time

import numpy as np
import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from tests.benchmark.peers import load_model, load_tokenizer
from tests.benchmark.task import Task

WIDTH = 512  # tokens of every row, nearly all of them padding


class SeedLoop:
    """Every row padded to 512 tokens, and a second forward pass per step that measures training accuracy."""

    precision = "fp32"

    def __init__(self, task: Task) -> None:
        self._params = task.params
        self._model = load_model(task)
        self._rows = task.rows
        self._tokenizer = load_tokenizer(task)
        self._width = min(WIDTH, self._model.config.max_position_embeddings)

    def train(self, num_rows: int, seed: int) -> float:
        encoded = self._tokenizer(
            self._rows.sentences[:num_rows],
            padding="max_length",
            truncation=True,
            max_length=self._width,
            return_tensors="pt",
        )
        labels = torch.tensor(self._rows.labels[:num_rows])
        order = np.random.default_rng(seed).permutation(num_rows)
        batches = [
            torch.tensor(order[at : at + self._params.batch_size]) for at in range(0, num_rows, self._params.batch_size)
        ]
        started = time.perf_counter()
        self._pass({name: encoded[name] for name in ("input_ids", "attention_mask")}, labels, batches)
        return time.perf_counter() - started

    def _pass(self, inputs: dict[str, torch.Tensor], labels: torch.Tensor, batches: list[torch.Tensor]) -> float:
        """One pass; returns training accuracy (fraction)."""
        weights = [weight for weight in self._model.parameters() if weight.requires_grad]
        optimizer = AdamW(weights, lr=self._params.lora.learning_rate, weight_decay=self._params.weight_decay)
        schedule = LambdaLR(optimizer, lambda step: 1 - step / len(batches))
        num_correct = 0
        self._model.train()
        for batch in batches:
            rows = {name: values[batch] for name, values in inputs.items()}
            optimizer.zero_grad()
            self._model(**rows, labels=labels[batch]).loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, self._params.max_grad_norm)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                num_correct += int((self._model(**rows).logits.argmax(dim=1) == labels[batch]).sum())
        return num_correct / len(labels)
