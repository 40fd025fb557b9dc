"""Which training pool a data set gives, without preparing it: rows of each class, and of the test split.

    python -m stages.corpus.pools --dataset reviews grouped random

The study asks in a process of its own before it makes any cell, since it knows no reader of data. The last line is
JSON: by partition the rows of each class that the pool holds, and the number of test rows. What `prepare` would refuse
is refused here.
"""

import json
import sys
from argparse import ArgumentParser
from dataclasses import replace
from typing import get_args

import numpy as np

from stages.corpus.cleaning import clean
from stages.corpus.params import PartitionKind, PrepareView
from stages.corpus.partition import partition
from stages.corpus.sources.source import read_source
from stages.foundation.errors import can_be_mended, one_line
from stages.foundation.params import read_params


def main() -> None:
    """Read, clean and carve as prepare does, and count."""
    parser = ArgumentParser("python -m stages.corpus.pools", description="Which training pool does a data set give?")
    parser.add_argument("--dataset", required=True, help="a folder in data/sources")
    parser.add_argument("partitions", nargs="+", choices=get_args(PartitionKind), help="as prepare.partition")
    asked = parser.parse_args()
    params = read_params("prepare", PrepareView).prepare
    source, *_ = clean(read_source(asked.dataset))
    pools = {kind: partition(source, replace(params, partition=kind)).pool for kind in asked.partitions}
    counted = {kind: np.bincount(pool.labels, minlength=pool.num_classes).tolist() for kind, pool in pools.items()}
    sys.stdout.write(json.dumps({"pools": counted, "test_rows": len(source.test)}) + "\n")


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        if not can_be_mended(error):
            raise
        sys.exit(f"prepare: {one_line(error)}")
