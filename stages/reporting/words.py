"""What both pages say in the same words."""

from stages.reporting.document import Notice
from stages.reporting.numbers import percent, seeds
from stages.scoring.mistakes import Mistake

SYNTHETIC = Notice(
    "Synthetic data.",
    "These texts were put together by a program from phrase banks. The numbers show "
    "that the pipeline works and how a curve behaves; they say nothing about real reviews.",
)


def mistake_in_words(mistake: Mistake) -> str:
    """What is wrong with a test row."""
    told = (
        f"labelled “{mistake.actual}”, predicted “{mistake.predicted}” with probability {percent(mistake.confidence)}"
    )
    if mistake.num_seeds > 1:
        told = f"{told}; wrong with {mistake.num_wrong} of {seeds(mistake.num_seeds)}"
    return f"{told}; row {mistake.row_id}"
