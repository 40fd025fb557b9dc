"""The report as one HTML file that needs nothing else: no network, no script, no picture beside it."""

from collections.abc import Mapping
from pathlib import Path
from string import Template

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stages.reporting import methods, sections
from stages.reporting.confusion import FEW_CLASSES
from stages.reporting.html import Markup, count, markup, percent
from stages.reporting.params import ReportView
from stages.reporting.results import Results
from stages.reporting.style import inline_svg
from stages.reporting.worst_errors import Mistake

SKELETON = Path(__file__).with_name("report.html")
STYLE_SHEET = Path(__file__).with_name("report.css")


def report_page(
    params: ReportView,
    results: Results,
    *,
    confusion: NDArray[np.int64],
    mistakes: list[Mistake],
    figures: Mapping[str, Figure],
) -> str:
    """Build the page.

    Args:
        params: What was run.
        results: What came of it.
        confusion: (C, C) test rows, true class down, predicted class across.
        mistakes: The mistakes to list, the surest first.
        figures: `loss`, `accuracy` and `confusion`.
    """
    pieces: dict[str, str | Markup] = {
        "title": methods.headline(params),
        "style": Markup(STYLE_SHEET.read_text(encoding="utf-8").strip()),
        "answer": sections.answer(params, results),
        "synthetic": sections.synthetic_notice(results.card),
        "context": sections.context(confusion, results.test.label_names),
        "scores": sections.scores(params, results.scores),
        "scores_note": sections.scores_note(params, results),
        "overlap_result": sections.overlap_result(results),
        "overlap": sections.overlap(results),
        "overlap_note": sections.OVERLAP_NOTE,
        "loss_figure": Markup(inline_svg(figures["loss"], sections.curve_description(results, "loss"))),
        "accuracy_figure": Markup(inline_svg(figures["accuracy"], sections.curve_description(results, "accuracy"))),
        "curves_note": methods.curves_note(params),
        "confusion_figure": Markup(inline_svg(figures["confusion"], _confusion_description(confusion))),
        "confusion_class": "wide" if len(confusion) > FEW_CLASSES else "",
        "mistakes": sections.mistakes(mistakes, num_wrong=int(confusion.sum() - np.trace(confusion))),
        "run": sections.run(params, results),
        "cleaning": sections.cleaning(results.pool),
        "cost": sections.cost(results.cost),
    }
    skeleton = Template(SKELETON.read_text(encoding="utf-8"))
    return skeleton.substitute({name: markup(piece) for name, piece in pieces.items()})


def _confusion_description(confusion: NDArray[np.int64]) -> str:
    right, rows = int(np.trace(confusion)), int(confusion.sum())
    return f"Confusion matrix: {count(right)} of {count(rows)} test rows ({percent(right / rows)}) on the diagonal."
