"""A page before it is HTML or Markdown: blocks of plain text, and the two ways to write them down.

Text is escaped here and nowhere else, for HTML by the template's autoescape, for Markdown by `escaped`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from matplotlib.figure import Figure

from stages.reporting.style import svg_drawing

TEMPLATE = Path(__file__).with_name("page.html")
MARKED = re.compile(r"[\\`*_\[|~$]")  # what GitHub's Markdown gives a meaning anywhere in a line
LINE_START = re.compile(r"^(\d*)([-+=.)])(?=[\s=-]|$)")  # ... and at its start: a list, a rule, a heading's underline
BROKEN = {  # "#1", "@name" and addresses would become links; entities and an empty comment keep them words
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    "#": "#<!-- -->",
    "@": "@<!-- -->",
    "://": ":&#47;/",
    "www.": "www&#46;",
}


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph."""

    text: str
    kind: Literal["", "answer", "lead", "note"] = (
        ""  # answer: the page's; lead: to what follows; note: to what stands above
    )


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning that must not be missed."""

    lead: str
    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """Sentences, one below the other."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """Sentences, each with the command that does what it advises."""

    items: tuple[tuple[str, str], ...]  # sentence, command of our own or ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names the rows; without a head, a list of facts in words."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure; left out where none was drawn."""

    key: str
    description: str  # one sentence for those who do not see it
    wide: bool = False  # keeps its size and scrolls, where shrunk letters could not be read


@dataclass(frozen=True, slots=True)
class Quotes:
    """Texts of the data set, each with a remark."""

    items: tuple[tuple[str, str], ...]  # text, remark


Block = Prose | Notice | Bullets | Steps | Table | Picture | Quotes
BLOCKS = (Prose, Notice, Bullets, Steps, Table, Picture, Quotes)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it; the first section of a page has none."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A page."""

    title: str
    sections: tuple[Section, ...]


def to_html(document: Document, figures: Mapping[str, Figure]) -> str:
    """Write the page as one HTML file that needs nothing else: no network, no script, no picture beside it.

    Args:
        document: All that it says.
        figures: By the keys of its pictures.
    """
    drawings = {key: svg_drawing(figure) for key, figure in figures.items()}
    return _template().render(document=_with_pictures(document, figures), drawings=drawings)


def to_markdown(document: Document, pictures: Mapping[str, str]) -> str:
    """Write the page as Markdown, for a pull request.

    Args:
        document: All that it says.
        pictures: Paths relative to the file, by the keys of its pictures.
    """
    parts = [f"# {escaped(document.title)}"]
    for section in _with_pictures(document, pictures).sections:
        heading = [f"## {escaped(section.heading)}"] if section.heading else []
        parts += [*heading, *(_markdown(block, pictures) for block in section.blocks)]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """The text as Markdown that shows it as it is, on one line."""
    line = re.sub("|".join(map(re.escape, BROKEN)), lambda found: BROKEN[found[0]], " ".join(text.split()))
    marked = MARKED.sub(lambda found: "\\" + found[0], line)
    return LINE_START.sub(r"\1\\\2", marked)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for block in BLOCKS:  # so that the template may ask `is table`
        environment.tests[block.__name__.lower()] = lambda value, block=block: isinstance(value, block)
    return environment.get_template(TEMPLATE.name)


def _with_pictures(document: Document, drawn: Mapping[str, object]) -> Document:
    """The document without the pictures that were not drawn, and without sections that say nothing."""

    def shown(section: Section) -> tuple[Block, ...]:
        return tuple(block for block in section.blocks if not isinstance(block, Picture) or block.key in drawn)

    sections = (replace(section, blocks=shown(section)) for section in document.sections)
    return replace(document, sections=tuple(section for section in sections if section.blocks))


def _markdown(block: Block, pictures: Mapping[str, str]) -> str:
    match block:
        case Prose(text, kind):
            return f"**{escaped(text)}**" if kind == "answer" else escaped(text)
        case Notice(lead, text):
            return f"> **{escaped(lead)}** {escaped(text)}"
        case Bullets(items):
            return "\n".join(f"- {escaped(item)}" for item in items)
        case Steps(items):
            return "\n".join(f"- {escaped(text)}" + (f" `{command}`" if command else "") for text, command in items)
        case Table(head, rows):
            return _markdown_table(head, rows)
        case Quotes(items):
            return "\n".join(f"- {escaped(text)}<br>{escaped(remark)}" for text, remark in items)
        case Picture(key, description):
            return f"![{escaped(description)}](<{pictures[key]}>)"


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column names the rows; numbers stand right, and the words of a table without a head left."""
    width = max(len(row) for row in (head, *rows))
    rule = ["---", *["---:" if head else "---"] * (width - 1)]
    lines = [[escaped(cell) for cell in row] for row in (head or [""] * width, *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:]))
