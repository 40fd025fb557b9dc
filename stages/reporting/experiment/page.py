"""What the page of one experiment says, section by section."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.engine.lengths import TextLengths, way_out
from stages.reporting.document import Block, Document, Picture, Prose, Quotes, Section, Steps, Table
from stages.reporting.experiment.advice import next_steps, of_other_mixtures
from stages.reporting.experiment.classes import class_blocks, confusion_blocks
from stages.reporting.experiment.figures import FEW_CLASSES
from stages.reporting.experiment.outputs import Numbers, Outputs
from stages.reporting.methods import chosen_by, classifier, curves_note, headline, training
from stages.reporting.numbers import count, counted, decimal, level, listed, percent, points, share, shortened
from stages.reporting.params import ReportView
from stages.reporting.words import SYNTHETIC, mistake_in_words
from stages.scoring.mistakes import Mistake

OVERLAP_NOTE = (
    "A text that the model could meet in training, whole or in part, makes a score look better than it is. "
    "Equal: the same text is a training text. Part of: it is a contiguous run of words of a training text. "
    "Contains: a training text of three words or more is a run of its words."
)
LIBRARIES = {"torch": "torch", "transformers": "transformers", "peft": "peft", "scikit_learn": "scikit-learn"}
COST_NOTE = "Time and memory belong to this one run on this one machine; the scores above repeat."
SPLITS = {"val": "validation", "test": "test"}
MIXED = (
    "The validation rows are balanced over the classes and the training rows are not, so losses and accuracies of the "
    "two splits, and of validation and test, are of other mixtures of classes and not to be compared."
)
CLEANING = {
    "rows_read": "training rows read",
    "rows_empty": "dropped: empty",
    "rows_duplicate": "dropped: duplicate",
    "rows_contradictory": "dropped: one text, two labels",
    "sources_held_out": "sources held out for validation",
    "rows_of_held_sources": "dropped: of a source held out for validation, not drawn to validate",
    "rows_overlapping_val": "dropped: overlap with a given validation split",
    "rows_held_out": "held out as validation rows",
    "pool_rows": "left in the training pool",
    "pool_balanced_max": "largest balanced subset of it",
    "val_rows_dropped": "dropped from a given validation split",
}


def experiment_document(
    params: ReportView, outputs: Outputs, *, confusion: NDArray[np.int64], mistakes: Sequence[Mistake]
) -> Document:
    """Everything that the page says, the answer first.

    Args:
        params: What was run.
        outputs: What came of it.
        confusion: (C, C) test rows, true class down, predicted class across.
        mistakes: The mistakes to list, the surest first.
    """
    return Document(
        headline(params),
        (
            Section("", _opening(params, outputs, confusion)),
            Section("What to do next", (Steps(next_steps(params, outputs)),)),
            Section("Scores", (_scores(params, outputs.scores), Prose(_scores_note(params, outputs), "note"))),
            Section("Each class", class_blocks(outputs.classes, confidence_level=params.evaluate.confidence_level)),
            Section("What was run", (_run(params, outputs),)),
            *_read(outputs.card),
            Section(
                "Do the splits overlap?",
                (Prose(_overlap_result(outputs)), _overlap(params, outputs), Prose(OVERLAP_NOTE, "note")),
            ),
            Section("Cleaning", (_cleaning(outputs.pool),)),
            Section("Texts that were cut", _cut(outputs.lengths)),
            Section("Curves", _curves(params, outputs)),
            Section(
                "Confusion matrix",
                (_confusion(confusion), *confusion_blocks(confusion, outputs.test.label_names)),
            ),
            Section("The surest mistakes", _mistakes(mistakes, num_wrong=int(confusion.sum() - np.trace(confusion)))),
            Section("Cost", (_cost(outputs), Prose(COST_NOTE, "note"))),
        ),
    )


def _opening(params: ReportView, outputs: Outputs, confusion: NDArray[np.int64]) -> tuple[Block, ...]:
    synthetic = (SYNTHETIC,) if outputs.card["synthetic"] else ()
    return (
        Prose(_answer(params, outputs.scores), "answer"),
        *synthetic,
        Prose(_context(confusion, outputs.test.label_names)),
    )


def _answer(params: ReportView, scores: Numbers) -> str:
    """The result with its interval, in one sentence."""
    inside = f", {count(scores['val_rows'])} of them for validation" if params.subsample.validation_share else ""
    return (
        f"After {count(_samples(params, scores))} labelled samples{inside}, {classifier(params)} names the right class "
        f"for {percent(scores['test_accuracy'])} of {count(scores['test_rows'])} test texts "
        f"({level(params.evaluate.confidence_level)} interval {_interval(scores, 'test')})."
    )


def _samples(params: ReportView, scores: Numbers) -> int:
    """Labels drawn: what was trained on, and of the samples what validated."""
    return int(scores["train_rows"] + (scores["val_rows"] if params.subsample.validation_share else 0))


def _context(confusion: NDArray[np.int64], label_names: tuple[str, ...]) -> str:
    """What no model at all would score, and what the interval leaves out."""
    rows = confusion.sum(axis=1)
    largest = int(rows.argmax())
    return (
        f"Always answering “{label_names[largest]}” would be right for {percent(rows[largest] / rows.sum())}. "
        "The interval tells how much another draw of test texts could move the result; another seed or another "
        "training subset moves it as well, and is not in it."
    )


def _scores(params: ReportView, scores: Numbers) -> Table:
    """Every score on test and validation."""
    interval = f"its {level(params.evaluate.confidence_level)} interval"
    rows = [
        ("accuracy", *(percent(scores[f"{split}_accuracy"]) for split in ("test", "val"))),
        (interval, *(_interval(scores, split) for split in ("test", "val"))),
    ]
    labels = {"f1": "F1", "precision": "precision", "recall": "recall", "loss": "loss (nats)"}
    for name, label in labels.items():
        rows.append((label, *(decimal(scores[f"{split}_{name}"]) for split in ("test", "val"))))
    rows.append(("rows", *(count(scores[f"{split}_rows"]) for split in ("test", "val"))))
    return Table(("", "test", "validation"), tuple(rows))


def _scores_note(params: ReportView, outputs: Outputs) -> str:
    """How to read the table of scores."""
    positive = outputs.card["positive"]
    rated = "means over the classes, each with the same weight"
    if positive is not None:
        rated = f"of the positive class, “{positive}” (positive in dataset.yaml chooses it)"
    told = f"The intervals are Wilson's. F1, precision and recall are {rated}. {chosen_by(params)}"
    return f"{told} {MIXED}" if of_other_mixtures(params, outputs) else told


def _run(params: ReportView, outputs: Outputs) -> Table:
    """What was run, on which data."""
    card, num_rows = outputs.card, count(outputs.scores["train_rows"])
    source = f"{card['kind']}, revision {card['revision']}" if card["revision"] else card["kind"]
    rows = [
        ("data set", f"{params.dataset} ({source})"),
        ("made up by a program", "yes" if card["synthetic"] else "no"),
        ("classes", ", ".join(shortened(card["label_names"]))),
        ("partition", card["partition"]),
        ("validation rows", _validation(params, outputs)),
        ("test rows", card["test"]),
        ("training rows", f"{num_rows}, {params.subsample.class_ratio} over the classes"),
        ("seed", str(params.seed)),
    ]
    return Table((), (*rows, *(tuple(row) for row in training(params, outputs.scores, outputs.provenance))))


def _validation(params: ReportView, outputs: Outputs) -> str:
    """Where the rows that chose come from."""
    if not params.subsample.validation_share:
        return str(outputs.card["validation"])
    drawn = f"{count(outputs.scores['val_rows'])} of the {count(_samples(params, outputs.scores))} samples"
    return f"{drawn}; the validation split of the data is left aside"


def _read(card: Mapping[str, Any]) -> tuple[Section, ...]:
    """What prepare found in the data set; nothing where its card does not tell."""
    facts = tuple((fact["term"], fact["told"]) for fact in card.get("read", ()))
    return (Section("What was read", (Table((), facts),)),) if facts else ()


def _overlap_result(outputs: Outputs) -> str:
    """What the table of overlaps means for this result."""
    told = []
    for split, name in SPLITS.items():
        met, whole = outputs.subset[f"subset_{split}_any"], outputs.scores[f"{split}_rows"]
        if met:
            told.append(
                f"{share(met, whole)} of the {name} rows overlap with what this model was trained on: "
                f"its {name} scores may be too good."
            )
        else:
            told.append(f"No {name} row overlaps with what this model was trained on.")
    return " ".join(told)


def _overlap(params: ReportView, outputs: Outputs) -> Table:
    """Rows of each split that share text with what can be trained on."""
    rows = []
    for split, name in SPLITS.items():
        whole = outputs.scores[f"{split}_rows"]
        for kind, numbers, against in (("pool", outputs.pool, "the pool"), ("subset", outputs.subset, "this subset")):
            if (split, kind) == ("val", "pool") and params.subsample.validation_share:  # they are of the pool
                continue
            kinds = (count(numbers[f"{kind}_{split}_{how}"]) for how in ("equal", "part_of", "contains"))
            rows.append((f"{name}, with {against}", *kinds, share(numbers[f"{kind}_{split}_any"], whole)))
    return Table(("rows that overlap", "equal", "part of", "contains", "any"), tuple(rows))


def _cleaning(pool: Numbers) -> Table:
    """What happened to the rows on their way into the pool."""
    return Table(("", "rows"), tuple((label, count(pool[name])) for name, label in CLEANING.items()))


def _cut(lengths: Mapping[str, TextLengths]) -> tuple[Block, ...]:
    """What of the texts was not read, split by split, and how long they are; one sentence where all was."""
    train = lengths["train"]
    if not any(told.rows_cut for told in lengths.values()):
        longest = max((told.tokens[-1] for told in lengths.values() if told.tokens), default=0)
        of = f": the longest has {counted(longest, 'token')} of {count(train.most_read)}" if longest else ""
        return (Prose(f"None: every text was read to its end{of}."),)
    rows = tuple(
        (
            name,
            count(lengths[split].num_rows),
            share(lengths[split].rows_cut, lengths[split].num_rows),
            count(lengths[split].tokens_cut),
            count(lengths[split].tokens[-1]),
        )
        for split, name in {"train": "training", **SPLITS}.items()
    )
    note = f"Nothing behind token {count(train.most_read)} of a text was read. If it should count, {way_out(train)}."
    return (
        Table(("", "rows", "rows cut", "tokens lost", "longest text"), rows),
        Picture("lengths", _lengths_description(lengths)),
        Prose(note, "note"),
    )


def _lengths_description(lengths: Mapping[str, TextLengths]) -> str:
    """The histogram in one sentence."""
    told = [
        f"{percent(lengths[split].rows_cut / lengths[split].num_rows)} of the {name} texts"
        for split, name in {"train": "training", "test": "test"}.items()
    ]
    return f"Lengths of the texts: {listed(told)} are longer than {count(lengths['train'].most_read)} tokens."


def _curves(params: ReportView, outputs: Outputs) -> tuple[Block, ...]:
    drawn = (Picture(measure, _curve_description(outputs, measure)) for measure in ("loss", "accuracy"))
    return (*drawn, Prose(curves_note(params, outputs.scores["train_rows"]), "note"))


def _curve_description(outputs: Outputs, measure: str) -> str:
    """A curve in one sentence."""
    first, last = outputs.history.iloc[0], outputs.history.iloc[-1]

    def value(row: Any) -> str:
        number = float(row[f"val_{measure}"])
        return percent(number) if measure == "accuracy" else decimal(number)

    if len(outputs.history) == 1:
        return f"Validation {measure}: {value(last)}."
    return (
        f"Validation {measure} per epoch: {value(first)} after epoch {int(first['epoch'])}, "
        f"{value(last)} after epoch {int(last['epoch'])}; epoch {outputs.scores['best_epoch']} was kept."
    )


def _confusion(confusion: NDArray[np.int64]) -> Picture:
    right, rows = int(np.trace(confusion)), int(confusion.sum())
    told = f"Confusion matrix: {count(right)} of {count(rows)} test rows ({percent(right / rows)}) on the diagonal."
    return Picture("confusion", told, wide=len(confusion) > FEW_CLASSES)


def _mistakes(mistakes: Sequence[Mistake], *, num_wrong: int) -> tuple[Block, ...]:
    """The mistakes with their texts."""
    if not num_wrong:
        return (Prose("There is none: every test row was classified rightly."),)
    if not mistakes:
        return (Prose(f"None of the {count(num_wrong)} wrong test rows is listed."),)
    which = f"The {count(len(mistakes))} most confident" if len(mistakes) < num_wrong else "All"
    lead = f"{which} of {count(num_wrong)} wrong test rows. Some may be wrong labels."
    return (Prose(lead, "lead"), Quotes(tuple((mistake.sentence, mistake_in_words(mistake)) for mistake in mistakes)))


def _cost(outputs: Outputs) -> Table:
    """Seconds, throughput and memory, and where they were taken."""
    cost, told = outputs.cost, outputs.provenance
    seconds = cost["train_seconds"]  # rounded to tenths
    libraries = ", ".join(f"{name} {told[key]}" for key, name in LIBRARIES.items())
    rows = (
        ("training", f"{decimal(seconds, 1)} s" if seconds else "less than 0.1 s"),
        ("throughput", f"{count(round(cost['samples_per_second']))} samples/s"),
        ("peak memory", f"{count(round(cost['peak_memory_mib']))} MiB"),
        ("machine", f"{told['processor']}, {count(told['cores'])} cores, {_threads(told)}"),
        ("libraries", libraries),
        ("commit of the code", told["commit"] or "none: Git knows nothing of it"),
    )
    return Table((), rows)


def _threads(told: Numbers) -> str:
    processes = told["processes_used"]
    return f"{count(told['threads'])} threads" + (f" in {count(processes)} processes" if processes > 1 else "")


def _interval(scores: Numbers, split: str) -> str:
    low, high = scores[f"{split}_accuracy_low"], scores[f"{split}_accuracy_high"]
    return f"{points(low)} to {percent(high)}"
