"""What a report says."""

import re

from stages.foundation import paths


def words(page: str | None = None) -> str:
    """The text of the page in the current folder, or of a given one: without tags and figures, every space alike."""
    page = page or paths.REPORT_PAGE.read_text(encoding="utf-8")
    text = re.sub(r"<(style|svg).*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", text).replace("\u202f", " ").split())
