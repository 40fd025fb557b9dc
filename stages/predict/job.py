"""One call of predict: from what was asked to the last row written."""

import gzip
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any, BinaryIO, cast

from stages.foundation.errors import StudyError
from stages.predict.json_tables import JsonLinesWriter
from stages.predict.model import Model, Predictions, found_model
from stages.predict.progress import Progress
from stages.predict.tables import (
    FORMATS,
    OTHER_NAMES,
    PACKED,
    Added,
    Table,
    Window,
    Writer,
    open_table,
    standard_input,
    texts_of,
)
from stages.reporting.numbers import counted

STANDARD_INPUT = "-"
JSON_LINES = ".jsonl"
TEXT_COLUMNS = ("sentence", "text")  # what sources look for, too, where no column is named
LONGEST_NAME = 40  # characters of a column's name in a complaint
SHOWN = 8  # classes that the summary counts by name


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the command line says."""

    inputs: list[str]
    text: list[str] | None  # columns of the texts; None: by the usual names
    columns: list[str] | None  # names of all columns of a file without header
    model: Path | None
    experiment: str | None
    out: Path | None  # None: standard output
    as_json_lines: bool
    all_probabilities: bool
    prefix: str  # of added columns


def predict_all(options: Options, results: BinaryIO) -> None:
    """Read, predict and write, some thousand rows at a time.

    Raises:
        StudyError: One line that says what is wrong with input, output or model.
    """
    table, source = _input(options)
    with closing(table):
        _predict_table(table, source, options, results)


def _predict_table(table: Table, source: Path | None, options: Options, results: BinaryIO) -> None:
    texts = _text_columns(table, options.text)
    suffix = JSON_LINES if options.as_json_lines else table.suffix
    _check_output(options.out, suffix, source)
    with found_model(options.model, options.experiment) as model:
        _check_pairs(model, texts)
        added = _added(model, options)
        if taken := [name for name in added if name in table.columns]:
            raise StudyError(f"{table.name} has a column {taken[0]} already; {OTHER_NAMES}")
        if source is not None:
            _say(f"{table.name}: {table.told}, texts in {' and '.join(texts)}")
        for line in model.told():
            _say(line)
        counts: Counter[str | None] = Counter()
        rows_cut = 0
        with _polite(model), _output(options.out, results) as stream, Progress(table) as progress:
            json_lines = options.as_json_lines
            writer = cast(Writer, JsonLinesWriter(stream) if json_lines else table.writer(stream, added))
            for window in table.windows():
                predictions = _predict(model, window, texts)
                writer.write(window, _cells(added, model, predictions))
                stream.flush()
                counts.update(predictions.labels)
                counts.update(f"\0{flag}" for flag in predictions.flags if flag)
                rows_cut += predictions.rows_cut
                progress.advance(len(window), window.position)
            writer.close()
            stream.flush()
        if source is not None or options.inputs == [STANDARD_INPUT]:
            _say(_summary(counts, progress))
        if rows_cut:
            _say(f"of {counted(rows_cut, 'row')} what stands behind token {model.most_read:,} was not read")


def _input(options: Options) -> tuple[Table, Path | None]:
    """What is read, and the file that it is, if it is one."""
    files = [Path(one) for one in options.inputs if _is_file(one)]
    if not files:
        if options.columns is not None:
            raise StudyError("--columns names the columns of a file, and these are texts; give the file by its name")
        return (standard_input() if options.inputs == [STANDARD_INPUT] else texts_of(options.inputs)), None
    if len(options.inputs) > 1:
        raise StudyError(f"{files[0]} is a file: give one file alone, or texts alone")
    return open_table(files[0], options.columns), files[0]


def _is_file(argument: str) -> bool:
    """Whether it can't be meant as a text: it is there, or has the name of a table and no blank."""
    name = argument.lower().removesuffix(PACKED)
    looks_like_one = name.endswith(FORMATS) and not any(sign.isspace() for sign in argument)
    return looks_like_one or (len(argument) < 4096 and "\0" not in argument and os.path.isfile(argument))  # noqa: PTH113


def _text_columns(table: Table, asked: list[str] | None) -> list[str]:
    """The columns that hold the texts.

    Raises:
        StudyError: If they are not there, or it is not clear which they are.
    """
    there = ", ".join(shorten(name, LONGEST_NAME) or "(no name)" for name in table.columns)
    if asked is None:
        found = [name for name in TEXT_COLUMNS if name in table.columns]
        if len(found) != 1 and table.columns:
            which = " and ".join(found) if found else f"no column {' or '.join(TEXT_COLUMNS)}"
            raise StudyError(
                f"{table.name} has {which}; it has {there}: say with --text which holds the texts "
                "(and with --columns what all are called, if the first line is a row)"
            )
        return found or ["text"]
    if len(asked) > 2:
        raise StudyError(f"--text takes one column, or two for pairs of texts, got {' '.join(asked)}")
    for name in asked:
        if list(table.columns).count(name) != 1 and table.columns:
            many = "several columns" if name in table.columns else "no column"
            raise StudyError(f"{table.name} has {many} {name}; it has {there}")
    return asked


def _check_pairs(model: Model, texts: list[str]) -> None:
    """Refuse one text where the model reads two, and two where it reads one; an old model does not say."""
    if model.calibrator is None or model.calibrator.reads_pairs == (len(texts) == 2):
        return
    if model.calibrator.reads_pairs:
        raise StudyError(f"{model.name} reads pairs of texts: give a file, and both columns with --text FIRST SECOND")
    raise StudyError(f"{model.name} reads single texts, --text names two columns: {' and '.join(texts)}")


def _check_output(out: Path | None, suffix: str, source: Path | None) -> None:
    """Refuse what could not be written, before a model is loaded."""
    if out is None:
        if suffix == ".parquet":
            raise StudyError("Parquet can't be written to standard output: give --out FILE, or --jsonl")
        return
    ending = Path(out.name.lower().removesuffix(PACKED)).suffix
    alike = {suffix, ".json"} if suffix == JSON_LINES else {suffix}
    if ending in FORMATS and ending not in alike:
        raise StudyError(f"--out {out} would hold {suffix[1:]}: end its name in {suffix}" + _or_jsonl(ending))
    if out.exists() and not out.is_file():
        raise StudyError(f"--out {out} is no ordinary file")
    if source is not None and out.exists() and out.samefile(source):
        raise StudyError(f"--out {out} is the input; give another file, so that nothing of it can be lost")
    if not out.parent.is_dir():
        raise StudyError(f"--out {out}: there is no folder {out.parent}")


def _or_jsonl(ending: str) -> str:
    return ", or add --jsonl" if ending in (".json", JSON_LINES) else ""


def _added(model: Model, options: Options) -> Added:
    names: dict[str, type] = {"label": str, "probability": float, "flagged": str}
    if options.all_probabilities:
        names |= {f"probability_{name}": float for name in model.label_names}
    return {f"{options.prefix}{name}": kind for name, kind in names.items()}


def _predict(model: Model, window: Window, columns: list[str]) -> Predictions:
    texts = [_texts(window, column) for column in columns]
    return model.predict(texts[0], texts[1] if len(texts) > 1 else None)


def _texts(window: Window, column: str) -> list[str]:
    """The texts of a column, empty where there is none.

    Raises:
        StudyError: If it holds anything else.
    """
    values = window.values(column)
    for at, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise StudyError(f"{window.place(at)}: column {column} must hold texts, found {value!r}")
    return [value or "" for value in values]


def _cells(added: Added, model: Model, predictions: Predictions) -> dict[str, list[Any]]:
    """The added columns, None where there is nothing to say."""
    per_class = [_numbers(column) for column in predictions.probabilities.T]
    index = {name: at for at, name in enumerate(model.label_names)}
    top = [None if label is None else per_class[index[label]][at] for at, label in enumerate(predictions.labels)]
    columns: list[list[Any]] = [predictions.labels, top, predictions.flags, *per_class]
    return dict(zip(added, columns, strict=False))  # without the classes' own where these are not asked for


def _numbers(column: Any) -> list[float | None]:
    return [None if value != value else value for value in column.tolist()]


@contextmanager
def _output(out: Path | None, results: BinaryIO) -> Iterator[BinaryIO]:
    """Where results go: standard output, or a file that is there once all of it is."""
    if out is None:
        yield results
        return
    partial = out.with_name(out.name + ".partial")
    try:
        with partial.open("wb") as file:
            if out.name.lower().endswith(PACKED):
                with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield file
        os.replace(partial, out)  # noqa: PTH105 - atomic by contract
    finally:
        partial.unlink(missing_ok=True)


def _polite(model: Model) -> Any:
    """Have PyTorch's threads make way for other programs, where there are any."""
    if model.classifier.record.base is None:
        return nullcontext()
    from stages.engine.threads import polite_threads

    return polite_threads()


def _summary(counts: Counter[str | None], progress: Progress) -> str:
    flags = {name[1:]: number for name, number in counts.items() if name and name.startswith("\0")}
    labels = [(name, number) for name, number in counts.most_common() if name and not name.startswith("\0")]
    told = [f"{shorten(name, LONGEST_NAME) or name} {number:,}" for name, number in labels[:SHOWN]]  # on one line
    if len(labels) > SHOWN:
        told.append(f"{sum(number for _, number in labels[SHOWN:]):,} in {len(labels) - SHOWN} other classes")
    flagged = ", ".join(f"{name} {number:,}" for name, number in flags.items()) or "none"
    return f"{progress.rows:,} rows, {progress.rate:,.0f} rows/s: {', '.join(told) or 'none'}; flagged: {flagged}"


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
