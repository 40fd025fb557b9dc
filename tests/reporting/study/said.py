"""What the answer page says."""

from stages.reporting.document import to_html
from stages.reporting.study.findings import Findings
from stages.reporting.study.page import study_document
from tests.reporting.page import words


def said(findings: Findings) -> str:
    """Its text, every space alike."""
    return " ".join(words(to_html(study_document(findings), {})).split())
