"""Finished cells that were never trained: right with a chosen probability, the same rows being hard for all."""

from dataclasses import replace

import numpy as np

from stages.study.cells import Cell, StudyParams, TuningParams
from stages.study.collect import Coverage
from stages.study.store import Result, Results, RowFacts

NUM_ROWS = 400
STUDY = StudyParams(
    sizes=[250, 500, 1000, 2000, 4000, 8000],
    seeds=[1, 2, 3],
    looks=[2, 3],
    methods=["lora", "tfidf"],
    protocol="seed",
    tuned=False,
    tuning=TuningParams(factors=[0.5, 1.0, 2.0], seeds=[7]),
    contrasts=[],
    fixed_steps=1750,
    inside_share=0.2,
    precisions=["auto"],
    margins=[0.01, 0.02],
    targets=[0.8, 0.99],
)


def made_rows(num_rows=NUM_ROWS) -> RowFacts:
    generator = np.random.default_rng(7)
    return RowFacts(
        row_ids=np.arange(num_rows),
        labels=generator.integers(0, 2, num_rows),
        num_words=generator.integers(2, 40, num_rows),
        negates=generator.random(num_rows) < 0.3,
        label_names=("bad", "good"),
    )


def made_result(cell: Cell, rows: RowFacts, accuracy: float, **numbers) -> Result:
    """A cell that is right on about this share of the rows, surely so on easy ones."""
    num_rows = len(rows.labels)
    ease = np.random.default_rng(11).normal(size=num_rows)  # the same for every cell
    luck = np.random.default_rng([cell.seed, cell.samples, *cell.curve.encode()]).normal(size=num_rows)
    score = 0.8 * ease + 0.6 * luck
    score -= np.quantile(score, 1 - accuracy)
    logits = np.zeros((num_rows, 2), dtype=np.float32)
    logits[:, 1] = np.where(rows.labels == 1, 3 * score, -3 * score)
    inside = round((cell.validation_share or 0) * cell.samples)  # rows of the samples that validate
    steps = 0 if cell.method == "tfidf" else cell.max_steps or 5 * cell.samples // 32
    told = {
        "data": "0123.dir",
        "params_digest": "9a9a",
        "synthetic": False,
        "train_rows": cell.samples - inside,
        "test_accuracy": accuracy,
        "val_accuracy": accuracy + (0.05 if cell.contrast == "random" else 0.01),
        "val_loss": 0.3,
        "best_epoch": 2,
        "epochs_run": 4,
        "val_rows": inside or 1000,
        "test_rows": num_rows,
        "subset_val_any": 900 if cell.contrast == "random" else 0,
        "trainable_parameters": 74498,
        "train_seconds": cell.samples / 100,
        "samples_per_second": 250.0,
        "steps": steps,
        "temperature": 1.5,
        "output_bytes": 2**20,
        "threads": 1,
        "precision_used": "bf16",
        "engine_used": "packed",
        "device_used": "cpu",
        "processor": "a processor",
        "torch": "2",
        "transformers": "5",
        "peft": "1",
        "scikit_learn": "1.9",
        "commit": "c0ffee" * 6,
        "corpus_version": 1,
        "training_version": 1,
        "method_version": 1,
        "scoring_version": 1,
    }
    told |= numbers
    return Result(cell=cell, key=f"{cell.name} {told['precision_used']}", numbers=told, logits=logits)


def a_cell(method="lora", samples=1000, seed=1, contrast="", max_steps=None, validation_share=None) -> Cell:
    return Cell(
        dataset="mine",
        model="minilm",
        method=method,
        contrast=contrast,
        samples=samples,
        seed=seed,
        max_steps=max_steps,
        validation_share=validation_share,
    )


def made_coverage(accuracies, rows=None) -> Coverage:
    """A study whose cells reach these accuracies; None: missing."""
    rows = made_rows() if rows is None else rows
    made = {cell: made_result(cell, rows, value) for cell, value in accuracies.items() if value is not None}
    return Coverage(
        cells={cell: [f"{cell.name} bf16"] for cell in accuracies},
        results=Results(rows=rows, by_key={result.key: result for result in made.values()}),
        finished={},
        stale=(),
        num_test_rows=len(rows.labels),
    )


def rising(method, sizes=STUDY.sizes, seeds=STUDY.seeds, start=0.6, step=0.05):
    """Accuracies that rise with each size."""
    return {a_cell(method, size, seed): start + step * at for at, size in enumerate(sizes) for seed in seeds}


def with_study(**changes) -> StudyParams:
    return replace(STUDY, **changes)
