"""The answer page, section by section: said once, for the HTML page and for the Markdown."""

from stages.reporting.blocks import Section
from stages.reporting.findings import Findings
from stages.reporting.study_accuracy import hard_rows, learning_curve, protocols, slices
from stages.reporting.study_claims import differences, every_difference, labels, opening, verdicts
from stages.reporting.study_evidence import calibration, cost, every_point, leak, protocol

ORDER = (
    opening,
    verdicts,
    labels,
    learning_curve,
    differences,
    protocols,
    calibration,
    cost,
    slices,
    hard_rows,
    leak,
    protocol,
    every_difference,
    every_point,
)


def study_sections(findings: Findings) -> tuple[Section, ...]:
    """Everything that the page says, the answer first."""
    sections = (section(findings) for section in ORDER)
    return tuple(section for section in sections if section.blocks)
