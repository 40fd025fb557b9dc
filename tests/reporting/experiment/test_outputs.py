import pandas as pd
import pytest

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.reporting.experiment.outputs import read_outputs
from tests.reporting.finished_experiment import write_experiment


@pytest.fixture(autouse=True)
def experiment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_experiment()


def test_logits_and_texts_stand_row_by_row():
    outputs = read_outputs()
    assert outputs.logits.shape == (len(outputs.test), 2)
    assert (outputs.predicted == outputs.logits.argmax(axis=1)).all()


@pytest.mark.parametrize("path", [paths.TEST_PREDICTIONS, paths.HISTORY_PLOT, paths.SCORES, paths.TEST])
def test_a_missing_file_is_named_with_what_to_do(path):
    path.unlink()
    with pytest.raises(StudyError, match=rf"{path} is missing; run `dvc repro`"):
        read_outputs()


def test_predictions_of_another_test_split_are_refused():
    predictions = pd.read_parquet(paths.TEST_PREDICTIONS)
    predictions.iloc[::-1].to_parquet(paths.TEST_PREDICTIONS, index=False)
    with pytest.raises(StudyError, match="another test split"):
        read_outputs()
