"""Two experiments, row by row: `python -m stages.study compare n8000 n56000`."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.log import say
from stages.reporting.numbers import count, level, p_value, percent, signed_interval
from stages.statistics.paired import count_pairs, mcnemar, tango_interval
from stages.study.analysis import CONFIDENCE_LEVEL
from stages.study.repository import Experiment, experiments, read_outputs


def compare(root: Path, first: str, second: str) -> None:
    """Say which of two experiments is better on the test rows that both were asked, and how sure that is.

    Raises:
        StudyError: If there is no such experiment, its predictions are gone, or the test rows are not the same.
    """
    made = experiments(root)
    left, right = (_predictions(root, _named(made, name)) for name in (first, second))
    if not left[["row_id", "label"]].equals(right[["row_id", "label"]]):
        raise StudyError(
            f"{first} and {second} were tested on different rows, which cannot be paired; take two of one data set"
        )
    counts = count_pairs(_hits(left), _hits(right))
    interval = tango_interval(counts, CONFIDENCE_LEVEL)
    for name, hits in ((first, _hits(left)), (second, _hits(right))):
        say(f"{name}: {percent(hits.mean())} of {count(len(hits))} test rows")
    say(f"{first} less {second}: {signed_interval(interval)} points (Tango's {level(CONFIDENCE_LEVEL)} interval)")
    say(
        f"rows that {first} alone has right: {count(counts.first_only)}, that {second} alone has right: "
        f"{count(counts.second_only)}; exact McNemar p {p_value(mcnemar(counts))}"
    )
    say("this speaks of these two runs; other seeds are not in it")


def _named(made: list[Experiment], name: str) -> Experiment:
    found = [experiment for experiment in made if name in (experiment.name, experiment.commit[: len(name)])]
    if not found:
        raise StudyError(f"no finished experiment is called {name}; `dvc exp list -A` names them, HEAD is this commit")
    if len({experiment.commit for experiment in found}) > 1:
        commits = ", ".join(experiment.commit[:10] for experiment in found)
        raise StudyError(f"several experiments are called {name}; give one of their commits instead: {commits}")
    return found[0]


def _predictions(root: Path, experiment: Experiment) -> pd.DataFrame:
    outputs = read_outputs(root, experiment.commit, [paths.TEST_PREDICTIONS])
    if outputs is None:
        raise StudyError(f"the cache no longer holds the predictions of {experiment.name}; run it again or `dvc pull`")
    return pd.read_parquet(BytesIO(outputs[0]))


def _hits(predictions: pd.DataFrame) -> NDArray[np.bool_]:
    hits: NDArray[np.bool_] = (predictions["predicted"] == predictions["label"]).to_numpy(np.bool_)
    return hits
