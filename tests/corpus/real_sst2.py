"""The real SST-2, where it lies beside the checkout."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "sst2"


def needs_sst2(test):
    """Mark a test that reads it, and skip the test where it is absent."""
    skip = pytest.mark.skipif(not (FOLDER / "train.tsv").is_file(), reason="the real SST-2 is not at hand")
    return pytest.mark.sst2(skip(test))
