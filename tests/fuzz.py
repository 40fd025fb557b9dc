"""Whatever is given to the readers, data come out or one clear line, and never another error.

    python -m tests.fuzz [--inputs 10000] [--seed 0]

Tables of every format, sound and damaged, as `prepare` and as `predict` read them; whole data sets with a dataset.yaml,
up to the partition; dataset.yaml and params.yaml by themselves. Says of each kind how many inputs there were, how many
gave data and how many were refused. Ends with 1 if anything else happened, and shows the inputs.
"""

import argparse
import csv
import gzip
import importlib
import io
import json
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import chdir, closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stages.corpus.cleaning import clean
from stages.corpus.params import PrepareParams
from stages.corpus.partition import partition
from stages.corpus.sources.formats import read_file
from stages.corpus.sources.settings import FilesSettings, HubSettings, PhraseBankSettings, read_settings
from stages.corpus.sources.source import read_source
from stages.foundation import files, params, paths
from stages.foundation.errors import StudyError
from stages.foundation.log import say
from stages.predict.json_tables import JsonLinesWriter
from stages.predict.tables import open_table
from tests.corpus.test_formats import SYNTAX
from tests.corpus.test_settings import COLUMNS
from tests.foundation.test_schema import VALUES, sections
from tests.test_pipeline import VIEWS

REPOSITORY = Path(__file__).resolve().parents[1]
LONGEST = 1500  # characters of a clear line
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "a fine film", "two hours too long", '"', "=1+1", "NA", "\ufeff", "\0", "a\r\nb", "so, so; so\tso", "ß" * 50]
)
LABEL = st.sampled_from(["0", "1", "1", "0", "good", "bad", "-1", "1.0", "true", "", "nan", "2"])
ANY = TEXT | st.integers() | st.floats() | st.none() | st.booleans() | st.lists(TEXT, max_size=2)
NAMES = st.sampled_from(["text", "sentence", "label", "Label ", "group", "", "x", "text"])
TABLES = (".tsv", ".csv", ".jsonl", ".json", ".parquet", ".tsv.gz", ".csv.gz", ".jsonl.gz", ".json.gz")
ADDED: dict[str, type] = {"predicted_label": str, "predicted_probability": float}
FEW_ROWS = PrepareParams(partition="grouped", split_seed=1, validation_rows=2, validation_ratio="balanced")
SETTINGS = {
    "columns": st.none() | st.lists(NAMES, min_size=2, max_size=4),
    "separator": st.none() | st.sampled_from(["comma", "tab", ";", "|", " ", "a", "\\t", "\x00"]),
    "quoting": st.none() | st.sampled_from(["csv", "none"]),
}


@st.composite
def delimited(draw: st.DrawFn) -> bytes:
    """Rows as programs write them: any separator, quoting, line end and encoding."""
    header = draw(st.just(["text", "label"]) | st.lists(NAMES, min_size=1, max_size=4))
    rows = draw(st.lists(st.tuples(TEXT, LABEL, *([TEXT] * (len(header) - 2))), max_size=9))
    file = io.StringIO(newline="")
    writer = csv.writer(
        file,
        delimiter=draw(st.sampled_from([",", "\t", ";", "|"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
    )
    writer.writerows([header, *rows] if draw(st.integers(0, 5)) else rows)
    return file.getvalue().encode(draw(st.sampled_from(["utf-8"] * 4 + ["utf-8-sig", "utf-16"])))


@st.composite
def json_text(draw: st.DrawFn) -> bytes:
    """Objects in lines or in an array, and other JSON."""
    row = st.fixed_dictionaries({"text": TEXT, "label": LABEL}) | st.dictionaries(NAMES, ANY, max_size=3)
    rows = draw(st.lists(row, max_size=9))
    escaped = draw(st.booleans())
    if draw(st.booleans()):
        return "\n".join(json.dumps(one, ensure_ascii=escaped) for one in rows).encode()
    whole = draw(st.just(rows) | st.just({"data": rows}) | VALUES.filter(_is_json))
    return json.dumps(whole, ensure_ascii=escaped, indent=draw(st.sampled_from([None, 1]))).encode()


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


@st.composite
def parquet(draw: st.DrawFn) -> bytes:
    """Columns of several types, and what `datasets` notes of classes."""
    rows = draw(st.integers(0, 6))

    def column(*kinds: st.SearchStrategy[Any]) -> Any:
        return draw(st.one_of([st.lists(kind, min_size=rows, max_size=rows) for kind in kinds]))

    integers = st.integers(-(2**63), 2**63 - 1)
    columns = {
        "text": column(TEXT, TEXT | st.none(), st.binary(max_size=3), st.lists(TEXT, max_size=2), integers),
        "label": column(LABEL, st.integers(0, 2), st.floats(), st.booleans(), st.none(), st.dates()),
    }
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    if draw(st.booleans()):
        frame.columns = pd.Index(draw(st.lists(NAMES.filter(bool), min_size=2, max_size=2, unique=True)))
    stream = io.BytesIO()
    try:
        frame.to_parquet(stream, index=draw(st.booleans()), compression=draw(st.sampled_from(["snappy", None, "zstd"])))
    except (ValueError, TypeError):  # of pyarrow, which can't write it
        return b"PAR1"
    return stream.getvalue()


@st.composite
def damaged(draw: st.DrawFn, content: st.SearchStrategy[bytes]) -> bytes:
    """As it is or, every second time, cut, with bytes put in, left out or changed."""
    raw = draw(content)
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        at, way = draw(st.integers(0, len(raw))), draw(st.sampled_from(["cut", "put in", "leave out", "change"]))
        some = draw(st.binary(min_size=1, max_size=3) | st.sampled_from([b'"', b"\n", b"\r", b"{", b"]", b",", b"\t"]))
        raw = {
            "cut": raw[:at],
            "put in": raw[:at] + some + raw[at:],
            "leave out": raw[:at] + raw[at + len(some) :],
            "change": raw[:at] + some + raw[at + len(some) :],
        }[way]
    return raw


@st.composite
def table_files(draw: st.DrawFn, stem: str = "train") -> tuple[str, bytes]:
    """A name and what it holds, which mostly is what its ending says."""
    ending = draw(st.sampled_from(TABLES))
    noise = st.binary(max_size=60) | SYNTAX.map(str.encode)
    fitting = delimited() if "sv" in ending else json_text() if "json" in ending else parquet()
    content = draw(damaged(st.one_of(fitting, fitting, fitting, noise, delimited())))
    if ending.endswith(".gz") and draw(st.integers(0, 5)):
        content = gzip.compress(content, mtime=0)
        content = draw(damaged(st.just(content))) if not draw(st.integers(0, 3)) else content
    return stem + ending, content


@st.composite
def yaml_text(draw: st.DrawFn, tree: st.SearchStrategy[Any]) -> bytes:
    """A tree as YAML, perhaps damaged."""
    stream, written = io.StringIO(), draw(tree)
    try:
        YAML(typ="safe").dump(written, stream)
    except (ValueError, TypeError):  # of what ruamel can't write
        stream = io.StringIO(repr(written))
    return draw(damaged(st.just(stream.getvalue().encode(errors="replace"))))


DATASET_YAML = yaml_text(sections(FilesSettings) | sections(HubSettings) | sections(PhraseBankSettings) | VALUES)


@st.composite
def sound_files(draw: st.DrawFn, stem: str) -> tuple[str, bytes]:
    """Rows of two classes and more, with whatever texts."""
    rows = draw(st.lists(st.tuples(TEXT, st.sampled_from(["good", "bad", "good", "bad", "so so"])), max_size=12))
    rows += [(f"a {word} number {draw(st.integers(0, 99))}", word) for word in ("good", "bad") for _ in range(3)]
    frame = pd.DataFrame(rows, columns=["text", "label"])
    ending, stream = draw(st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet"])), io.BytesIO()
    if ending == ".parquet":
        frame.to_parquet(stream)
    elif ending == ".jsonl":
        frame.to_json(stream, orient="records", lines=True)
    else:
        frame.to_csv(stream, index=False, sep="\t" if ending == ".tsv" else ",")
    return stem + ending, stream.getvalue()


@st.composite
def data_sets(draw: st.DrawFn) -> dict[str, bytes]:
    """A folder: tables, and perhaps what describes them."""
    found = dict(draw(st.one_of(sound_files(stem), sound_files(stem), table_files(stem))) for stem in ("train", "test"))
    if draw(st.booleans()):
        found |= dict([draw(table_files(draw(st.sampled_from(["dev", "validation", "valid"]))))])
    described = st.builds(FilesSettings, **COLUMNS, **SETTINGS).map(_told)
    some = st.fixed_dictionaries({}, optional={"label": NAMES, "text": NAMES, "label_names": st.just(["bad", "good"])})
    content = draw(st.none() | st.none() | st.one_of(yaml_text(some), yaml_text(described), DATASET_YAML))
    return found if content is None else found | {"dataset.yaml": content}


def _told(wanted: FilesSettings) -> dict[str, Any]:
    """What of it is said: a null says nothing."""
    tree = {name: getattr(wanted, name) for name in wanted.__dataclass_fields__}
    return {name: value for name, value in tree.items() if isinstance(value, str | list | int)}


@st.composite
def params_texts(draw: st.DrawFn) -> tuple[str, bytes]:
    """A stage, and params.yaml with values changed, lines gone or double, or damaged."""
    lines = _params_lines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        key = lines[at].partition(":")[0]
        value = draw(VALUES.filter(_is_json).map(json.dumps) | TEXT.map(lambda text: re.sub(r"[\r\n]", " ", text)))
        lines = draw(
            st.sampled_from(
                [
                    [*lines[:at], f"{key}: {value}", *lines[at + 1 :]],
                    [*lines[:at], *lines[at + 1 :]],
                    [*lines[: at + 1], *lines[at:]],
                ]
            )
        ) or ["samples: 1"]
    text = "\n".join(lines).encode()
    return draw(st.sampled_from(list(VIEWS))), draw(st.just(text) | damaged(st.just(text)))


@cache
def _params_lines() -> tuple[str, ...]:
    """params.yaml without comments and without the models that are named, so that it is read fast."""
    text = (REPOSITORY / paths.PARAMS).read_text()
    text = re.sub(r"(?s)\n  base_models:.*?\n(?=\S)", "\n  base_models: {}\n", text)
    return tuple(line for line in (re.sub(r" *#.*", "", line) for line in text.splitlines()) if line.strip())


def read_table(folder: Path, given: tuple[tuple[str, bytes], FilesSettings]) -> object:
    """As `prepare` does."""
    (name, content), wanted = given
    (folder / name).write_bytes(content)
    return read_file(folder / name, wanted)


def rewrite_table(folder: Path, given: tuple[tuple[str, bytes], list[str] | None, bool]) -> object:
    """As `predict` does: texts out, and the rows again with columns added."""
    (name, content), columns, as_json = given
    (folder / name).write_bytes(content)
    stream = io.BytesIO()
    with closing(open_table(folder / name, columns)) as table:
        writer = JsonLinesWriter(stream) if as_json else table.writer(stream, ADDED)
        for window in table.windows():
            for column in table.columns[:1]:
                window.values(column)
            writer.write(window, {"predicted_label": ["a"] * len(window), "predicted_probability": [0.5] * len(window)})
        writer.close()
    return stream.getvalue()


def read_data_set(folder: Path, given: dict[str, bytes]) -> object:
    """As `prepare` does, up to the partition."""
    (folder / paths.SOURCES / "mine").mkdir(parents=True)
    for name, content in given.items():
        (folder / paths.SOURCES / "mine" / name).write_bytes(content)
    source, *_ = clean(read_source("mine"))
    return partition(source, FEW_ROWS)


def read_dataset_yaml(folder: Path, given: bytes) -> object:
    """By itself."""
    (folder / "dataset.yaml").write_bytes(given)
    return read_settings(folder)


def read_params_yaml(folder: Path, given: tuple[str, bytes]) -> object:
    """As a stage does."""
    stage, content = given
    (folder / paths.PARAMS).write_bytes(content)
    module, name = VIEWS[stage].split(":")
    return params.read_params(stage, getattr(importlib.import_module(module), name))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Inputs of one kind, and what reads them."""

    name: str
    inputs: st.SearchStrategy[Any]
    read: Callable[[Path, Any], object]
    share: float  # of all inputs


KINDS = [
    Kind(
        name="tables, as prepare reads them",
        inputs=st.tuples(table_files(), st.just(FilesSettings()) | st.builds(FilesSettings, **SETTINGS)),
        read=read_table,
        share=0.3,
    ),
    Kind(
        name="tables, as predict reads and writes them",
        inputs=st.tuples(table_files(), st.none() | st.just(["text", "label"]), st.booleans()),
        read=rewrite_table,
        share=0.25,
    ),
    Kind(name="data sets, up to the partition", inputs=data_sets(), read=read_data_set, share=0.2),
    Kind(name="dataset.yaml", inputs=DATASET_YAML, read=read_dataset_yaml, share=0.15),
    Kind(name="params.yaml", inputs=params_texts(), read=read_params_yaml, share=0.1),
]


@dataclass(kw_only=True)
class Counted:
    """What became of the inputs of one kind."""

    data: int = 0
    refused: int = 0
    errors: dict[str, str] = field(default_factory=dict)  # by where they came from, an input and what was said
    erring: int = 0

    @property
    def inputs(self) -> int:
        """All of them."""
        return self.data + self.refused + self.erring


def fuzz(kind: Kind, number: int, seed_of_inputs: int) -> Counted:
    """Read so many inputs of a kind."""
    counted = Counted()
    for round_number in range(10):  # one round may end early, where it finds nothing new
        if counted.inputs >= number:
            break
        _fuzz_round(kind, number - counted.inputs, seed_of_inputs + 1000 * round_number, counted)
    return counted


def _fuzz_round(kind: Kind, number: int, seed_of_inputs: int, counted: Counted) -> None:
    @seed(seed_of_inputs)
    @settings(
        max_examples=number,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(kind.inputs)
    def read_each(given_input: Any) -> None:
        with TemporaryDirectory() as folder, chdir(folder):
            _count(kind, Path(folder), given_input, counted)

    read_each()


def _count(kind: Kind, folder: Path, given_input: Any, counted: Counted) -> None:
    try:
        kind.read(folder, given_input)
    except StudyError as refusal:
        line = str(refusal)
        if len(line) <= LONGEST and len(line.splitlines()) == 1:
            counted.refused += 1
            return
        where, said = f"a refusal of {len(line.splitlines())} lines, {len(line)} characters", line[:LONGEST]
    except Exception as error:  # noqa: BLE001 - what is looked for
        own = [at for at in traceback.extract_tb(error.__traceback__) if "/stages/" in at.filename]
        where = (
            f"{type(error).__name__} at {own[-1].filename.partition('/stages/')[2]}:{own[-1].lineno}" if own else "?"
        )
        said = f"{type(error).__name__}: {error}"
    else:
        counted.data += 1
        return
    counted.erring += 1
    counted.errors.setdefault(where, f"{said[:400]}\n    {repr(given_input)[:1000]}")


def fuzz_all(number: int, seed_of_inputs: int) -> dict[str, Counted]:
    """Read inputs of every kind, `number` in all; nothing is asked of a network, and a warning is an error."""
    declared = {stage: list(told.get("params", [])) for stage, told in _pipeline().items()} | {params.STUDY: ["study"]}
    with (
        warnings.catch_warnings(),
        patch.object(params, "declared_keys", lambda: declared),  # dvc.yaml is always the same
        patch("stages.hub.snapshot.is_offline_mode", lambda: True),
        patch("huggingface_hub.constants.HF_HUB_OFFLINE", True),  # noqa: FBT003
    ):
        warnings.simplefilter("error")
        return {kind.name: fuzz(kind, int(np.ceil(kind.share * number)), seed_of_inputs) for kind in KINDS}


@cache
def _pipeline() -> dict[str, Any]:
    stages: dict[str, Any] = files.read_yaml(REPOSITORY / paths.PIPELINE)["stages"]
    return stages


def table(outcomes: dict[str, Counted]) -> str:
    """A line for each kind, and one for all."""
    lines = ["| inputs | number | gave data | refused in one line | anything else |", "| --- |" + " ---: |" * 4]
    total = [0, 0, 0, 0]
    for name, one in outcomes.items():
        numbers = [one.inputs, one.data, one.refused, one.erring]
        total = [before + here for before, here in zip(total, numbers, strict=True)]
        lines.append(f"| {name} | {' | '.join(f'{each:,}' for each in numbers)} |")
    lines.append(f"| all | {' | '.join(f'{each:,}' for each in total)} |")
    return "\n".join(lines)


def main() -> None:
    """Read them all, and tell."""
    parser = argparse.ArgumentParser("python -m tests.fuzz", description="Give the readers whatever can be thought of.")
    parser.add_argument("--inputs", type=int, default=10_000, help="in all (10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs (0)")
    asked = parser.parse_args()
    outcomes = fuzz_all(asked.inputs, asked.seed)
    say(table(outcomes))
    for name, one in outcomes.items():
        for where, said in one.errors.items():
            say(f"{name}, {where}: {said}")
    if any(one.errors for one in outcomes.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
