"""Ten real kills; the long run is `python -m tests.faults.kills --kills 100`."""

import pytest

from tests.faults.kills import KINDS, Outcome, shoot_all, table

FEW = {"train-lora": 4, "train-full": 2, "train-head": 2, "dvc-repro-all": 2}  # kills


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_a_killed_command_given_again_makes_what_an_undisturbed_one_makes(tmp_path, name):
    kind = next(kind for kind in KINDS if kind.name == name)

    outcomes = shoot_all([kind], FEW[name], tmp_path, seed=7, warm=True)

    assert outcomes[name].lost == []
    assert outcomes[name].kills == FEW[name]
    assert outcomes[name].resumed > 0


def test_the_table_tells_what_was_taken_up_lost_and_done_again():
    outcomes = {"a": Outcome(kills=5, resumed=3, steps=330, needed=300), "b": Outcome(kills=1, lost=["why"])}

    assert table(outcomes).splitlines()[2:] == ["| a | 5 | 3 | 2 | 0 | 10% |", "| b | 1 | 0 | 1 | 1 | - |"]
