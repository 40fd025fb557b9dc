"""A small one; the long run is `python -m tests.faults.lost_node`."""

import subprocess
import sys
from importlib.util import find_spec

import pytest


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: `pip install ray==2.60.0`")
def test_a_study_whose_node_is_killed_makes_every_cell_once_and_the_same_table(repository):
    words = ["--sizes", "40", "--seeds", "1,2,3,4", "--methods", "tfidf"]
    command = [sys.executable, "-m", "tests.faults.lost_node", *words]

    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr.splitlines()[-1:]) == (0, []), done.stdout
    assert "4 cells, 0 lost, 1 begun again (1 were at work)" in done.stdout
    assert done.stdout.endswith("the tables are the same bit for bit\n")
