"""Where everything lies, relative to the repository's root."""

import os
from pathlib import Path

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")

SOURCES = Path("data/sources")
CHECKPOINTS = Path(".checkpoints")  # ignored by Git and DVC
BASE_MODELS = Path(".base_models")  # likewise
LIVE = Path("metrics/live/training.json")  # of the training that runs; ignored by Git, and in no output

CHECKED = Path("data/checked.json")  # ignored by Git
POOL = Path("data/prepared/pool.parquet")
HELD_OUT = Path("data/prepared/validation.parquet")
TEST = Path("data/prepared/test.parquet")
DATA_CARD = Path("data/prepared/card.json")
SUBSET = Path("data/subset/train.parquet")
VALIDATION = Path("data/subset/validation.parquet")  # those of HELD_OUT, or a share of the samples
MODEL = Path("data/model")
HISTORY = Path("data/history.csv")
VALIDATIONS = Path("data/validations.parquet")
COST = Path("data/cost.json")
PROVENANCE = Path("data/provenance.json")
TEST_PREDICTIONS = Path("data/predictions/test.parquet")
VALIDATION_PREDICTIONS = Path("data/predictions/validation.parquet")
LENGTHS = Path("data/predictions/lengths.json")

POOL_METRICS = Path("metrics/pool.json")
SUBSET_METRICS = Path("metrics/subset.json")
SCORES = Path("metrics/scores.json")
CLASS_SCORES = Path("metrics/classes.json")
COST_METRICS = Path("metrics/cost.json")
PROVENANCE_METRICS = Path("metrics/provenance.json")

HISTORY_PLOT = Path("plots/history.csv")
CONFUSION_PLOT = Path("plots/confusion.csv")
LEARNING_CURVE_PLOT = Path("plots/learning_curve.json")
LOSS_FIGURE = Path("plots/loss.pdf")
ACCURACY_FIGURE = Path("plots/acc.pdf")
CONFUSION_FIGURE = Path("plots/confusion.png")
REPORT_PAGE = Path("plots/report.html")
PLOT_SCRIPTS = Path("plots/vega.js")


def in_repository(path: Path) -> Path:
    """The same place in the repository itself, where this is DVC's copy of it: DVC tells its stages DVC_ROOT."""
    return Path(os.environ.get("DVC_ROOT", "")) / path
