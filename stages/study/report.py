"""The answer page, its Markdown twin, its figures, and the curve that `dvc plots` draws."""

from pathlib import Path

from stages.foundation.files import write_text
from stages.foundation.log import say
from stages.reporting.document import to_html, to_markdown
from stages.reporting.study.answer import answer
from stages.reporting.study.figures import draw_study
from stages.reporting.study.findings import Findings
from stages.reporting.study.page import study_document
from stages.reporting.style import save_figure
from stages.study.analysis import analyse, curve_table
from stages.study.cells import StudyParams
from stages.study.claim import read_claim
from stages.study.collect import Coverage
from stages.study.tune import read_trials

PLOTS = Path("plots")
PAGE, MARKDOWN, CURVE = PLOTS / "study.html", PLOTS / "study.md", PLOTS / "study_curve.csv"


def write_report(coverage: Coverage, study: StudyParams, *, with_sentences: bool) -> None:
    """Compute, draw, write, and say the answer."""
    found = write_pages(coverage, study, with_sentences=with_sentences)
    for sentence in answer(found):
        say(sentence)
    if found.missing:
        say(f"{len(found.missing)} cells of the grid are missing, the first {found.missing[0]}")
    say(f"the page: {PAGE}; as Markdown: {MARKDOWN}")


def write_pages(coverage: Coverage, study: StudyParams, *, with_sentences: bool) -> Findings:
    """Compute, draw and write; says nothing."""
    first = next(iter(coverage.cells))
    found = analyse(
        coverage,
        study,
        with_sentences=with_sentences,
        claim=read_claim(first.dataset, first.model),
        trials=read_trials(first.dataset),
    )
    document, figures = study_document(found), draw_study(found)
    for left in PLOTS.glob("study_*.p[nd][gf]"):  # of a report that had more to draw
        left.unlink()
    for name, figure in figures.items():
        for ending in ("png", "pdf"):
            save_figure(PLOTS / f"study_{name}.{ending}", figure)
    write_text(PAGE, to_html(document, figures))
    write_text(MARKDOWN, to_markdown(document, {name: f"study_{name}.png" for name in figures}))
    write_text(CURVE, curve_table(found).to_csv(index=False, lineterminator="\n"))
    return found
