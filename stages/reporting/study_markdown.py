"""The answer page as Markdown, for a pull request."""

import re
from collections.abc import Mapping, Sequence

from stages.reporting.blocks import Block, Grid, Notice, Picture, Points, Prose, Quotes, Section
from stages.reporting.findings import Findings
from stages.reporting.study_sections import study_sections

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


def study_markdown(findings: Findings, pictures: Mapping[str, str]) -> str:
    """Write the page's content as Markdown.

    Args:
        findings: All that it says.
        pictures: Paths relative to the file, by the figures' names in `draw_study`; one that is not there is left out.
    """
    parts = [f"# {escaped(findings.title)}"]
    for section in study_sections(findings):
        parts += _section(section, pictures)
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """The text as Markdown that shows it as it is, on one line."""
    line = re.sub("|".join(map(re.escape, BROKEN)), lambda found: BROKEN[found[0]], " ".join(text.split()))
    marked = MARKED.sub(lambda found: "\\" + found[0], line)
    return LINE_START.sub(r"\1\\\2", marked)


def _section(section: Section, pictures: Mapping[str, str]) -> list[str]:
    heading = [f"## {escaped(section.heading)}"] if section.heading else []
    return [*heading, *(_block(block, pictures) for block in section.blocks)]


def _block(block: Block, pictures: Mapping[str, str]) -> str:
    match block:
        case Prose(text, kind):
            return f"**{escaped(text)}**" if kind == "answer" else escaped(text)
        case Notice(lead, text):
            return f"> **{escaped(lead)}** {escaped(text)}"
        case Points(items):
            return "\n".join(f"- {escaped(item)}" for item in items)
        case Grid(head, rows):
            return _table(head, rows)
        case Quotes(items):
            return "\n".join(f"- {escaped(text)}<br>{escaped(remark)}" for text, remark in items)
        case Picture(key, description):
            return f"![{escaped(description)}](<{pictures[key]}>)" if key in pictures else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column names the rows; numbers stand right, and the words of a table without a head left."""
    width = max(len(row) for row in (head, *rows))
    names = head or [""] * width
    aligned = ["---", *[" ---:" if head else "---"] * (width - 1)]
    lines = [names, [each.strip() for each in aligned], *rows]
    return "\n".join(_line(line, rule=at == 1) for at, line in enumerate(lines))


def _line(cells: Sequence[str], *, rule: bool) -> str:
    return "| " + " | ".join(cell if rule else escaped(cell) for cell in cells) + " |"
