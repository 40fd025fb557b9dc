"""Every figure of the study."""

from matplotlib.figure import Figure

from stages.reporting.findings import Findings
from stages.reporting.study_calibration import draw_reliability
from stages.reporting.study_cost import draw_cost
from stages.reporting.study_curve import draw_protocols, draw_study_curves
from stages.reporting.study_forest import draw_differences
from stages.reporting.study_leak import draw_leak

__all__ = [
    "DRAWINGS",
    "draw_cost",
    "draw_differences",
    "draw_leak",
    "draw_protocols",
    "draw_reliability",
    "draw_study",
    "draw_study_curves",
]


DRAWINGS = {
    "curve": draw_study_curves,
    "differences": draw_differences,
    "protocols": draw_protocols,
    "reliability": draw_reliability,
    "cost": draw_cost,
    "leak": draw_leak,
}


def draw_study(findings: Findings) -> dict[str, Figure]:
    """Draw what there is to draw, by the names that the page knows."""
    drawn = {name: draw(findings) for name, draw in DRAWINGS.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}
