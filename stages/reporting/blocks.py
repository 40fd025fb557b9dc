"""What a page says, before it is HTML or Markdown: plain text throughout, escaped by whoever renders it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph."""

    text: str
    kind: Literal["", "answer", "note"] = ""  # answer: the headline's sentence; note: how to read what stands above


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning that must not be missed."""

    lead: str
    text: str


@dataclass(frozen=True, slots=True)
class Points:
    """Sentences, one below the other."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table whose first column names the rows; without a head, a list of facts in words."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure; left out where none was drawn."""

    key: str
    description: str  # one sentence for those who do not see it


@dataclass(frozen=True, slots=True)
class Quotes:
    """Texts of the data set, each with a remark."""

    items: tuple[tuple[str, str], ...]  # text, remark


Block = Prose | Notice | Points | Grid | Picture | Quotes


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it; the first section of a page has none."""

    heading: str
    blocks: tuple[Block, ...]
