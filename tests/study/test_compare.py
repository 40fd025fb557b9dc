"""Two experiments by name: who is better on the rows that both were asked, and how sure that is."""

from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.statistics.paired import PairedCounts, mcnemar, tango_interval
from stages.study import compare as module
from stages.study.compare import compare

ROOT = Path("root")
LABELS = np.arange(40) % 2


def predictions(*wrong, row_ids=None, labels=LABELS):
    """A table of predictions that are right but for these rows."""
    predicted = labels.copy()
    predicted[list(wrong)] = 1 - predicted[list(wrong)]
    rows = np.arange(len(labels)) if row_ids is None else row_ids
    return pd.DataFrame({"row_id": rows, "label": labels, "predicted": predicted})


@pytest.fixture
def made(monkeypatch):
    """Experiments as (name, commit, predictions); None: the cache has lost them."""

    def arrange(*those):
        def read_outputs(root, commit, files):
            assert (root, list(files)) == (ROOT, [paths.TEST_PREDICTIONS])
            frame = next(table for _, known, table in those if known == commit)
            if frame is None:
                return None
            frame.to_parquet(content := BytesIO())
            return [content.getvalue()]

        found = [SimpleNamespace(name=name, commit=commit) for name, commit, _ in those]
        monkeypatch.setattr(module, "experiments", lambda _: found)
        monkeypatch.setattr(module, "read_outputs", read_outputs)

    return arrange


def plain(text):
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def test_accuracies_difference_and_discordant_rows_are_told(made, capsys):
    made(("small", "a" * 40, predictions(0, 1, 2, 3, 4, 5)), ("large", "b" * 40, predictions(5, 6)))

    compare(ROOT, "small", "large")

    counts = PairedCounts(both=33, first_only=1, second_only=5, neither=1)
    interval, p = tango_interval(counts, 0.95), mcnemar(counts)
    ends = f"{100 * interval.low:+.1f}, {100 * interval.high:+.1f}"
    assert plain(capsys.readouterr().out).splitlines() == [
        "small: 85.0 % of 40 test rows",
        "large: 95.0 % of 40 test rows",
        f"small less large: -10.0 [{ends}] points (Tango's 95 % interval)",
        "rows that small alone has right: 1, that large alone has right: 5; " + f"exact McNemar p {p:.3f}",
        "this speaks of these two runs; other seeds are not in it",
    ]


def test_the_order_of_the_names_turns_the_sign(made, capsys):
    made(("small", "a" * 40, predictions(0, 1)), ("large", "b" * 40, predictions()))

    compare(ROOT, "large", "small")

    told = plain(capsys.readouterr().out)
    assert "large less small: +5.0 [" in told
    assert "rows that large alone has right: 2, that small alone has right: 0" in told


def test_an_experiment_is_also_named_by_the_beginning_of_its_commit(made, capsys):
    made(("one", "abc1" + 36 * "0", predictions()), ("two", "abd2" + 36 * "0", predictions()))

    compare(ROOT, "abc", "abd2")

    assert plain(capsys.readouterr().out).startswith("abc: 100.0 % of 40 test rows")


@pytest.mark.parametrize(
    "other",
    [
        predictions(row_ids=np.arange(40)[::-1]),
        predictions(labels=1 - LABELS),
        predictions(labels=LABELS[:39]),
    ],
)
def test_rows_that_are_not_the_same_are_not_paired(made, other):
    made(("one", "a" * 40, predictions()), ("two", "b" * 40, other))

    with pytest.raises(
        StudyError,
        match=r"^one and two were tested on different rows, which cannot be paired; take two of one data set$",
    ):
        compare(ROOT, "one", "two")


def test_a_name_that_nobody_bears_is_refused(made):
    made(("one", "a" * 40, predictions()))

    with pytest.raises(StudyError, match=r"^no finished experiment is called two; `dvc exp list -A` names them"):
        compare(ROOT, "one", "two")


def test_a_name_that_several_bear_is_refused_with_their_commits(made):
    made(("one", "a" * 40, predictions()), ("one", "b" * 40, predictions()), ("two", "c" * 40, predictions()))

    with pytest.raises(StudyError, match=r"several experiments are called one; .*: aaaaaaaaaa, bbbbbbbbbb$"):
        compare(ROOT, "two", "one")


def test_the_same_commit_under_two_names_is_one_experiment(made, capsys):
    made(("HEAD", "a" * 40, predictions()), ("one", "a" * 40, predictions()), ("two", "b" * 40, predictions(0)))

    compare(ROOT, "aaaa", "two")

    assert "aaaa less two: +2.5 [" in plain(capsys.readouterr().out)


def test_predictions_that_the_cache_has_lost_are_told_with_what_brings_them_back(made):
    made(("one", "a" * 40, predictions()), ("two", "b" * 40, None))

    with pytest.raises(StudyError, match="no longer holds the predictions of two; run it again or `dvc pull`"):
        compare(ROOT, "one", "two")
