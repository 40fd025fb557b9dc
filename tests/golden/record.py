"""The golden record: what each numerical version computes, appended to and never rewritten.

    python -m tests.golden.record     writes the record of each version that has none yet

`test_record` computes everything again. Where it fails, a change altered numbers: raise the version of that room in
`stages/foundation/versions.py` (or of that method in its file) and append its record, or undo the change.

All of it goes through the pages, as an experiment does, so that whatever they use is held as well, and through what the
study measures of a finished one. Exactly: row ids, overlap, words, negation, token ids, the order of batches, dropout
masks, fresh weights. Within a tolerance: the loss of 40 steps and the logits after them, in fp32 on one thread, since
another processor sums in another order; and a temperature, which is searched for.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from stages import evaluate, prepare, subsample, train
from stages.engine.models.base_model import find_base_model
from stages.engine.models.encoder import load_tokenizer
from stages.engine.packed.dropout import DropoutMasks
from stages.engine.tokens import shuffled_batches, tokenize
from stages.foundation import paths, versions
from stages.foundation.files import read_json, write_json
from stages.foundation.params import read_params
from stages.foundation.split import Split, read_split, write_split
from stages.methods import METHODS, TrainView, build
from stages.scoring.classification import score
from stages.scoring.tables import write_predictions
from stages.study.gather import FILES, measure
from tests.pages.workspace import REPOSITORY, write_own_data, write_params
from tests.tiny_models import TINY, save_tiny_bert, save_tiny_distilbert, save_tiny_roberta

RECORDS = Path(__file__).with_name("records")
STEPS = 40
LABELS = ("negative", "positive")
PARTS = ("rows_of_held_sources", "rows_overlapping_val")  # of rows_dropped, counted apart since the record was made
SHOWN = 8  # values beside each digest, for whoever looks for what moved
SST2 = REPOSITORY.parent / "shared/sst2"

BY_NO_STEPS = {"method": "tfidf"}
NEGATIONS = ("not", "no", "never", "nothing", "nobody", "none", "neither", "nor", "without", "hardly", "cannot")
NEAR_NEGATIONS = ("isn't", "NOT", "can't-stop", "no-one", "knot", "nor1", "noone", "nothingness", "isn\u2019t", "know")

Record = dict[str, Any]

ARCHITECTURES: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "bert, packed": (save_tiny_bert, {"train.engine": "packed"}),
    "bert, plain": (save_tiny_bert, {"train.engine": "plain"}),
    "distilbert, plain": (
        save_tiny_distilbert,
        {"train.engine": "plain", "train.lora.target_modules": ["q_lin", "v_lin"]},
    ),
    "roberta, plain": (save_tiny_roberta, {"train.engine": "plain"}),
    **{
        f"{name}, packed": (TINY[name], {"train.engine": "packed"})
        for name in ("distilbert", "roberta", "electra", "mpnet", "modernbert")
    },
    "deberta-v2, plain": (
        TINY["deberta-v2"],
        {"train.engine": "plain", "train.lora.target_modules": ["query", "value"]},
    ),
}
FOUNDING = ("bert, packed", "bert, plain", "distilbert, plain", "roberta, plain")  # of the first record


def corpus_record() -> Record:
    """Which rows: pool, validation, test, and subsets of several sizes and seeds."""
    record = {
        "reviews": _rows({"dataset": "reviews"}, sizes=(250, 1000, 8000)),
        "reviews, random, natural": _rows(
            {"dataset": "reviews", "prepare.partition": "random", "subsample.class_ratio": "natural"}, sizes=(500,)
        ),
    }
    write_own_data()
    record["clauses"] = _rows({"dataset": "mine", "prepare.validation_rows": 40}, sizes=(20, 60))
    _write_grouped_data()
    record["groups"] = _rows({"dataset": "grouped", "prepare.validation_rows": 30}, sizes=(20,))
    _write_given_validation()
    record["given validation"] = _rows({"dataset": "given"}, sizes=(20,))
    return record


def texts_record() -> Record:
    """What is measured of texts: how far validation and test are met in training, words and negation."""
    record = {"reviews, random": _counts({"dataset": "reviews", "prepare.partition": "random"})}
    _write_overlapping_data()
    record["overlapping"] = _counts({"dataset": "overlapping", "prepare.validation_rows": 4, "samples": 6})
    texts = ["", "  two\twords \n", "word " * 40, *NEGATIONS, *(f"a {word}, b" for word in NEGATIONS), *NEAR_NEGATIONS]
    rows = measure(_outputs(texts), BY_NO_STEPS, {}).rows
    record["texts"] = {"words": rows.num_words.tolist(), "negates": rows.negates.tolist()}
    return record


def validation_record() -> Record:
    """Which rows validate: with the classes as the pool has them, or taken out of the samples."""
    _write_uneven_data()
    uneven = {"dataset": "uneven", "prepare.validation_rows": 40}
    record = {"natural": _rows(uneven | {"prepare.validation_ratio": "natural"}, sizes=(40,))}
    for name, changes in (("balanced", {}), ("natural", {"subsample.class_ratio": "natural"})):
        shared = uneven | changes | {"prepare.validation_rows": 0, "subsample.validation_share": 0.2}
        record[f"a {name} share"] = _rows(shared, sizes=(20, 60), parts=(paths.SUBSET, paths.VALIDATION))
    return record


def sst2_record() -> Record:
    """The rows of SST-2 itself, where it lies beside the checkout."""
    folder = paths.SOURCES / "sst2-files"
    folder.mkdir(parents=True)
    for name in ("train.tsv", "dev.tsv"):
        shutil.copy(SST2 / name, folder)
    (folder / "dataset.yaml").write_text("label_names: [negative, positive]\n")
    return {
        partition: _rows({"dataset": "sst2-files", "prepare.partition": partition}, sizes=(250, 8000, 56000))
        for partition in ("grouped", "random")
    }


def training_record() -> Record:
    """Tokens, the order of batches, dropout masks: what all that learns by gradient shares."""
    base = find_base_model("minilm", read_params("train", TrainView).train.base_models)
    sentences = ["a fine film .", "", "Not, it isn't 3.5 stars — naïve café", "word " * 300]
    tokens = tokenize(load_tokenizer(base.folder, base.name), sentences, 128)
    lengths = 3 + np.arange(1000) ** 2 % 47
    generator = np.random.default_rng(42)
    epochs = [
        np.concatenate(shuffled_batches(lengths, batch_size=32, bucket_batches=16, generator=generator))
        for _ in range(2)
    ]
    masks = DropoutMasks(42, torch.device("cpu"))
    drawn = [masks.draw(shape, 0.1, torch.float32) for shape in ((7, 5), (2, 3, 16, 16), (1, 1))]
    return {
        "token ids": _digest(tokens.ids),
        "token lengths": tokens.lengths.tolist(),
        "order of batches": [_digest(epoch) for epoch in epochs],
        "dropout masks": [_digest(mask.numpy()) for mask in drawn if mask is not None],
    }


def method_record(method: str, architectures: Sequence[str]) -> Record:
    """A training of 40 steps, validated after each: with these architectures, or none where the method has none."""
    if not METHODS[method].has_base_model:
        return {"": _trained(method, {})}
    record = {}
    for name in architectures:
        save, changes = ARCHITECTURES[name]
        shutil.rmtree("tiny", ignore_errors=True)
        save(Path("tiny"))
        read = _read_before_it_was_a_param(method) if name in FOUNDING else {}
        record[name] = _trained(method, {"model": "./tiny"} | changes | read)
    return record


def passes_record() -> Record:
    """Trained by passes over the rows, the last batch of each short, with weight decay: what 40 steps do not see."""
    save_tiny_bert(Path("tiny"))
    changes = {
        "model": "./tiny",
        "train.epochs": 3,
        "train.max_steps": None,
        "train.weight_decay": 0.1,
        "train.patience": 1,
    }
    return {
        method: _trained(method, changes | _read_before_it_was_a_param(method), num_rows=70)
        for method in ("lora", "full", "head")
    }


def trained_record() -> Record:
    """By the protocol `trained`: warm-up, validations at equal distances, the best of them kept."""
    save_tiny_bert(Path("tiny"))
    changes = {
        "model": "./tiny",
        "train.protocol": "trained",
        "train.trained.min_steps": STEPS,
        "train.trained.validations": 8,
        "train.trained.warmup": 0.2,
        "train.trained.patience": 3,
        "train.max_steps": None,
        "train.epochs": 1,
    }
    return {method: _trained(method, changes) for method in ("lora", "full", "head")}


def _read_before_it_was_a_param(method: str) -> dict[str, Any]:
    """What its head read when the first records were made."""
    return {key: value for key, value in METHODS[method].implied.items() if key in ("train.pooling", "train.pooler")}


def scoring_record() -> Record:
    """Scores of logits, with two classes and with four."""
    record = {}
    for num_classes in (2, 4):
        generator = np.random.default_rng(num_classes)
        logits = generator.normal(size=(500, num_classes)).astype(np.float32)
        labels = generator.integers(0, num_classes, 500)
        scores = score(logits, labels, confidence_level=0.95)
        accuracy = scores.accuracy
        record[f"{num_classes} classes"] = {
            "loss": scores.loss,
            "accuracy": [accuracy.value, accuracy.low, accuracy.high],
            "precision": scores.precision,
            "recall": scores.recall,
            "f1": scores.f1,
        }
    return record


def gathered_record() -> Record:
    """What the study measures of predictions: temperature, class margins, and of params and scores the steps."""
    by_epochs = {"method": "lora", "train.max_steps": None, "train.epochs": 5, "train.batch_size": 32}
    by_steps = by_epochs | {"train.max_steps": 1750}
    record: Record = {"margins": {}, "temperature": {}}
    for num_classes in (2, 4):
        for sureness, noise in ((1, 1), (0.1, 1), (-1, 0.5), (0.5, 0.05)):  # the last two meet the search's ends
            name = f"{num_classes} classes, sure by {sureness:g}, noise {noise:g}"
            outputs = _outputs(["a text"] * 60, num_classes=num_classes, sureness=sureness, noise=noise)
            found = measure(outputs, BY_NO_STEPS, {})
            record["margins"][name] = found.logits[:SHOWN].tolist()
            record["temperature"][name] = found.temperature
    record["steps"] = [
        measure(outputs, params, {"train_rows": train_rows, "epochs_run": epochs_run}).steps
        for params in (by_epochs, by_steps, BY_NO_STEPS)
        for train_rows, epochs_run in ((1000, 5), (1024, 5), (1025, 3), (20, 1))
    ]
    return record


def records() -> dict[str, Callable[[], Record]]:
    """What has a record, by its file's name without ending: the room or method, and its version."""
    training = f"training-{versions.TRAINING}"
    return {
        f"corpus-{versions.CORPUS}": corpus_record,
        f"corpus-{versions.CORPUS}-sst2": sst2_record,
        f"corpus-{versions.CORPUS}-texts": texts_record,
        f"corpus-{versions.CORPUS}-validation": validation_record,
        training: training_record,
        **{name: make for method in METHODS for name, make in _method_records(method).items()},
        f"passes-{training}": passes_record,
        f"trained-{training}": trained_record,
        f"scoring-{versions.SCORING}": scoring_record,
        f"scoring-{versions.SCORING}-gathered": gathered_record,
    }


def _method_records(method: str) -> dict[str, Callable[[], Record]]:
    """The founding architectures share a record; one that was added later has its own, since none is rewritten."""
    name = f"{method}-{METHODS[method].version}"
    if not METHODS[method].by_steps:
        return {name: partial(method_record, method, ())}
    name += f"-training-{versions.TRAINING}"
    later = [architecture for architecture in ARCHITECTURES if architecture not in FOUNDING]
    own = {f"{name}-{re.sub('[^a-z0-9]+', '-', one)}": partial(method_record, method, (one,)) for one in later}
    return {name: partial(method_record, method, FOUNDING), **own}


def computed(make: Callable[[], Record]) -> Record:
    """The record as this code makes it, in an empty folder and on one thread."""
    with _empty_folder(), _one_thread():
        write_params({})
        shutil.copytree(REPOSITORY / "data/sources/reviews", paths.SOURCES / "reviews")
        return make()


def _rows(changes: dict[str, Any], *, sizes: tuple[int, ...], parts: tuple[Path, ...] = (paths.SUBSET,)) -> Record:
    write_params(changes)
    prepare.main()
    record = {path.stem: _row_digest(read_split(path)) for path in (paths.POOL, paths.HELD_OUT, paths.TEST)}
    for samples in sizes:
        for seed in (42, 43):
            write_params(changes | {"samples": samples, "seed": seed})
            subsample.main()
            for part in parts:
                beside = "" if part == paths.SUBSET else f", {part.stem}"
                record[f"{samples} rows, seed {seed}{beside}"] = _row_digest(read_split(part))
    return record


def _counts(changes: dict[str, Any]) -> Record:
    """What prepare and subsample count."""
    write_params(changes)
    prepare.main()
    subsample.main()
    told = read_json(paths.POOL_METRICS) | read_json(paths.SUBSET_METRICS)
    return {name: count for name, count in told.items() if not name.endswith("_version") and name not in PARTS}


def _outputs(texts: list[str], *, num_classes: int = 2, sureness: float = 1.0, noise: float = 1.0) -> list[bytes]:
    """An experiment with these texts in both splits, whose logits are noise, but `sureness` more at the true class."""
    generator = np.random.default_rng(num_classes)
    for file, target in ((paths.TEST, paths.TEST_PREDICTIONS), (paths.VALIDATION, paths.VALIDATION_PREDICTIONS)):
        labels = generator.integers(0, num_classes, len(texts))
        names = tuple(f"class {at}" for at in range(num_classes))
        split = Split(row_ids=np.arange(len(texts)), sentences=texts, labels=labels, label_names=names)
        logits = noise * generator.normal(size=(len(texts), num_classes)) + sureness * np.eye(num_classes)[labels]
        write_split(file, split)
        write_predictions(target, split, logits.astype(np.float32))
    write_split(paths.SUBSET, split)
    write_json(paths.DATA_CARD, {"synthetic": False})
    return [file.read_bytes() for file in FILES]


def _row_digest(split: Split) -> Record:
    texts = hashlib.sha256("\n".join(split.sentences).encode()).hexdigest()
    return _digest(split.row_ids) | {"rows": len(split), "sentences": texts, "labels": _digest(split.labels)["sha256"]}


def _digest(values: np.ndarray[Any, Any]) -> Record:
    kept = np.ascontiguousarray(values)
    return {
        "sha256": hashlib.sha256(kept.astype(kept.dtype.newbyteorder("<")).tobytes()).hexdigest(),
        "first": kept.ravel()[:SHOWN].tolist(),
    }


def _trained(method: str, changes: dict[str, Any], *, num_rows: int = 72) -> Record:
    """Fresh weights, the loss path, and the logits of the kept epoch."""
    changes = {
        "method": method,
        "seed": 42,
        "train.device": "cpu",
        "train.precision": "fp32",
        "train.epochs": STEPS,
        "train.max_steps": STEPS,
        "train.patience": STEPS,
        "train.batch_size": 8,
        "train.lora.learning_rate": 5e-3,
        "train.full.learning_rate": 5e-4,
    } | changes
    write_params(changes)
    write_split(paths.SUBSET, _opinions(num_rows, seed=0))
    write_split(paths.VALIDATION, _opinions(24, seed=1))
    write_split(paths.TEST, _opinions(24, seed=2))
    write_json(paths.DATA_CARD, {"positive": None})
    fresh = _fresh_weights() if METHODS[method].has_base_model else {}
    train.main()
    evaluate.main()
    history = pd.read_csv(paths.HISTORY)
    logits = pd.read_parquet(paths.TEST_PREDICTIONS).filter(like="logit_").to_numpy()
    return {
        "fresh weights": fresh,
        "training loss": history["train_loss"].tolist(),
        "validation loss": history["val_loss"].tolist(),
        "logits": logits.tolist(),
    }


def _fresh_weights() -> Record:
    classifier: Any = build(read_params("train", TrainView), LABELS)
    trained = classifier.trainable()
    joined = np.concatenate([trained[name].detach().numpy().ravel() for name in sorted(trained)])
    return _digest(joined) | {"numbers": len(joined)}


def _opinions(num_rows: int, *, seed: int) -> Split:
    """Texts of one to nine words whose class is that of most of their opinions."""
    generator = np.random.default_rng(seed)
    labels = np.arange(num_rows) % 2
    fillers = np.array(["a", "film", "the", "plot", "is", "very", "not"])
    sentences = []
    for label in labels:
        words = [*generator.choice(fillers, size=generator.integers(0, 7)), "good" if label else "bad"]
        sentences.append(" ".join(generator.permutation([*words, *generator.choice(["fine", "poor"], size=1)])))
    return Split(row_ids=np.arange(num_rows), sentences=sentences, labels=labels, label_names=LABELS)


def _write_grouped_data() -> None:
    folder = paths.SOURCES / "grouped"
    folder.mkdir(parents=True)
    lines = [f"text {at} of {at % 37}\t{at // 3 % 2}\tg{at % 37}" for at in range(300)]
    (folder / "train.tsv").write_text("\n".join(["sentence\tlabel\tauthor", *lines]) + "\n")
    (folder / "dev.tsv").write_text("sentence\tlabel\tauthor\nnew one\t0\tx\nnew two\t1\ty\n")
    (folder / "dataset.yaml").write_text("group: author\n")


def _write_uneven_data() -> None:
    """Sentences with their first three words, which four of them share; a fifth is of the second class."""
    folder = paths.SOURCES / "uneven"
    folder.mkdir(parents=True)
    rows = {}
    for at in range(240):
        first = f"number {at // 4} is"
        for text in (f"{first} followed by {at}", first):
            rows.setdefault(text, int(at % 5 == 0))
    lines = [f"{text}\t{label}" for text, label in rows.items()]
    (folder / "train.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    (folder / "dev.tsv").write_text("sentence\tlabel\nnew one\t0\nnew two\t1\n")


def _write_overlapping_data() -> None:
    """Test rows that equal a training row, are part of one, contain one, contain one too short, and none of these."""
    folder = paths.SOURCES / "overlapping"
    folder.mkdir(parents=True)
    lines = [f"row number {at} of a short list\t{at % 2}" for at in range(16)]
    row = "row number 3 of a short list"
    test = [f" {row.upper()}", "3 of a short", f"see {row}", "so two words", "list row 3"]
    extra = ["two words\t0", "three words now\t1"]
    (folder / "train.tsv").write_text("\n".join(["sentence\tlabel", *lines, *extra]) + "\n")
    (folder / "dev.tsv").write_text("\n".join(["sentence\tlabel", *(f"{text}\t1" for text in test)]) + "\n")


def _write_given_validation() -> None:
    folder = paths.SOURCES / "given"
    folder.mkdir(parents=True)
    for name, start, stop in (("train", 0, 90), ("validation", 80, 110), ("test", 110, 120)):
        lines = [f"a text with number {at // 2}\t{at // 2 % 2}" for at in range(start, stop)]
        (folder / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")


@contextmanager
def _empty_folder() -> Iterator[None]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def main() -> None:
    """Append what has no record yet."""
    RECORDS.mkdir(exist_ok=True)
    for name, make in records().items():
        file = RECORDS / f"{name}.json"
        if file.exists():
            sys.stdout.write(f"{name}: is recorded, and stays\n")
        elif make is sst2_record and not SST2.is_dir():
            sys.stdout.write(f"{name}: SST-2 is not at hand\n")
        else:
            file.write_text(json.dumps(computed(make), indent=1) + "\n")
            sys.stdout.write(f"{name}: recorded\n")


if __name__ == "__main__":
    main()
