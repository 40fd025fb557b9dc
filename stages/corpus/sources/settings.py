"""dataset.yaml: what a data set is and where its texts and labels stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from stages.foundation.errors import check
from stages.foundation.files import read_yaml
from stages.foundation.schema import build

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitNames:
    """The name of each split: a file, or what the Hub calls it."""

    train: str
    test: str
    validation: str | None = None  # None: prepare holds one out

    def given(self) -> dict[str, str]:
        """The names by split, validation's only where there is one."""
        return {"train": self.train, "test": self.test} | ({"validation": self.validation} if self.validation else {})


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnSettings:
    """Where texts and labels stand."""

    text: str | list[str] | None = None  # two: each row is a pair of texts; None: the one column that may be meant
    label: str = "label"
    group: str | None = None  # rows of one group never stand on both sides of the partition
    label_names: list[str | int | bool] | None = None  # name of each class, in the order of their indices
    label_values: Literal["names", "indices", "indices_from_1"] | None = None  # None: whichever alone fits label_names
    positive: str | int | bool | None = None  # which of two classes F1, precision and recall are of; None: class 1
    splits: SplitNames | None = None

    def __post_init__(self) -> None:
        names = self.text_columns
        fits = len(names) in (1, 2) and len(set(names)) == len(names)
        check(self.text is None or fits, f"text must name one column or two, got {self.text}")

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns of the texts, as far as they are named."""
        return () if self.text is None else (self.text,) if isinstance(self.text, str) else tuple(self.text)


@dataclass(frozen=True, kw_only=True, slots=True)
class FilesSettings(ColumnSettings):
    """Tables in the data set's folder."""

    kind: Literal["files"] = "files"
    columns: list[str] | None = None  # names of the columns of TSV and CSV without a header
    separator: str | None = None  # comma, semicolon, tab, pipe or any one character; None: the one that fits
    quoting: Literal["csv", "none"] | None = None  # none: a quotation mark means nothing; None: csv, in TSV if all fits

    def __post_init__(self) -> None:
        ColumnSettings.__post_init__(self)
        check(self.columns is None or len(self.columns) > 1, f"columns must name two or more, got {self.columns}")
        check(
            self.delimiter is None or (len(self.delimiter) == 1 and self.delimiter not in '"\r\n'),
            f"separator must be {', '.join(SEPARATORS)} or any one character, got {self.separator!r}",
        )

    @property
    def delimiter(self) -> str | None:
        """The separator as a character."""
        if self.separator == "\\t":  # which YAML leaves as it is, unless it stands in double quotation marks
            return "\t"
        return None if self.separator is None else SEPARATORS.get(self.separator, self.separator)


@dataclass(frozen=True, kw_only=True, slots=True)
class HubSettings(ColumnSettings):
    """A data set of the Hugging Face Hub."""

    kind: Literal["hub"]
    repo: str  # owner/name
    config: str | None = None  # which of the repository's data sets
    revision: str | None = None  # commit, tag or branch


@dataclass(frozen=True, kw_only=True, slots=True)
class PhraseBankSettings:
    """Texts that the project makes up."""

    kind: Literal["phrase_banks"]
    label_names: list[str]  # of class 0, negative, and class 1, positive
    seed: int  # of the corpus itself
    train_rows: int
    test_rows: int
    positive: str | None = None  # as above

    def __post_init__(self) -> None:
        check(len(set(self.label_names)) == 2, f"label_names must hold two names, got {self.label_names}")
        check(self.seed >= 0, f"seed must be 0 or more, got {self.seed}")
        for name in ("train_rows", "test_rows"):
            rows = getattr(self, name)
            check(rows >= 2 and rows % 2 == 0, f"{name} must be an even number of 2 or more, got {rows}")


def positive_class(label_names: Sequence[str], *, wanted: str | int | bool | None) -> str | None:
    """The class that precision, recall and F1 are of; None where there are more than two, which have means.

    Args:
        label_names: C class names.
        wanted: What dataset.yaml says; None: class 1 of two.

    Raises:
        StudyError: If it is no class, or one of more than two.
    """
    if wanted is None:
        return label_names[1] if len(label_names) == 2 else None
    name = str(wanted).lower() if isinstance(wanted, bool) else str(wanted).strip()  # as labels are spelled
    check(
        len(label_names) == 2,
        f"dataset.yaml: positive ({name}) chooses between two classes, and there are {len(label_names)}, whose "
        "precision, recall and F1 are means; leave it out: the scores of each class are always told, too",
    )
    check(name in label_names, f"dataset.yaml: positive must be {' or '.join(label_names)}, got {name}")
    return name


Settings = FilesSettings | HubSettings | PhraseBankSettings


def read_settings(folder: Path) -> Settings:
    """Read a data set's dataset.yaml; without one it is plain files with GLUE's columns.

    Raises:
        StudyError: For a key that is unknown, missing or ill-typed.
    """
    file = folder / "dataset.yaml"
    return cast(Settings, build(Settings, read_yaml(file), file)) if _says_something(file) else FilesSettings()


def _says_something(file: Path) -> bool:
    """Whether there is more than comments in it."""
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n") if file.exists() else []
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)
