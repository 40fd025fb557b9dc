"""What every contestant is given: one model, the same rows, the same settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from stages.corpus.sources.formats import read_table
from stages.engine.params import TrainParams
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json
from stages.foundation.params import read_params
from stages.foundation.split import Split
from stages.methods import TrainView

PEFT_NAMES = {  # by `model_type`: what PEFT calls the layers of a role, where that is not the role itself
    "distilbert": {"query": "q_lin", "key": "k_lin", "value": "v_lin"},
    "mpnet": {"query": "q", "key": "k", "value": "v"},
    "modernbert": dict.fromkeys(("query", "key", "value"), "Wqkv"),  # one layer, which PEFT adapts as a whole
    "deberta-v2": {"query": "query_proj", "key": "key_proj", "value": "value_proj"},
}
SHUFFLE_SEED = 0  # of the rows; a file's first rows are seldom like the rest


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A worker's orders, sent to it as it starts."""

    folder: Path  # config.json, safetensors weights and the tokenizer
    params: TrainParams  # AdamW, batch size and the section of LoRA, as params.yaml says
    rows: Split


def read_settings() -> TrainParams:
    """The section `train` of params.yaml: the study's own settings are what is compared."""
    return read_params("train", TrainView).train


def read_rows(path: Path, num_rows: int) -> Split:
    """The first rows of a table, shuffled with a fixed seed, with the columns `sentence` and `label`.

    Raises:
        StudyError: If the table is missing or has too few rows.
    """
    table = read_table(path)
    if missing := {"sentence", "label"} - set(table.columns):
        raise StudyError(f"{path} has no column {' and '.join(sorted(missing))}")
    if len(table) < num_rows:
        raise StudyError(f"{path} has {len(table):,} rows, {num_rows:,} are needed: ask for fewer")
    order = np.random.default_rng(SHUFFLE_SEED).permutation(len(table))[:num_rows]
    names, labels = np.unique(table["label"].astype(str).to_numpy(str), return_inverse=True)
    sentences = table["sentence"].to_numpy()
    return Split(
        row_ids=order,
        sentences=[str(sentences[row]) for row in order],
        labels=labels[order].astype(np.int64),
        label_names=tuple(names.tolist()),
    )


def peft_names(kind: str, target_modules: Sequence[str]) -> list[str]:
    """What a user of PEFT would write for roles of params.yaml; other names stay as they are."""
    names = PEFT_NAMES.get(kind, {})
    return list(dict.fromkeys(names.get(role, role) for role in target_modules))


def mean_tokens(task: Task, num_rows: int) -> float:
    """Tokens of each of the first rows on average, special tokens included and padding not."""
    tokenizer = Tokenizer.from_file(str(task.folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(task.params.max_tokens)
    return float(np.mean([len(row.ids) for row in tokenizer.encode_batch(task.rows.sentences[:num_rows])]))


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of an encoder that its matrix products depend on."""

    layers: int
    linear: tuple[tuple[int, int], ...]  # inputs and outputs of the linear layers of one encoder layer

    @property
    def parameters(self) -> int:
        """Weights of the linear layers."""
        return self.layers * sum(inside * outside for inside, outside in self.linear)


def read_shape(folder: Path) -> Shape:
    """What config.json says: query, key, value and output of attention, and the two layers of the feed-forward part."""
    config, kind = read_json(folder / "config.json"), read_kind(folder)
    if kind == "distilbert":
        layers, width, inner = config["n_layers"], config["dim"], config["hidden_dim"]
    else:
        layers, width, inner = config["num_hidden_layers"], config["hidden_size"], config["intermediate_size"]
    if kind == "modernbert":  # query, key and value are one layer, values and gates are another
        return Shape(layers, ((width, 3 * width), (width, width), (width, 2 * inner), (inner, width)))
    return Shape(layers, (*[(width, width)] * 4, (width, inner), (inner, width)))


def read_kind(folder: Path) -> str:
    """The architecture, by the name that Transformers gives it."""
    kind: str = read_json(folder / "config.json")["model_type"]
    return kind
