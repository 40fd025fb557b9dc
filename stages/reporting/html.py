"""Pieces of HTML; whatever comes from outside is escaped here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

NARROW = "\N{NARROW NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Markup:
    """HTML that is already safe to insert; every other text is escaped."""

    text: str


def markup(content: str | Markup) -> str:
    """The content as HTML."""
    return content.text if isinstance(content, Markup) else escape(content)


def table(head: Sequence[str], rows: Iterable[Sequence[str | Markup]]) -> Markup:
    """A table whose first column names the rows; without a head, a list of facts in words."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    kind, top = ("", f"<thead><tr>{heads}</tr></thead>") if head else (' class="facts"', "")
    body = "\n".join(_row(row) for row in rows)
    return Markup(f'<div class="wide"><table{kind}>{top}<tbody>\n{body}\n</tbody></table></div>')


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction for readers: 0.8436 is 84.4 %."""
    return f"{100 * fraction:.{digits}f}{NARROW}%"


def count(number: int | float) -> str:
    """A whole number for readers: 1000 is 1,000."""
    return f"{int(number):,}"


def share(part: int, whole: int) -> str:
    """A number of rows and what share of all it is."""
    return f"{count(part)} ({percent(part / whole)})" if part else "0"


def _row(cells: Sequence[str | Markup]) -> str:
    name, *values = (markup(cell) for cell in cells)
    return f'<tr><th scope="row">{name}</th>' + "".join(f"<td>{value}</td>" for value in values) + "</tr>"
