"""How fast `stages.predict` is beside `transformers.pipeline`, and beside scikit-learn's own prediction for tfidf.

    python -m tests.benchmark.prediction --rows ~/SST-2/train.tsv

Both are given the same texts and the same weights: a model as the stage train saves it, and its equivalent for plain
Transformers, an adapter merged. Tokenising and probabilities are timed, loading is not; each measurement is a process
of its own, in turns. The heads are fresh, since what they say costs the same.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from stages.foundation.errors import StudyError
from stages.foundation.files import write_text
from stages.foundation.log import say
from stages.foundation.split import Split
from tests.benchmark.machine import Machine, describe_machine, headline
from tests.benchmark.table import spread
from tests.benchmark.task import read_rows, read_settings
from tests.benchmark.worker import in_child

METHODS = ("lora", "full", "head", "tfidf")
OURS = "stages.predict"
WAYS: dict[str, int | None] = {OURS: None, "pipeline": 1, "pipeline, batch_size=32": 32}  # rows of a forward pass
PEER_OF_TFIDF = "predict_proba"
WARM_UP_ROWS = 64
COLUMNS = ("method", "format", "this, rows/s", "pipeline, rows/s", "times", "pipeline, batch_size=32, rows/s", "times")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How fast one way predicted with one method's model."""

    method: str
    way: str  # OURS, a way of WAYS or PEER_OF_TFIDF
    precision: str  # of the matrix products
    rates: list[float]  # rows/s, one for each repeat


def save_models(method: str, model: str, rows: Split, scratch: Path) -> None:
    """The model as train saves it, and its equivalent for plain Transformers beside it; in the child."""
    from stages.foundation.params import read_params
    from stages.methods import TrainView, build
    from stages.scoring.calibration import fit_calibrator, write_calibrator

    view = replace(read_params("train", TrainView), method=method, model=model)
    classifier: Any = build(view, rows.label_names)
    if method == "tfidf":
        classifier.fit(rows, rows, view.train, seed=0)
    classifier.save(scratch / method)
    write_calibrator(scratch / method, fit_calibrator(classifier.predict(rows, 16_384), rows.labels, rows.label_names))
    if method == "tfidf":
        return
    plain = classifier.model.merge_and_unload() if method == "lora" else classifier.model
    plain.save_pretrained(scratch / f"{method}-plain")
    classifier.tokenizer.save_pretrained(scratch / f"{method}-plain")


def pace_of_ours(folder: Path, texts: list[str]) -> tuple[float, str]:
    """Rows per second as the command predicts a file, and the number format; in the child."""
    from stages.engine.threads import polite_threads
    from stages.predict.model import load_model
    from stages.predict.tables import WINDOW_ROWS

    model = load_model(folder, str(folder))

    def predict(part: list[str]) -> None:
        for start in range(0, len(part), WINDOW_ROWS):
            model.predict(part[start : start + WINDOW_ROWS])

    with polite_threads():
        return _rate(predict, texts), model.classifier.record.precision


def pace_of_pipeline(folder: Path, texts: list[str], batch_size: int, max_tokens: int) -> tuple[float, str]:
    """The same of `transformers.pipeline`; in the child."""
    from transformers import logging, pipeline

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    pipe = pipeline("text-classification", model=str(folder), device="cpu")
    options = {"batch_size": batch_size, "truncation": True, "max_length": max_tokens, "top_k": None}
    return _rate(lambda part: pipe(part, **options), texts), "fp32"


def pace_of_predict_proba(folder: Path, texts: list[str]) -> tuple[float, str]:
    """The same of scikit-learn's vectorizer and regression, all rows at once; in the child."""
    from stages.methods import load

    classifier: Any = load(folder, "cpu")
    predict = classifier.regression.predict_proba
    return _rate(lambda part: predict(classifier.vectorizer.transform(part)), texts), "fp64"


def _rate(predict: Callable[[list[str]], Any], texts: list[str]) -> float:
    predict(texts[:WARM_UP_ROWS])
    started = time.perf_counter()
    predict(texts)
    return len(texts) / (time.perf_counter() - started)


def measure(methods: list[str], model: str, rows: Split, repeats: int, max_tokens: int, scratch: Path) -> list[Pace]:
    """All ways with all methods, in turns."""
    paces = []
    for method in methods:
        in_child(save_models, method, model, rows, scratch)
        ways = [OURS, PEER_OF_TFIDF] if method == "tfidf" else list(WAYS)
        rates: dict[str, list[float]] = {way: [] for way in ways}
        formats = {}
        for _ in range(repeats):
            for way in ways:
                rate, formats[way] = _one(method, way, rows.sentences, max_tokens, scratch)
                rates[way].append(rate)
        paces += [Pace(method=method, way=way, precision=formats[way], rates=rates[way]) for way in ways]
        say(f"{method}: " + "; ".join(f"{way} {spread(rates[way])} rows/s" for way in ways))
    return paces


def _one(method: str, way: str, texts: list[str], max_tokens: int, scratch: Path) -> tuple[float, str]:
    if way == OURS:
        return in_child(pace_of_ours, scratch / method, texts)
    if way == PEER_OF_TFIDF:
        return in_child(pace_of_predict_proba, scratch / method, texts)
    return in_child(pace_of_pipeline, scratch / f"{method}-plain", texts, WAYS[way], max_tokens)


def page(machine: Machine, model: str, num_rows: int, paces: list[Pace]) -> str:
    """A Markdown page with one table."""
    lines = [
        "# Prediction",
        "",
        headline(machine),
        "",
        f"{model}, {num_rows:,} rows, median [range]. `pipeline` is `transformers.pipeline` on the same weights, an "
        "adapter merged, in its default of one text at a time and with the batch size that its users set; for tfidf it "
        "is scikit-learn's own `predict_proba`. Texts in, probabilities out; loading is left out.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "| --- | --- |" + " ---: |" * (len(COLUMNS) - 2),
    ]
    methods = dict.fromkeys(pace.method for pace in paces)
    return "\n".join([*lines, *(row_of([pace for pace in paces if pace.method == name]) for name in methods)]) + "\n"


def row_of(paces: list[Pace]) -> str:
    """Of the table, one method's line."""
    by_way = {pace.way: pace for pace in paces}
    ours = by_way.pop(OURS)
    cells = [ours.method, ours.precision, spread(ours.rates)]
    for peer in by_way.values():
        cells += [spread(peer.rates), f"{median(ours.rates) / median(peer.rates):#.3g}"]
    cells += ["-"] * (len(COLUMNS) - len(cells))
    return f"| {' | '.join(cells)} |"


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; every default stands here."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.prediction",
        description="Measure prediction beside transformers.pipeline.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--rows", type=Path, required=True, help="a table with the columns sentence and label")
    add("--num-rows", type=int, default=4096, help="rows of it")
    add("--model", default="minilm", help="as `model` in params.yaml")
    add("--methods", nargs="+", default=list(METHODS), choices=METHODS, metavar="NAME", help=", ".join(METHODS))
    add("--repeats", type=int, default=3)
    add("--out", type=Path, default=Path("metrics/prediction.md"))
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measure, print, write."""
    args = parse(arguments)
    rows = read_rows(args.rows, args.num_rows)
    with TemporaryDirectory() as scratch:
        paces = measure(args.methods, args.model, rows, args.repeats, read_settings().max_tokens, Path(scratch))
    told = page(in_child(describe_machine), args.model, len(rows), paces)
    say(told)
    write_text(args.out, told)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except StudyError as error:
        sys.exit(str(error))
