"""Draw one experiment's training rows from the pool.

Reads   data/prepared/: the training pool, the validation and the test split
Writes  data/subset/train.parquet, the beginning of every larger subset of the same seed;
        metrics/subset.json: how far validation and test are met in it
"""

from stages.corpus.overlap import overlap_table
from stages.corpus.params import SubsampleView
from stages.corpus.subsets import nested_subset
from stages.foundation import paths
from stages.foundation.files import write_json
from stages.foundation.log import say
from stages.foundation.params import read_params
from stages.foundation.split import read_split, write_split
from stages.foundation.stage import run_stage


def main() -> None:
    """Draw the subset, and measure its overlap with the others."""
    params = read_params("subsample", SubsampleView)
    pool, validation, test = read_split(paths.POOL), read_split(paths.VALIDATION), read_split(paths.TEST)
    rows = nested_subset(
        pool.labels, samples=params.samples, seed=params.seed, class_ratio=params.subsample.class_ratio
    )
    subset = pool.take(rows)

    write_split(paths.SUBSET, subset)
    overlap = overlap_table({"val": validation, "test": test}, subset, "subset")
    write_json(paths.SUBSET_METRICS, overlap)
    say(f"{len(subset):,} of {len(pool):,} rows, {params.subsample.class_ratio} class ratio, seed {params.seed}")
    say(f"{overlap['subset_val_any']:,} validation and {overlap['subset_test_any']:,} test rows overlap with them")


if __name__ == "__main__":
    run_stage("subsample", main)
