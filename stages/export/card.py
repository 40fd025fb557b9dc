"""The model card: README.md of an export, metadata for the Hub first. Measured facts, and what is not known."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from stages.engine.models.record import Record
from stages.export.exports import Check, told
from stages.export.trained import Facts, Trained
from stages.export.usage import TOLD, usage
from stages.foundation.interval import Interval
from stages.foundation.schema import as_yaml
from stages.methods import METHODS
from stages.reporting.document import Block, Bullets, Document, Prose, Section, Table, to_markdown
from stages.reporting.numbers import NONE, count, decimal, level, listed, percent, share, with_interval
from stages.reporting.words import SYNTHETIC

NOT_STATED = "not stated in the files"
LIBRARY = {"adapter": "peft", "merged": "transformers", "onnx": "onnx", "files": None}
LIBRARIES = {"torch": "torch", "transformers": "transformers", "peft": "peft", "scikit_learn": "scikit-learn"}
SPLITS = {"val": "validation", "test": "test"}
CALIBRATION = {
    "temperature": "temperature by which logits are divided",
    "validation_rows": "validation rows that it was fitted on",
    "flag_below": "probability below which a prediction is unsure",
    "unflagged_rows": "validation rows that are not",
    "unflagged_accuracy": "accuracy on these",
}
OF_SAMPLES = "taken out of the rows that were drawn to train"
OVERLAP_NOTE = (
    "A text that the model could meet in training, whole or in part, makes a score look better than it is. Equal: the "
    "same text. Part of: a run of words of a training text. Contains: a training text of three words or more is a run "
    "of its words. The pool is what training rows were drawn from."
)


def model_card(name: str, trained: Trained, record: Record, check: Check, *, licence: str | None) -> str:
    """README.md of an export.

    Args:
        name: Format of the export.
        trained: The model, and what was recorded of it.
        record: Of the classifier.
        check: What the export computes.
        licence: That the base model's files state; None: none.
    """
    int8 = check.int8_change is not None
    document = Document(_title(trained, record), tuple(_sections(name, trained, record, check, licence)))
    return (
        f"---\n{_metadata(name, trained, record, check, licence)}\n---\n\n{to_markdown(document, {})}"
        f"\n## How it is loaded\n\n{usage(name, int8=int8, pairs=trained.validation.second is not None)}\n"
    )


def _metadata(name: str, trained: Trained, record: Record, check: Check, licence: str | None) -> str:
    """YAML between the dashes."""
    facts, base = trained.facts, record.base
    data = ModelCardData(
        license=licence,
        library_name=LIBRARY[name],
        pipeline_tag="text-classification",
        tags=["text-classification", record.method],
        base_model=base.location if base and base.source == "hub" else None,
        model_name=_title(trained, record) if facts else None,
        eval_results=_results(facts, check) if facts else None,
    )
    return data.to_yaml().strip()


def _results(facts: Facts, check: Check) -> list[EvalResult]:
    dataset, scores = str(facts.data["dataset"]), facts.scores
    measured = [
        ("test", "accuracy", scores["test_accuracy"]),
        ("test", "f1", scores["test_f1"]),
        ("validation", "accuracy", check.accuracy.value),
    ]
    return [
        EvalResult(
            task_type="text-classification",
            dataset_type=dataset,
            dataset_name=dataset,
            dataset_split=split,
            metric_type=metric,
            metric_value=value,
        )
        for split, metric, value in measured
    ]


def _title(trained: Trained, record: Record) -> str:
    model = f"{record.method} on {record.base.name}" if record.base else record.method
    return f"{trained.facts.data['dataset']}: {model}" if trained.facts else f"Text classifier: {model}"


def _sections(name: str, trained: Trained, record: Record, check: Check, licence: str | None) -> Sequence[Section]:
    facts = trained.facts
    known = (
        ()
        if facts is None
        else (
            Section("Scores", _scores(facts)),
            Section("By class, on the test rows", _by_class(facts)),
            Section("Data", (_data(facts),)),
            Section("Do the splits overlap?", (_overlap(facts), Prose(OVERLAP_NOTE, "note"))),
            Section("Protocol", (_protocol(facts, record),)),
        )
    )
    return (
        Section("", _opening(name, trained, record)),
        *known,
        Section("Calibration", _calibration(trained.calibration)),
        Section("Checked on export", (Bullets(tuple(told(check))),)),
        Section("Limits", (Bullets(_limits(trained, record)),)),
        Section("Versions", (_versions(facts, record),)),
        Section("Licence", (_licences(record, licence),)),
    )


def _opening(name: str, trained: Trained, record: Record) -> tuple[Block, ...]:
    facts, words = trained.facts, METHODS[record.method].words
    model = record.base.name if record.base else ""
    read = "texts" if trained.validation.second is None else "pairs of texts"
    what = f"A classifier of {read} into {count(len(record.label_names))} classes: {', '.join(record.label_names)}."
    how = f"It is {words.classifier.format(model=model)} ({words.title}), exported as {name}: {TOLD[name]}."
    if facts is None:
        unknown = "It came as a folder alone: its data, its protocol and its test scores are not known here."
        return (Prose(f"{what} {how} {unknown}"),)
    scores = facts.scores
    answer = (
        f"After {count(scores['train_rows'])} training rows it names the right class for "
        f"{with_interval(_accuracy(facts, 'test'))} of {count(scores['test_rows'])} test texts "
        f"({_level(facts)} interval, one run, seed {facts.params['seed']})."
    )
    synthetic = (SYNTHETIC,) if facts.data["synthetic"] else ()
    return (Prose(answer, "answer"), *synthetic, Prose(f"{what} {how}"))


def _scores(facts: Facts) -> tuple[Block, ...]:
    scores, splits = facts.scores, ("test", "val")
    rows = [
        ("accuracy", *(percent(scores[f"{split}_accuracy"]) for split in splits)),
        (f"its {_level(facts)} interval", *(_ends(_accuracy(facts, split)) for split in splits)),
        *(
            (label, *(decimal(scores[f"{split}_{key}"]) for split in splits))
            for label, key in (("F1", "f1"), ("precision", "precision"), ("recall", "recall"), ("loss (nats)", "loss"))
        ),
        ("rows", *(count(scores[f"{split}_rows"]) for split in splits)),
    ]
    note = (
        "The intervals are Wilson's, of another draw of texts; another seed and another training subset move the "
        "result as well and are not in them."
    )
    return (Table(("", "test", "validation"), tuple(rows)), Prose(note, "note"))


def _by_class(facts: Facts) -> tuple[Block, ...]:
    classes = facts.classes.get("test", {})
    if not classes:
        return ()
    rows = tuple(
        (
            name,
            *(decimal(one[key]) if key in one else NONE for key in ("precision", "recall", "f1")),
            count(one["support"]),
        )
        for name, one in classes.items()
    )
    return (Table(("class", "precision", "recall", "F1", "rows"), rows),)


def _data(facts: Facts) -> Table:
    data, scores, pool = facts.data, facts.scores, facts.pool
    paid = scores["train_rows"] + scores["val_rows"]
    rows = [
        ("data set", str(data["dataset"])),
        ("kind", f"{data['kind']}, revision {data['revision']}" if data["revision"] else str(data["kind"])),
        ("partition", str(data["partition"])),
        ("validation rows", f"{count(scores['val_rows'])}, {OF_SAMPLES if _inside(facts) else data['validation']}"),
        ("test rows", f"{count(scores['test_rows'])}, {data['test']}"),
        ("rows read, rows in the pool", f"{count(pool['rows_read'])}, {count(pool['pool_rows'])}"),
        (
            "labels paid for",
            f"{count(paid)}: {count(scores['train_rows'])} trained on, {count(scores['val_rows'])} to validate",
        ),
    ]
    return Table((), tuple(rows))


def _overlap(facts: Facts) -> Table:
    rows = []
    for split, name in SPLITS.items():
        whole = facts.scores[f"{split}_rows"]
        for kind, numbers, against in (("pool", facts.pool, "the pool"), ("subset", facts.subset, "the training rows")):
            if (split, kind) == ("val", "pool") and _inside(facts):  # they are of the pool
                continue
            kinds = (count(numbers[f"{kind}_{split}_{how}"]) for how in ("equal", "part_of", "contains"))
            rows.append((f"{name}, with {against}", *kinds, share(numbers[f"{kind}_{split}_any"], whole)))
    return Table(("rows that overlap", "equal", "part of", "contains", "any"), tuple(rows))


def _inside(facts: Facts) -> bool:
    """Whether the validation rows were taken out of the samples."""
    return bool(facts.params.get("subsample.validation_share"))


def _protocol(facts: Facts, record: Record) -> Table:
    """Every param that the numbers hang on, as it was read."""
    method = METHODS[record.method]
    read = ("samples", "seed", "subsample", "prepare", *method.reads, f"train.{method.name}")
    keys = [key for key in sorted(facts.params) if any(f"{key}.".startswith(f"{prefix}.") for prefix in read)]
    return Table((), (("method", method.name), *((key, as_yaml(facts.params[key])) for key in keys)))


def _calibration(calibration: Mapping[str, Any]) -> tuple[Block, ...]:
    """What the model's folder says of its probabilities."""
    if not calibration:
        return (Prose("Probabilities are the softmax of the logits, not calibrated."),)
    known = {label: calibration[key] for key, label in CALIBRATION.items() if key in calibration}
    rows = tuple((label, NONE if value is None else f"{value:.6g}") for label, value in known.items())
    note = "No file of this export applies it: divide the logits by the temperature before the softmax."
    return (Table((), rows), Prose(note, "note"))


def _limits(trained: Trained, record: Record) -> tuple[str, ...]:
    limits = ["Nothing was measured on texts of another origin, topic, language or time than the data above."]
    if trained.facts is None:
        limits = ["What it was trained on is not known here, nor how it does on texts that chose nothing."]
    elif unseen := [name for name, one in trained.facts.classes.get("test", {}).items() if not one["support"]]:
        limits.append(f"No test row is of class {listed(unseen)}: the test scores say nothing of it.")
    if record.max_tokens:
        limits.append(f"What stands behind token {count(record.max_tokens)} of a text is not read.")
    if METHODS[record.method].by_steps:
        limits.append("The validation rows chose the epoch, so scores on them are a little too good.")
    if record.base:
        limits.append("What the base model learnt before, and what of it is unfair or wrong, was not measured.")
    return tuple(limits)


def _versions(facts: Facts | None, record: Record) -> Table:
    rows = []
    if facts:
        made = facts.provenance
        rows = [
            ("trained with", ", ".join(f"{name} {made[key]}" for key, name in LIBRARIES.items())),
            (
                "number format, engine, device",
                ", ".join(made[f"{key}_used"] for key in ("precision", "engine", "device")),
            ),
            ("commit of the code", made["commit"] or "none"),
        ]
    names = ("torch", "transformers", "peft") if record.base else ("scikit-learn",)
    return Table((), (*rows, ("exported with", ", ".join(f"{name} {version(name)}" for name in names))))


def _licences(record: Record, licence: str | None) -> Table:
    rows = [("of the data", NOT_STATED)]
    if record.base:
        base = record.base
        rows.insert(0, (f"of the base model {base.name} ({base.location})", licence or NOT_STATED))
    return Table((), tuple(rows))


def _accuracy(facts: Facts, split: str) -> Interval:
    value, low, high = (facts.scores[f"{split}_accuracy{end}"] for end in ("", "_low", "_high"))
    return Interval(value=value, low=low, high=high, confidence_level=facts.params["evaluate.confidence_level"])


def _level(facts: Facts) -> str:
    return level(facts.params["evaluate.confidence_level"])


def _ends(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"
