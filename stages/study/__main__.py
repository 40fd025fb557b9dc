"""Many experiments, one answer.

python -m stages.study plan     what the grid still lacks, how long that takes, what it can show
python -m stages.study tune     choose learning rates by validation, on seeds that do not count
python -m stages.study claim    fix what is asked of LoRA, before its cells run
python -m stages.study run      make the missing cells, each a named DVC experiment
python -m stages.study report   gather the finished cells and write the answer page
python -m stages.study answer   instead of a grid so many minutes: what to train with, and what more labels would bring
python -m stages.study verify   run some recorded cells again: does today's code compute what the record says?
python -m stages.study compare n8000 n56000     two experiments by name, row by row

The grid stands in params.yaml under `study`; options stand in for its values:
    python -m stages.study plan --sizes 250,500,1000,2000,4000,8000,16000,32000,56000 --seeds 42-46
    python -m stages.study run --dataset sst2 --methods lora,full --jobs 2
"""

import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stages.foundation import paths
from stages.foundation.errors import StudyError, can_be_mended, one_line
from stages.foundation.files import read_yaml
from stages.foundation.log import duration, say
from stages.foundation.params import STUDY, read_params
from stages.foundation.schema import as_yaml
from stages.methods import METHODS
from stages.methods.method import Computation
from stages.study.budget import seeds_of
from stages.study.cells import NOTHING_TUNED, Cell, StudyParams, StudyView, cells_of
from stages.study.claim import committed_claim, propose, read_claim, require_unseen, write_claim
from stages.study.collect import Computations, Coverage, collect, take_stock
from stages.study.command_line import GRID, WHOLE_GRID, parser_of
from stages.study.compare import compare as compare_experiments
from stages.study.handover import require_resources
from stages.study.identity import Workspace, leaves, pins_weights
from stages.study.on_slurm import write_array
from stages.study.plan import forecast, say_plan
from stages.study.pool import Pool, find_pool, fit
from stages.study.processes import end_as_by_a_terminal
from stages.study.recorded import Place, computations_seen, of_one_place, recorded_study
from stages.study.repository import experiments
from stages.study.resolve import resolved
from stages.study.runner import LocalWorkers, Workers, make_cells, require_committed, share_of_cores
from stages.study.settle import Settling, settle
from stages.study.store import claim_file, read_results, require_same_record, write_results
from stages.study.tune import at_the_edge, chosen, read_trials, require_chosen, trial_cells, trial_of, write_trials
from stages.study.verify import verify as verify_cells

ROOT = Path()
VALUES = (*WHOLE_GRID, "margins")  # options that stand in for those of params.yaml


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """What the study is to be made of, here and now."""

    study: StudyParams  # the section of params.yaml, with what the command line says and what the data can give
    cells: list[Cell]
    computations: Computations  # what each method is computed with here
    pool: Pool | None  # None: no cell is missing, or the data are not at hand


def plan(asked: Namespace) -> None:
    """Say what the grid still lacks, how long that takes and what it can show; runs nothing."""
    grid = _grid(asked)
    coverage = _collected(grid.cells, grid.computations)
    if grid.pool and coverage.num_test_rows is None:
        coverage = replace(coverage, num_test_rows=grid.pool.num_test_rows)
    say_plan(coverage, grid.study, jobs=asked.jobs)
    if grid.pool:
        say(str(grid.pool))


def claim(asked: Namespace) -> None:
    """Fix what is asked of LoRA, at which sizes and margins, on which seeds: a file to commit before its cells run."""
    study, dataset, model = _asked(asked)
    pool = find_pool(ROOT, dataset, [])
    if pool is None:
        raise StudyError(f"{paths.SOURCES}/{dataset} is not there; put the data into it, as its README.md says")
    study = fit(study, pool, asked=asked.sizes is not None)
    fixed = propose(
        study,
        dataset=dataset,
        model=model,
        data=Workspace(ROOT).source_hash(dataset),
        test_rows=pool.num_test_rows,
        seeds=seeds_of(study.seeds, study.tuning.seeds, study.looks[-1]),
    )
    if not claim_file(dataset, model).is_file():
        study = replace(study, methods=fixed.methods)
        computations = resolved(ROOT, study.methods, model=model, precisions=study.precisions)
        values = _values(study, dataset=dataset, model=model)
        cells = [cell for samples in fixed.sizes for cell in fixed.cells(fixed.looks[-1], samples, values)]
        require_unseen(cells, _collected(cells, computations).missing)
    file = write_claim(fixed)
    say(file.read_text(encoding="utf-8"))
    say(f"`git add {file}` and commit it; then `python -m stages.study run --until-settled` makes what it needs")


def run(asked: Namespace) -> None:
    """Make the missing cells, each a named DVC experiment on a copy; goes on where it was interrupted."""
    if asked.until_settled:
        _settle(asked)
        return
    if asked.minutes is not None:
        raise StudyError("--minutes goes with --until-settled; a grid takes the time that its cells take")
    grid = _grid(asked)
    cells, computations = grid.cells, grid.computations
    require_committed(ROOT)
    coverage = _collected(cells, computations)
    missing = coverage.missing
    ahead = forecast(missing, coverage.results.by_key.values())
    told = f"{len(cells)} cells, {len(cells) - len(missing)} finished, {len(missing)} to make"
    if not missing:
        say(told)
        return
    chosen = {cell: computations[cell.method][0] for cell in missing}
    if asked.on == "slurm":
        say(told)
        _say_array(asked, chosen, ahead.seconds)
        return
    workers = _workers(asked, chosen)
    say(told + ("" if ahead.unknown else f", about {duration(ahead.total_seconds / workers.jobs)}"))
    failed = make_cells(ROOT, chosen, workers, seconds=ahead.seconds)
    if failed:
        names = ", ".join(made.cell.name for made in failed)
        raise StudyError(
            f"{len(failed)} of {len(missing)} cells failed: {names}; mend what the lines above say of them, then give "
            "the same command again: it makes these alone"
        )
    if lost := [cell.name for cell in _collected(cells, computations).missing]:
        raise StudyError(
            f"{', '.join(lost)} ended well, yet no experiment of this data, params and versions has its results: "
            "`python -m stages.study plan` says what differs"
        )


def report(asked: Namespace) -> None:
    """Gather the finished cells and write plots/study.html, plots/study.md and metrics/study/."""
    from stages.study.report import write_report  # drawing: a slow import that the other commands can do without

    if asked.recorded:
        if any(getattr(asked, name) is not None for name in GRID):
            left_out = ", ".join(f"--{name}" for name in GRID)
            raise StudyError(f"--recorded shows every recorded cell of the model; leave out {left_out}")
        study, dataset, model = _asked(asked)
        coverage = recorded_study(
            dataset,
            study.precisions,
            model=model,
            protocol=study.protocol,
            tuned=chosen(read_trials(dataset), study, model=model) if study.tuned else None,
            place=_place(asked),
        )
    else:
        study, dataset, model = _asked(asked)
        there = experiments(ROOT)
        pinned = pins_weights(dict(leaves(read_yaml(paths.PARAMS))) | {"model": model})
        seen = computations_seen(
            study.methods, study.precisions, read_results(dataset), there, model=model, pinned=pinned
        )
        if asked.sizes is None:
            study = _as_made(study, seen, dataset=dataset, model=model)
        cells = _cells(study, dataset=dataset, model=model)
        found = collect(ROOT, take_stock(ROOT, cells, seen, there))
        coverage = of_one_place(found, study.precisions, _place(asked))
        require_same_record(cells[0].dataset, coverage.results)
        write_results(cells[0].dataset, coverage.results)
    write_report(coverage, study, with_sentences=asked.sentences)


def answer(asked: Namespace) -> None:
    """In so many minutes: what to train with now, what more labels would bring; goes on where it stood before."""
    from stages.study.answering import answer_within, prepare  # words of pages: as in `report`

    study, dataset, model = _asked(asked)
    methods = asked.methods or list(METHODS)
    answer_within(prepare(ROOT, study, dataset=dataset, model=model, methods=methods, minutes=asked.minutes))


def tune(asked: Namespace) -> None:
    """Choose the learning rate of each method and size by validation."""
    study, dataset, model = _asked(asked)
    computations = resolved(ROOT, study.methods, model=model, precisions=study.precisions)
    require_committed(ROOT)
    if pool := find_pool(ROOT, dataset, []):
        study = fit(study, pool, asked=asked.sizes is not None)
    cells = trial_cells(study, dataset=dataset, model=model)
    known = {trial.key: trial for trial in read_trials(dataset)}

    def stock() -> Coverage:
        return take_stock(ROOT, cells, computations, experiments(ROOT))

    coverage = stock()
    missing = [cell for cell in coverage.missing if known.keys().isdisjoint(coverage.cells[cell])]
    say(f"{len(cells)} trials, {len(cells) - len(missing)} finished, {len(missing)} to make")
    made_with = {cell: computations[cell.method][0] for cell in missing}
    failed = make_cells(ROOT, made_with, LocalWorkers(asked.jobs), seconds={})
    coverage = stock()
    by_key = {key: cell for cell, keys in coverage.cells.items() for key in keys}
    made = {key: trial_of(by_key[key], experiment) for key, experiment in coverage.finished.items()}
    trials = list((known | made).values())
    write_trials(dataset, trials)
    found = chosen(trials, study, model=model)
    for (method, samples), value in sorted(found.items()):
        say(f"{method} at {samples:,} rows: {METHODS[method].tuned} {value:g}")
    for line in at_the_edge(trials, found):
        say(f"at the edge: {line}; other study.tuning.factors would look further")
    if failed:
        raise StudyError(f"{len(failed)} of {len(missing)} trials failed; run the same command again for these")


def verify(asked: Namespace) -> None:
    """Run some recorded cells again, and say how far what comes out is from the record."""
    grid = _grid(asked)
    require_committed(ROOT)
    coverage = take_stock(ROOT, grid.cells, grid.computations, experiments(ROOT))
    verify_cells(ROOT, coverage, number=asked.cells, seed=asked.draw)


def compare(asked: Namespace) -> None:
    """Say which of two experiments is better on the same test rows, and how sure that is."""
    compare_experiments(ROOT, asked.first, asked.second)


def _settle(asked: Namespace) -> None:
    """Make what the claim needs; of the command line only who, how long and how many at a time."""
    if given := [f"--{name}" for name in (*GRID, "protocol", "tuned") if getattr(asked, name) is not None]:
        raise StudyError(f"--until-settled makes what the claim file says; leave out {', '.join(given)}")
    if asked.on == "slurm":
        raise StudyError("--until-settled looks between cells, and an array job does not wait: here, or `--on ray`")
    until = None if asked.minutes is None else time.monotonic() + 60 * asked.minutes
    study, dataset, model = _asked(asked)
    require_committed(ROOT)
    fixed = committed_claim(ROOT, dataset, model)
    told = read_claim(dataset, model)
    assert told is not None
    study = replace(study, sizes=fixed.sizes, methods=fixed.methods, protocol=fixed.protocol, tuned=fixed.tuned)
    if Workspace(ROOT).source_hash(dataset) != fixed.data:
        raise StudyError(
            f"{told.file} was fixed on other data than {paths.SOURCES}/{dataset} holds now; take them back"
        )
    computations = resolved(ROOT, study.methods, model=model, precisions=study.precisions)
    settle(
        Settling(
            root=ROOT,
            fixed=fixed,
            claim=told,
            values=_values(study, dataset=dataset, model=model),
            computations=computations,
            workers=_workers(asked, {}),
            until=until,
            stock=lambda cells: _collected(list(cells), computations),
        )
    )


def _workers(asked: Namespace, cells: Mapping[Cell, Computation]) -> Workers:
    """Where cells are to be made."""
    if asked.on == "ray":
        from stages.study.on_ray import RayWorkers  # not everybody has Ray

        require_resources(cells, gpus=asked.gpus)
        return RayWorkers(address=asked.address, cpus=_cpus(asked), gpus=asked.gpus, remote=asked.remote)
    if asked.cpus or asked.gpus or asked.remote or asked.address:
        raise StudyError("--cpus, --gpus, --remote and --address are for other machines: `--on ray` or `--on slurm`")
    return LocalWorkers(asked.jobs)


def _say_array(asked: Namespace, cells: Mapping[Cell, Computation], seconds: Mapping[Cell, float]) -> None:
    require_resources(cells, gpus=asked.gpus)
    path = write_array(ROOT, cells, seconds, cpus=_cpus(asked), gpus=asked.gpus, remote=asked.remote)
    back = f"`dvc exp pull --run-cache {asked.remote}` brings cells here, " if asked.remote else ""
    say(
        f"written: an array job. `sbatch {path}` submits it (time, partition and account are options of sbatch); "
        f"{back}`python -m stages.study plan` says what is finished"
    )


def _cpus(asked: Namespace) -> int:
    return asked.cpus or share_of_cores(asked.jobs)


def _collected(cells: list[Cell], computations: Computations) -> Coverage:
    return collect(ROOT, take_stock(ROOT, cells, computations, experiments(ROOT)))


def _asked(asked: Namespace) -> tuple[StudyParams, str, str]:
    """The section `study` with what the command line says instead; data set and model."""
    study = read_params(STUDY, StudyView).study
    given = {name: getattr(asked, name, None) for name in VALUES}
    study = replace(study, **{name: value for name, value in given.items() if value is not None})
    params = read_yaml(paths.PARAMS)
    dataset, model = (getattr(asked, name) or params.get(name) for name in ("dataset", "model"))
    for key, value in (("dataset", dataset), ("model", model)):
        if not isinstance(value, str) or not value:
            raise StudyError(
                f"params.yaml: {key} must be text, got {as_yaml(value)}; name one, in quotation marks, or give --{key}"
            )
    return study, str(dataset), str(model)


def _grid(asked: Namespace) -> Grid:
    """The grid as it can be made here: the engine is asked, once, and of missing cells the data."""
    study, dataset, model = _asked(asked)
    computations = resolved(ROOT, study.methods, model=model, precisions=study.precisions)
    pool = _pool_of_missing(study, computations, dataset=dataset, model=model)
    if pool:
        study = fit(study, pool, asked=asked.sizes is not None)
    cells = _cells(study, dataset=dataset, model=model)
    return Grid(study=study, cells=cells, computations=computations, pool=pool)


def _cells(study: StudyParams, *, dataset: str, model: str) -> list[Cell]:
    """The cells of the grid, with what tuning chose for them where that is asked for."""
    return cells_of(study, dataset=dataset, model=model, tuned=_values(study, dataset=dataset, model=model))


def _values(study: StudyParams, *, dataset: str, model: str) -> Mapping[tuple[str, int], float]:
    """What tuning chose, by method and size; nothing where the study is not tuned."""
    if not study.tuned:
        return NOTHING_TUNED
    return require_chosen(chosen(read_trials(dataset), study, model=model), study, dataset=dataset)


def _as_made(study: StudyParams, seen: Computations, *, dataset: str, model: str) -> StudyParams:
    """The grid with the sizes that `run` made; as params.yaml has them where the data can't be read any more."""
    try:
        pool = _pool_of_missing(study, seen, dataset=dataset, model=model)
    except StudyError as fault:
        say(f"sizes as in params.yaml, since the data tell no other: {fault}")
        return study
    return fit(study, pool, asked=False) if pool else study


def _pool_of_missing(study: StudyParams, computations: Computations, *, dataset: str, model: str) -> Pool | None:
    """The pool that cells would be made from; of a finished grid nobody needs to know."""
    if not study.tuned:  # else no cell may have its value yet
        cells = cells_of(study, dataset=dataset, model=model)
        if not take_stock(ROOT, cells, computations, experiments(ROOT)).missing:
            return None
    return find_pool(ROOT, dataset, study.contrasts, inside_share=study.inside_share)


def _place(asked: Namespace) -> Place:
    """The engine and device whose cells are to be shown."""
    train = read_yaml(paths.PARAMS)["train"]
    return Place(engine=asked.engine or train["engine"], device=asked.device or train["device"])


def main() -> None:
    """One command of the study; what a person can mend becomes one line and exit code 1."""
    commands = (plan, tune, claim, run, report, answer, verify, compare)
    asked = parser_of(commands, description=str(__doc__)).parse_args()
    end_as_by_a_terminal()
    try:
        asked.command(asked)
    except Exception as error:
        if not can_be_mended(error):
            raise
        sys.exit(f"study: {one_line(error)}")
    except KeyboardInterrupt:
        sys.exit("study: interrupted; finished cells are kept, run the same command again")


if __name__ == "__main__":
    main()
