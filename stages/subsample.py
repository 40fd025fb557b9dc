"""Draw one experiment's training rows from the pool.

Reads   data/prepared/: the training pool, the validation and the test split, the card
Writes  data/subset/train.parquet, the beginning of every larger subset of the same seed;
        data/subset/validation.parquet: what chooses the epoch, the validation split or a share of the samples;
        metrics/subset.json: how far validation and test are met in the training rows
"""

import numpy as np

from stages.corpus.carve import find_sources
from stages.corpus.overlap import overlap_table
from stages.corpus.params import SubsampleView
from stages.corpus.subsets import nested_subset, shared_subset
from stages.foundation import paths
from stages.foundation.errors import check_param
from stages.foundation.files import read_json, write_json
from stages.foundation.log import say
from stages.foundation.params import read_params
from stages.foundation.split import Split, read_split, write_split
from stages.foundation.stage import run_stage


def main() -> None:
    """Draw the subset, and measure its overlap with the others."""
    params = read_params("subsample", SubsampleView)
    pool, test = read_split(paths.POOL), read_split(paths.TEST)
    subset, validation = draw_with_share(params, pool) if params.subsample.validation_share else draw(params, pool)

    write_split(paths.SUBSET, subset)
    write_split(paths.VALIDATION, validation)
    overlap = overlap_table({"val": validation, "test": test}, subset, "subset")
    write_json(paths.SUBSET_METRICS, overlap)
    say(f"{len(subset):,} of {len(pool):,} rows, {params.subsample.class_ratio} class ratio, seed {params.seed}")
    if params.subsample.validation_share:
        say(f"{len(validation):,} more of the {params.samples:,} samples validate; the validation split is left aside")
    say(f"{overlap['subset_val_any']:,} validation and {overlap['subset_test_any']:,} test rows overlap with them")


def draw(params: SubsampleView, pool: Split) -> tuple[Split, Split]:
    """The training rows, and the validation split that prepare held out."""
    held_out = read_split(paths.HELD_OUT)
    wanted = (
        "prepare.validation_rows: 0 leaves no row to choose the epoch by; with it goes subsample.validation_share: 0.2"
    )
    check_param(len(held_out), wanted)
    rows = nested_subset(
        pool.labels, samples=params.samples, seed=params.seed, class_ratio=params.subsample.class_ratio
    )
    return pool.take(rows), held_out


def draw_with_share(params: SubsampleView, pool: Split) -> tuple[Split, Split]:
    """The training and the validation rows, both of the samples; grouped as the validation split was."""
    keeps_together = read_json(paths.DATA_CARD)["partition"] == "grouped"
    drawn = shared_subset(
        pool.labels,
        find_sources(pool, np.random.default_rng(0))[0] if keeps_together else None,  # in any order
        samples=params.samples,
        seed=params.seed,
        class_ratio=params.subsample.class_ratio,
        validation_share=params.subsample.validation_share,
    )
    return pool.take(drawn.train), pool.take(drawn.validation)


if __name__ == "__main__":
    run_stage("subsample", main)
