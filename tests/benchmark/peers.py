"""transformers.Trainer, as its users write it: the same model, adapter, optimizer and rows.

Nothing that only costs time is left on: no log, no progress bar, no checkpoint. Rows are tokenised before.
"""

import time
import warnings
from functools import cached_property
from tempfile import TemporaryDirectory
from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    logging,
)

from stages.foundation.split import Split
from tests.benchmark.task import Task, peft_names

PREDICT_ROWS = 128  # rows per forward pass in prediction


def load_model(task: Task, seed: int = 0) -> PeftModel:
    """The base model, fp32, with PEFT's adapter and a fresh head."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        task.folder, num_labels=task.rows.num_classes, dtype=torch.float32
    )
    lora = task.params.lora
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        bias=lora.bias,
        target_modules=peft_names(model.config.model_type, lora.target_modules),
    )
    with warnings.catch_warnings():
        # What PEFT 0.21 does in an old way of Transformers 5.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        return get_peft_model(model, config)


def load_tokenizer(task: Task) -> PreTrainedTokenizerBase:
    """The tokenizer that lies beside the weights."""
    return AutoTokenizer.from_pretrained(task.folder)


class Stopwatch(TrainerCallback):
    """Times a pass: from before the first batch is put together until after the last step."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        self.seconds -= time.perf_counter()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        self.seconds += time.perf_counter()


class HFTrainer:
    """Trainer with padding to the longest row of a batch; perhaps with batches of like length, perhaps in bf16."""

    def __init__(self, task: Task, *, is_grouped: bool, precision: str, epochs: int = 1, seed: int = 0) -> None:
        self.precision = precision
        self._task = task
        self._is_grouped = is_grouped
        self._epochs = epochs
        self._model = load_model(task, seed)
        self._tokenizer = load_tokenizer(task)
        self._scratch = TemporaryDirectory()

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return self._encoded(self._task.rows)

    def _encoded(self, split: Split) -> list[dict[str, Any]]:
        encoded = self._tokenizer(
            split.sentences, truncation=True, max_length=self._task.params.max_tokens, padding=False
        )
        columns = ("input_ids", "attention_mask")
        labels = split.labels.tolist()
        return [{name: encoded[name][at] for name in columns} | {"labels": labels[at]} for at in range(len(labels))]

    def train(self, num_rows: int, seed: int) -> float:
        stopwatch = Stopwatch()
        self._trainer(num_rows, seed, stopwatch).train()
        return stopwatch.seconds

    def predict(self, num_rows: int) -> float:
        trainer = self._trainer(num_rows, 0)
        started = time.perf_counter()
        trainer.predict(self._rows[:num_rows])  # type: ignore[arg-type]  # a list will do
        return time.perf_counter() - started

    def accuracy(self, split: Split) -> float:
        """Fraction of other rows whose class is predicted right."""
        output = self._trainer(0, 0).predict(self._encoded(split))  # type: ignore[arg-type]  # a list will do
        # Grouped by length, Trainer predicts in that order, too: only its own labels lie beside its logits.
        return float((output.predictions.argmax(axis=1) == output.label_ids).mean())

    def _trainer(self, num_rows: int, seed: int, *callbacks: TrainerCallback) -> Trainer:
        params = self._task.params
        arguments = TrainingArguments(
            output_dir=self._scratch.name,
            use_cpu=True,
            bf16=self.precision == "bf16",
            train_sampling_strategy="group_by_length" if self._is_grouped else "random",
            num_train_epochs=self._epochs,
            per_device_train_batch_size=params.batch_size,
            per_device_eval_batch_size=PREDICT_ROWS,
            learning_rate=params.lora.learning_rate,
            weight_decay=params.weight_decay,
            max_grad_norm=params.max_grad_norm,
            seed=seed,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=self._model,
            args=arguments,
            train_dataset=self._rows[:num_rows],
            data_collator=DataCollatorWithPadding(self._tokenizer),
            processing_class=self._tokenizer,
            callbacks=list(callbacks),
        )
        trainer.remove_callback(PrinterCallback)
        return trainer
