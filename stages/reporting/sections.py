"""What the report says, section by section."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.reporting.html import NARROW, Markup, count, markup, notice, percent, quote, quotes, share, table
from stages.reporting.methods import chosen_by, classifier, training
from stages.reporting.params import ReportView
from stages.reporting.results import Numbers, Results
from stages.reporting.worst_errors import Mistake

OVERLAP_NOTE = (
    "A text that the model could meet in training, whole or in part, makes a score look better than it is. "
    "Equal: the same text is a training text. Part of: it is a contiguous run of words of a training text. "
    "Contains: a training text of three words or more is a run of its words."
)
SYNTHETIC_LEAD = "Synthetic data."
SYNTHETIC = (
    "These texts were put together by a program from phrase banks. The numbers show "
    "that the pipeline works and how a curve behaves; they say nothing about real reviews."
)
SPLITS = {"val": "validation", "test": "test"}
CLEANING = {
    "rows_read": "training rows read",
    "rows_empty": "dropped: empty",
    "rows_duplicate": "dropped: duplicate",
    "rows_contradictory": "dropped: one text, two labels",
    "sources_held_out": "sources held out for validation",
    "rows_dropped": "dropped: too close to validation",
    "rows_held_out": "held out as validation rows",
    "pool_rows": "left in the training pool",
    "pool_balanced_max": "largest balanced subset of it",
    "val_rows_dropped": "dropped from a given validation split",
}


def answer(params: ReportView, results: Results) -> str:
    """The result with its interval, in one sentence."""
    scores = results.scores
    return (
        f"After {count(scores['train_rows'])} labelled samples, {classifier(params)} names the right class for "
        f"{percent(scores['test_accuracy'])} of {count(scores['test_rows'])} test texts "
        f"({_level(params)} interval {_interval(scores, 'test')})."
    )


def synthetic_notice(card: Mapping[str, Any]) -> Markup:
    """A warning where the data was made up."""
    return notice(SYNTHETIC_LEAD, SYNTHETIC) if card["synthetic"] else Markup("")


def context(confusion: NDArray[np.int64], label_names: tuple[str, ...]) -> str:
    """What no model at all would score, and what the interval leaves out."""
    rows = confusion.sum(axis=1)
    largest = int(rows.argmax())
    return (
        f"Always answering “{label_names[largest]}” would be right for {percent(rows[largest] / rows.sum())}. "
        "The interval tells how much another draw of test texts could move the result; another seed or another "
        "training subset moves it as well, and is not in it."
    )


def scores(params: ReportView, numbers: Numbers) -> Markup:
    """Every score on test and validation."""
    rows: list[list[str]] = [
        ["accuracy", *(percent(numbers[f"{split}_accuracy"]) for split in ("test", "val"))],
        [f"its {_level(params)} interval", *(_interval(numbers, split) for split in ("test", "val"))],
    ]
    for name in ("f1", "precision", "recall"):
        label = "F1" if name == "f1" else name
        rows.append([label, *(f"{numbers[f'{split}_{name}']:.3f}" for split in ("test", "val"))])
    rows.append(["loss (nats)", *(f"{numbers[f'{split}_loss']:.3f}" for split in ("test", "val"))])
    rows.append(["rows", *(count(numbers[f"{split}_rows"]) for split in ("test", "val"))])
    return table(["", "test", "validation"], rows)


def scores_note(params: ReportView, results: Results) -> str:
    """How to read the table of scores."""
    names = results.test.label_names
    rated = f"of the class “{names[1]}”" if len(names) == 2 else "means over the classes, each with the same weight"
    return f"The intervals are Wilson's. F1, precision and recall are {rated}. {chosen_by(params)}"


def overlap(results: Results) -> Markup:
    """The leak table: rows of each split that share text with what can be trained on."""
    rows = []
    for split, name in SPLITS.items():
        whole = results.scores[f"{split}_rows"]
        for kind, numbers, against in (
            ("pool", results.pool, "the pool"),
            ("subset", results.subset, "this subset"),
        ):
            kinds = [count(numbers[f"{kind}_{split}_{how}"]) for how in ("equal", "part_of", "contains")]
            rows.append([f"{name}, with {against}", *kinds, share(numbers[f"{kind}_{split}_any"], whole)])
    return table(["rows that overlap", "equal", "part of", "contains", "any"], rows)


def overlap_result(results: Results) -> str:
    """What the leak table means for this result."""
    parts = []
    for split, name in SPLITS.items():
        met, whole = results.subset[f"subset_{split}_any"], results.scores[f"{split}_rows"]
        if met:
            parts.append(
                f"{share(met, whole)} of the {name} rows overlap with what this model was trained on: "
                f"its {name} scores may be too good."
            )
        else:
            parts.append(f"No {name} row overlaps with what this model was trained on.")
    return " ".join(parts)


def curve_description(results: Results, measure: str) -> str:
    """A curve in one sentence."""
    first, last = results.history.iloc[0], results.history.iloc[-1]

    def value(row: Any) -> str:
        number = float(row[f"val_{measure}"])
        return percent(number) if measure == "accuracy" else f"{number:.3f}"

    if len(results.history) == 1:
        return f"Validation {measure}: {value(last)}."
    return (
        f"Validation {measure} per epoch: {value(first)} after epoch {int(first['epoch'])}, "
        f"{value(last)} after epoch {int(last['epoch'])}; epoch {results.scores['best_epoch']} was kept."
    )


def mistakes(listed: list[Mistake], *, num_wrong: int) -> Markup:
    """The mistakes with their texts."""
    if not num_wrong:
        return Markup("<p>There is none: every test row was classified rightly.</p>")
    which = f"The {len(listed)} most confident" if len(listed) < num_wrong else "All"
    lead = f"<p>{which} of {count(num_wrong)} wrong test rows. Some may be wrong labels.</p>"
    return Markup(f"{lead}\n{quotes(_mistake(mistake) for mistake in listed).text}" if listed else lead)


def run(params: ReportView, results: Results) -> Markup:
    """What was run, on which data."""
    card, num_rows = results.card, count(results.scores["train_rows"])
    source = f"{card['kind']}, revision {card['revision']}" if card["revision"] else card["kind"]
    rows = [
        ["data set", f"{params.dataset} ({source})"],
        ["made up by a program", "yes" if card["synthetic"] else "no"],
        ["classes", ", ".join(card["label_names"])],
        ["partition", card["partition"]],
        ["validation rows", card["validation"]],
        ["test rows", card["test"]],
        ["training rows", f"{num_rows}, {params.subsample.class_ratio} over the classes"],
        ["seed", str(params.seed)],
    ]
    return table([], rows + training(params, results.scores))


def cleaning(pool: Numbers) -> Markup:
    """What happened to the rows on their way into the pool."""
    return table(["", "rows"], [[label, count(pool[name])] for name, label in CLEANING.items()])


def cost(numbers: Numbers) -> Markup:
    """Seconds, throughput and memory."""
    seconds = numbers["train_seconds"]  # rounded to tenths
    rows = [
        ["training", f"{seconds:,.1f} s" if seconds else "less than 0.1 s"],
        ["throughput", f"{numbers['samples_per_second']:,.0f} samples/s"],
        ["peak memory", f"{numbers['peak_memory_mib']:,.0f} MiB"],
        ["threads", count(numbers["threads"])],
    ]
    return table([], rows)


def _mistake(mistake: Mistake) -> Markup:
    remark = (
        f"labelled <b>{markup(mistake.actual)}</b>, predicted <b>{markup(mistake.predicted)}</b> "
        f"with probability {percent(mistake.confidence)}; row {mistake.row_id}"
    )
    return quote(mistake.sentence, Markup(remark))


def _interval(numbers: Numbers, split: str) -> str:
    low, high = numbers[f"{split}_accuracy_low"], numbers[f"{split}_accuracy_high"]
    return f"{100 * low:.1f} to {percent(high)}"


def _level(params: ReportView) -> str:
    return f"{100 * params.evaluate.confidence_level:g}{NARROW}%"
