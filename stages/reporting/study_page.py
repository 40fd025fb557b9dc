"""The answer page as one HTML file that needs nothing else: no network, no script, no picture beside it."""

from collections.abc import Mapping
from pathlib import Path
from string import Template

from matplotlib.figure import Figure

from stages.reporting.blocks import Block, Grid, Notice, Picture, Points, Prose, Quotes, Section
from stages.reporting.findings import Findings
from stages.reporting.html import markup, notice, quote, quotes, table
from stages.reporting.report_page import STYLE_SHEET
from stages.reporting.study_sections import study_sections
from stages.reporting.style import inline_svg

SKELETON = Path(__file__).with_name("study.html")


def study_page(findings: Findings, figures: Mapping[str, Figure]) -> str:
    """Build the page.

    Args:
        findings: All that it says.
        figures: As `draw_study` names them; one that is not there is left out.
    """
    content = "\n\n".join(_section(section, figures) for section in study_sections(findings))
    skeleton = Template(SKELETON.read_text(encoding="utf-8"))
    style = STYLE_SHEET.read_text(encoding="utf-8").strip()
    return skeleton.substitute(title=markup(findings.title), style=style, content=content)


def _section(section: Section, figures: Mapping[str, Figure]) -> str:
    heading = [f"<h2>{markup(section.heading)}</h2>"] if section.heading else []
    return "\n".join([*heading, *(_block(block, figures) for block in section.blocks)])


def _block(block: Block, figures: Mapping[str, Figure]) -> str:
    match block:
        case Prose(text, kind):
            return f'<p class="{kind}">{markup(text)}</p>' if kind else f"<p>{markup(text)}</p>"
        case Notice(lead, text):
            return notice(lead, text).text
        case Points(items):
            return "<ul>\n" + "\n".join(f"<li>{markup(item)}</li>" for item in items) + "\n</ul>"
        case Grid(head, rows):
            return table(head, rows).text
        case Quotes(items):
            return quotes(quote(text, remark) for text, remark in items).text
        case Picture(key, description):
            return f"<figure>{inline_svg(figures[key], description)}</figure>" if key in figures else ""
