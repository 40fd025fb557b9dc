"""Train one experiment: one training-set size, one seed, one method.

Reads   data/subset/: the training rows, and those that choose the epoch
Writes  data/model/, its calibration inside; data/history.csv, data/validations.parquet, data/cost.json,
        data/provenance.json: cached outs only, so that any clone can restore them; evaluate publishes what Git keeps
Keeps   .checkpoints/: where a training that was killed goes on (stages/engine/training/checkpoint.py)
        metrics/live/: while it runs, where it is, for `dvc exp show`
"""

from stages.engine.provenance import write_provenance
from stages.engine.threads import polite_threads, share_threads
from stages.engine.training.history import best_epoch, choice_of_epoch, write_cost, write_history, write_validations
from stages.foundation import paths
from stages.foundation.log import followed, say
from stages.foundation.params import read_params
from stages.foundation.split import read_split
from stages.foundation.stage import require_free_space, run_stage
from stages.foundation.workers import with_workers
from stages.methods import TrainView, build, processes_of, training_versions
from stages.scoring.calibration import fit_calibrator, write_calibrator

NEEDED_MIB = 500  # model, cache and a copy of both, with room to spare


@polite_threads()
def main() -> None:
    """Train on this experiment's subset and keep the best epoch by validation loss.

    Of several processes each comes here, and one goes further than the training.
    """
    params = read_params("train", TrainView)
    require_free_space(NEEDED_MIB)
    subset, validation = read_split(paths.SUBSET), read_split(paths.VALIDATION)

    processes = processes_of(params)
    with with_workers("stages.train", processes) as workers, followed(paths.LIVE if workers.leads else None):
        share_threads(processes)
        classifier = build(params, subset.label_names)
        say(f"{params.method}, {len(subset):,} rows{f', {processes} processes' if processes > 1 else ''}")
        kept = paths.in_repository(paths.CHECKPOINTS)
        result = classifier.fit(subset, validation, params.train, seed=params.seed, checkpoints=kept, workers=workers)
    if not workers.leads:
        return
    record = classifier.record
    say(f"{record.trainable_parameters:,} of {record.total_parameters:,} parameters trained, engine {record.engine}")
    say(f"{result.samples_per_second:.0f} samples/s{choice_of_epoch(result.history)}")

    classifier.save(paths.MODEL)
    write_history(paths.HISTORY, result.history)
    write_validations(paths.VALIDATIONS, result.validation_logits)
    write_cost(paths.COST, result)
    versions = training_versions(params.method)
    write_provenance(paths.PROVENANCE, record, params.train.device, versions, processes=processes)
    chosen = result.validation_logits[best_epoch(result.history).epoch - 1]
    pairs = validation.second is not None
    calibrator = fit_calibrator(chosen, validation.labels, validation.label_names, reads_pairs=pairs)
    write_calibrator(paths.MODEL, calibrator)


if __name__ == "__main__":
    run_stage("train", main)
