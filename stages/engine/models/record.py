"""What a saved classifier was made from, beside its weights."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from stages.engine.params import BaseModelSource, Reading
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_json

FILE = "classifier.json"

Engine = Literal["packed", "plain"]  # of a base model's forward pass
Precision = Literal["bf16", "fp32", "fp64"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseRecord:
    """The base model that has to be found again."""

    name: str  # in params.yaml
    source: BaseModelSource
    location: str
    pin: str  # SHA-256 of the weights or commit
    weights_sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """Plain values, the same on every machine: what is needed to build the same classifier again."""

    method: str  # a name in `stages.methods`
    method_version: int  # of its numbers
    label_names: list[str]
    trainable_parameters: int
    total_parameters: int  # with LoRA: base model, adapter, and the head twice, since PEFT keeps the untrained one
    engine: str  # an Engine, or the library that trained it; used again in prediction, as is the precision
    precision: Precision
    max_tokens: int  # 0: texts are not cut
    base: BaseRecord | None
    reading: Reading | None  # what its head reads; None: it has no base model

    @property
    def read_by_head(self) -> Reading:
        """What the head reads, of a classifier on a base model."""
        assert self.reading is not None, f"{self.method} has no base model"
        return self.reading


def write_record(folder: Path, record: Record) -> None:
    """Write the record into the folder of the weights."""
    write_json(folder / FILE, asdict(record))


def read_record(folder: Path) -> Record:
    """Read what `write_record` wrote.

    Raises:
        StudyError: If there is none, or one of other facts.
    """
    content = read_json(folder / FILE)
    try:
        base, reading = content.pop("base"), content.pop("reading")
        return Record(
            **content,
            base=BaseRecord(**base) if base else None,
            reading=Reading(**reading) if reading else None,
        )
    except (KeyError, TypeError) as error:  # facts come and go
        raise StudyError(f"{folder / FILE} was written by another version of this project: train again") from error
