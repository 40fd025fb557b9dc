"""The short form; 10,000 inputs and more: `python -m tests.fuzz --inputs 10000`."""

import pytest
from hypothesis import strategies as st

from stages.foundation.errors import StudyError
from tests.fuzz import KINDS, Counted, Kind, fuzz, fuzz_all, table

FEW = 300  # inputs in all


def test_whatever_is_given_gives_data_or_one_line():
    outcomes = fuzz_all(FEW, 7)

    assert {name: one.errors for name, one in outcomes.items()} == {kind.name: {} for kind in KINDS}
    assert sum(one.inputs for one in outcomes.values()) >= FEW
    assert all(one.data and one.refused for one in outcomes.values())


@pytest.mark.parametrize("error", [ValueError("why"), StudyError("two\nlines"), StudyError("long " * 1000)])
def test_anything_else_is_counted_and_shown(error):
    def read(folder, given):
        raise error

    counted = fuzz(Kind(name="a kind", inputs=st.integers(0, 5), read=read, share=1), 3, 0)

    assert (counted.inputs, counted.erring, len(counted.errors)) == (3, 3, 1)


def test_the_table_adds_up():
    outcomes = {"a": Counted(data=2, refused=1000), "b": Counted(data=1, erring=1)}

    assert table(outcomes).splitlines()[2:] == [
        "| a | 1,002 | 2 | 1,000 | 0 |",
        "| b | 2 | 1 | 0 | 1 |",
        "| all | 1,004 | 3 | 1,000 | 1 |",
    ]
