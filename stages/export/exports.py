"""One export: written beside its place, checked against the engine, and moved there whole or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.engine.exporting.folders import (
    BASE,
    Logits,
    adapter_logits,
    exportable,
    in_fp32,
    merged_logits,
    name_base,
    write_adapter,
    write_merged,
)
from stages.engine.exporting.onnx_file import onnx_logits, quantize, write_onnx
from stages.engine.models.record import Record
from stages.export import tfidf_reader
from stages.export.trained import Trained
from stages.foundation.errors import StudyError
from stages.foundation.files import write_text
from stages.foundation.interval import Interval
from stages.foundation.log import say
from stages.foundation.split import Split
from stages.methods import load
from stages.methods.method import Classifier
from stages.reporting.numbers import count, counted, level, signed, with_interval
from stages.scoring.intervals import wilson

# Of a logit's difference from the engine's in fp32, as a share of the largest logit, at least of 1. Both compute the
# same sums in fp32 in another order: seen are some 1e-6. A wrong head, another order of classes or another cut of the
# texts moves logits by 1e-2 and more. The engine in bf16, which keeps 3 digits, differs by as much; it is told beside.
LIMIT = 1e-4
BATCH_TOKENS = 16_384  # rows times the longest text of a forward pass of the engine
CONFIDENCE_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What an export computes on validation rows, beside the engine."""

    rows: int
    differences: Mapping[str, float]  # by way of loading, the largest of a logit from the engine's in fp32
    limit: float  # that none of them passes
    precision: str  # that the engine trained and was scored in
    drift: float  # the largest difference of a logit of the engine in that precision from the same in fp32
    changed: int  # rows to which the export gives another class than the engine in that precision
    accuracy: Interval  # of the export
    int8_change: float | None  # of the accuracy by int8 weights, a fraction; None: they were not asked for


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One form in which a model leaves the project."""

    write: Callable[[Classifier, Path], None]
    read: Callable[[Path, Split], Mapping[str, Logits]]  # by each way to load it


def _write_files(classifier: Classifier, folder: Path) -> None:
    if classifier.record.method != "tfidf":
        raise StudyError(f"files is for method tfidf, this is {classifier.record.method}: export it as onnx or merged")
    classifier.save(folder)
    shutil.copy(tfidf_reader.__file__, folder)


def _read_files(folder: Path, split: Split) -> Mapping[str, Logits]:
    texts = split.sentences if split.second is None else list(zip(split.sentences, split.second, strict=True))
    return {"tfidf_reader.py": tfidf_reader.TfidfReader(folder).logits(texts).astype(np.float32)}


FORMATS = {
    "adapter": Format(
        write=lambda classifier, folder: write_adapter(exportable(classifier), folder),
        read=adapter_logits,
    ),
    "merged": Format(
        write=lambda classifier, folder: write_merged(exportable(classifier), folder),
        read=merged_logits,
    ),
    "onnx": Format(
        write=lambda classifier, folder: write_onnx(exportable(classifier), folder),
        read=lambda folder, split: {"ONNX Runtime": onnx_logits(folder, split)},
    ),
    "files": Format(write=_write_files, read=_read_files),
}


def export(trained: Trained, name: str, target: Path, *, int8: bool, card: Callable[[Check, Record], str]) -> Check:
    """Write a model in one of FORMATS, with its card; says what the check found.

    Args:
        trained: The model.
        name: Of FORMATS.
        target: A folder that is not there yet.
        int8: Of onnx: with int8 weights.
        card: README.md, given what the check found.

    Raises:
        StudyError: If the folder is there, the format does not fit the model, or the export computes something else.
    """
    with _whole_or_not_at_all(target) as folder:
        classifier = load(trained.folder, "cpu")
        FORMATS[name].write(classifier, folder)
        check = check_export(classifier, FORMATS[name], folder, trained.validation, int8=int8)
        for line in told(check):
            say(line)
        if name == "adapter":
            name_base(folder, target.resolve() / BASE)
        write_text(folder / "README.md", card(check, classifier.record))
    return check


def check_export(classifier: Classifier, form: Format, folder: Path, validation: Split, *, int8: bool) -> Check:
    """Hold an export against the engine, before its weights become int8; then say what these cost.

    Raises:
        StudyError: If a logit differs by more than LIMIT.
    """
    as_trained = classifier.predict(validation, BATCH_TOKENS)
    in_bf16 = classifier.record.precision == "bf16"
    exact = in_fp32(exportable(classifier)).predict(validation, BATCH_TOKENS) if in_bf16 else as_trained
    limit = LIMIT * max(1.0, float(np.abs(exact).max()))
    found = form.read(folder, validation)
    differences = {way: float(np.abs(logits - exact).max()) for way, logits in found.items()}
    for way, difference in differences.items():
        if not difference <= limit:  # NaN is no small difference
            raise StudyError(
                f"nothing was written: loaded by {way}, a logit differs from the engine's by {difference:.1e} on the "
                f"validation rows, more than the {limit:.1e} that rounding explains"
            )
    logits, change = next(iter(found.values())), None
    if int8:
        before = _hits(logits, validation)
        quantize(folder)
        logits = next(iter(form.read(folder, validation).values()))
        change = (_hits(logits, validation) - before) / len(validation)
    return Check(
        rows=len(validation),
        differences=differences,
        limit=limit,
        precision=classifier.record.precision,
        drift=float(np.abs(as_trained - exact).max()),
        changed=int((logits.argmax(axis=1) != as_trained.argmax(axis=1)).sum()),
        accuracy=wilson(_hits(logits, validation), len(validation), CONFIDENCE_LEVEL),
        int8_change=change,
    )


def told(check: Check) -> list[str]:
    """What the check found, in sentences."""
    ways = "; ".join(f"{difference:.1e} by {way}" for way, difference in check.differences.items())
    lines = [
        f"Largest difference of a logit from the engine's in fp32, on {counted(check.rows, 'validation row')}: {ways} "
        f"(limit {check.limit:.1e})."
    ]
    if check.precision == "bf16":
        lines.append(
            f"The engine trained in bf16, where its own logits differ from these by {check.drift:.1e} at most."
        )
    lines.append(f"Rows with another class than by the engine as it was trained: {count(check.changed)}.")
    if check.int8_change is not None:
        lines.append(f"The int8 weights change the accuracy on these rows by {signed(check.int8_change)} points.")
    interval = f"{level(check.accuracy.confidence_level)} interval"
    lines.append(f"Accuracy of the export on these rows: {with_interval(check.accuracy)} ({interval}).")
    return lines


def _hits(logits: Logits, split: Split) -> int:
    return int((logits.argmax(axis=1) == split.labels).sum())


@contextmanager
def _whole_or_not_at_all(target: Path) -> Iterator[Path]:
    """A folder to be filled, which takes the target's name once all went well and is gone where it did not."""
    if target.exists():
        raise StudyError(f"{target} is already there: remove it, or name another folder with --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.parent / f".{target.name}.{os.getpid()}.partial"
    folder.mkdir()
    try:
        yield folder
        for file in folder.rglob("*.*"):
            file.chmod(0o644)  # safetensors leaves them to their owner, and a server may be somebody else
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
