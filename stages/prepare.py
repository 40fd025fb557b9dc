"""Prepare the study's data once, for every training-set size and seed.

Reads   data/sources/<dataset>/
Writes  data/prepared/: the training pool, the validation and the test split, and a card that says what they are;
        metrics/pool.json: what was dropped, and how far validation and test are met in the pool
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from stages.corpus.cleaning import Cleaning, clean
from stages.corpus.overlap import overlap_table
from stages.corpus.params import PrepareView
from stages.corpus.partition import Partition, partition
from stages.corpus.sources.source import Source, read_source
from stages.foundation import paths, versions
from stages.foundation.files import write_json
from stages.foundation.log import say
from stages.foundation.params import read_params
from stages.foundation.split import Split, write_split
from stages.foundation.stage import run_stage
from stages.methods import TrainView

SHOWN_CLASSES = 5
DROPPED = {  # why a training row is in no split, by its count
    "rows_empty": "without a text",
    "rows_duplicate": "that repeat text and label of another",
    "rows_contradictory": "whose text carries two labels",
    "rows_of_held_sources": "from sources that are held out for validation, which did not validate themselves",
    "rows_overlapping_val": "that overlap with the given validation split",
}


def main() -> None:
    """Read, clean, hold out validation rows, and measure the overlap."""
    params = read_params("prepare", PrepareView)
    read_params("train", TrainView)  # what contradicts itself there should not wait for the data
    given = read_source(params.dataset)
    for fact in given.found:
        say(f"{fact.term}: {fact.told}")
    source, cleaning, val_dropped = clean(given)
    say(f"{params.dataset}: {cleaning.rows_read:,} training rows, {cleaning.kept:,} of them clean and distinct")
    parts = partition(source, params.prepare)
    held_out = {"val": parts.validation, "test": source.test}
    overlap = overlap_table(held_out, parts.pool, "pool")

    write_split(paths.POOL, parts.pool)
    write_split(paths.HELD_OUT, parts.validation)
    write_split(paths.TEST, source.test)
    write_json(paths.DATA_CARD, describe(params, source, parts))
    counts = count_rows(cleaning, parts) | {"val_rows_dropped": val_dropped}
    write_json(paths.POOL_METRICS, counts | overlap | {"corpus_version": versions.CORPUS})
    for line in dropped_lines(counts):
        say(line)
    say(f"pool: {len(parts.pool):,} rows, of which at most {counts['pool_balanced_max']:,} are balanced")
    if params.prepare.validation_ratio == "balanced":
        for line in uneven_lines(parts.validation, source):
            say(line)
    for name, origin in (("val", parts.validation_origin), ("test", source.test_origin)):
        say(f"{name}: {len(held_out[name]):,} rows, {origin}; {overlap[f'pool_{name}_any']:,} overlap with the pool")


def describe(params: PrepareView, source: Source, parts: Partition) -> dict[str, Any]:
    """What these data are, for the report."""
    return {
        "dataset": params.dataset,
        "kind": source.kind,
        "revision": source.revision,
        "synthetic": source.synthetic,
        "label_names": list(source.test.label_names),
        "positive": source.positive,
        "partition": params.prepare.partition,
        "validation": parts.validation_origin,
        "validation_ratio": params.prepare.validation_ratio if source.validation is None else "given",
        "test": source.test_origin,
        "read": [asdict(fact) for fact in source.found],
    }


def count_rows(cleaning: Cleaning, parts: Partition) -> dict[str, int]:
    """Where the training rows went, as flat metrics."""
    return {
        "rows_read": cleaning.rows_read,
        "rows_empty": cleaning.empty,
        "rows_duplicate": cleaning.duplicate,
        "rows_contradictory": cleaning.contradictory,
        "sources_held_out": parts.sources_held_out,
        "rows_dropped": parts.rows_dropped,
        "rows_of_held_sources": parts.rows_of_held_sources,
        "rows_overlapping_val": parts.rows_overlapping,
        "rows_held_out": cleaning.kept - parts.rows_dropped - len(parts.pool),
        "pool_rows": len(parts.pool),
        "pool_balanced_max": parts.pool.num_classes * int(np.bincount(parts.pool.labels).min()),
    }


def dropped_lines(counts: Mapping[str, int]) -> list[str]:
    """How many training rows are in no split, and why, a line for each reason that there is."""
    return [f"dropped: {counts[name]:,} {why}" for name, why in DROPPED.items() if counts[name]]


def uneven_lines(validation: Split, source: Source) -> list[str]:
    """Classes that validate with fewer rows than others, where prepare itself held them out."""
    if source.validation is not None:
        return []
    validating, training = (
        np.bincount(split.labels, minlength=split.num_classes) for split in (validation, source.train)
    )
    few = np.flatnonzero(validating < validating.max() - 1)
    told = [
        f"{source.train.label_names[at]} ({validating[at]:,} of its {training[at]:,})" for at in few[:SHOWN_CLASSES]
    ]
    more = f" and {len(few) - SHOWN_CLASSES} more" if len(few) > SHOWN_CLASSES else ""
    why = "a class keeps at least half of its rows for training, and others validate instead"
    return [f"val: fewer rows of {', '.join(told)}{more}: {why}"] if told else []


if __name__ == "__main__":
    run_stage("prepare", main)
