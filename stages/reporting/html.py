"""Pieces of HTML; whatever comes from outside is escaped here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

LONGEST_NUMBER = 28  # letters of a cell that is kept on one line, as "86.2 % [84.3, 88.1], 2 seeds" should be
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


def notice(lead: str, text: str) -> Markup:
    """A warning that must not be missed."""
    return Markup(f'<p class="notice"><strong>{escape(lead)}</strong> {escape(text)}</p>')


def quote(text: str, remark: str | Markup) -> Markup:
    """A text of the data set and a remark on it, for a list of quotes."""
    return Markup(f"<li><q>{escape(text)}</q><small>{markup(remark)}</small></li>")


def quotes(items: Iterable[Markup]) -> Markup:
    """A list of quotes."""
    return Markup('<ol class="mistakes">\n' + "\n".join(item.text for item in items) + "\n</ol>")


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
    name, *values = cells
    return f'<tr><th scope="row">{markup(name)}</th>' + "".join(_cell(value) for value in values) + "</tr>"


def _cell(value: str | Markup) -> str:
    words = isinstance(value, str) and len(value) > LONGEST_NUMBER
    return f'<td class="words">{markup(value)}</td>' if words else f"<td>{markup(value)}</td>"
