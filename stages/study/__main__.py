"""Many experiments, one answer.

python -m stages.study plan     what the grid still lacks, how long that takes, what it can show
python -m stages.study tune     choose learning rates by validation, on seeds that do not count
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
from argparse import (
    ArgumentParser,
    ArgumentTypeError,
    BooleanOptionalAction,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stages.foundation import paths
from stages.foundation.errors import StudyError, one_line
from stages.foundation.files import read_yaml
from stages.foundation.log import duration, say
from stages.foundation.params import STUDY, read_params
from stages.foundation.schema import as_yaml
from stages.methods import METHODS
from stages.methods.method import Computation
from stages.study.cells import Cell, StudyParams, StudyView, cells_of
from stages.study.collect import Computations, Coverage, collect, take_stock
from stages.study.compare import compare as compare_experiments
from stages.study.handover import require_resources
from stages.study.identity import leaves, pins_weights
from stages.study.on_slurm import write_array
from stages.study.plan import forecast, say_plan
from stages.study.pool import Pool, find_pool, fit
from stages.study.processes import end_as_by_a_terminal
from stages.study.recorded import Place, computations_seen, of_one_place, recorded_study
from stages.study.repository import experiments
from stages.study.resolve import resolved
from stages.study.runner import LocalWorkers, Workers, make_cells, require_committed, share_of_cores
from stages.study.store import read_results, require_same_record, write_results
from stages.study.tune import at_the_edge, chosen, read_trials, require_chosen, trial_cells, trial_of, write_trials
from stages.study.verify import verify as verify_cells

ROOT = Path()
GRID = ("sizes", "seeds", "methods", "contrasts")
OPTIONS = (*GRID, "precisions", "protocol", "tuned")  # what stands in for the values of params.yaml


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


def run(asked: Namespace) -> None:
    """Make the missing cells, each a named DVC experiment on a copy; goes on where it was interrupted."""
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
    given = {name: getattr(asked, name, None) for name in OPTIONS}
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
    if not study.tuned:
        return cells_of(study, dataset=dataset, model=model)
    found = require_chosen(chosen(read_trials(dataset), study, model=model), study, dataset=dataset)
    return cells_of(study, dataset=dataset, model=model, tuned=found)


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
    return find_pool(ROOT, dataset, study.contrasts)


def _place(asked: Namespace) -> Place:
    """The engine and device whose cells are to be shown."""
    train = read_yaml(paths.PARAMS)["train"]
    return Place(engine=asked.engine or train["engine"], device=asked.device or train["device"])


def _numbers(text: str) -> list[int]:
    """`250,500` or `42-46`."""
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise ArgumentTypeError(f"{part!r} is no whole number and no range such as 42-46")
        if int(last or first) < int(first):
            raise ArgumentTypeError(f"{part!r} runs backwards; write {last}-{first}")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _share(text: str) -> float:
    if not text.replace(".", "", 1).isdecimal():
        raise ArgumentTypeError(f"{text!r} is no number such as 1 or 0.25")
    return float(text)


def _words(*known: str) -> Callable[[str], list[str]]:
    def split(text: str) -> list[str]:
        words = [word for word in text.split(",") if word]
        if unknown := [word for word in words if word not in known]:
            raise ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return words

    return split


def _parser() -> ArgumentParser:
    parser = ArgumentParser("python -m stages.study", description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="plan | tune | run | report | answer | verify | compare")
    for command in (plan, tune, run, report, verify):
        entry = _entry(commands, command)
        grid = entry.add_argument_group("grid", "instead of the values of params.yaml, section study")
        grid.add_argument("--sizes", type=_numbers, help="training rows, e.g. 250,1000,8000")
        if command is not tune:
            grid.add_argument("--seeds", type=_numbers, help="e.g. 42-46 or 42,44")
            grid.add_argument("--tuned", action=BooleanOptionalAction, help="with the values that `tune` chose")
        grid.add_argument("--methods", type=_words(*METHODS), help=f"of {', '.join(METHODS)}; e.g. lora,full")
        grid.add_argument("--protocol", choices=("seed", "trained"), help="as train.protocol")
        grid.add_argument("--contrasts", type=_words("fixed_steps", "random"), help="each again in another way")
        grid.add_argument("--precisions", type=_words("bf16", "fp32"), help="number formats whose cells count")
        grid.add_argument("--dataset", help="a folder in data/sources; else `dataset` of params.yaml")
        grid.add_argument("--model", help="a name, a Hub id or a folder; else `model` of params.yaml")
        if command is report:
            entry.add_argument("--recorded", action="store_true", help="show all of metrics/study, without experiments")
            entry.add_argument("--engine", choices=("packed", "plain"), help="whose cells are shown; else most cells'")
            entry.add_argument("--device", choices=("cpu", "cuda", "mps"), help="likewise")
            entry.add_argument("--sentences", action="store_true", help="show the texts of the worst errors")
        elif command is verify:
            entry.add_argument("--cells", type=_positive, default=3, help="how many are run again (3)")
            entry.add_argument("--draw", type=int, default=1, help="seed that chooses them (1)")
        else:
            entry.add_argument("--jobs", type=_positive, default=1, help="experiments at a time (1)")
        if command is run:
            _add_machines(entry)
    entry = _entry(commands, answer)
    entry.add_argument("--minutes", type=_positive, default=30, help="of this call (30); the next call goes on")
    entry.add_argument("--methods", type=_words(*METHODS), help=f"of {', '.join(METHODS)}; else all of them")
    entry.add_argument("--dataset", help="a folder in data/sources; else `dataset` of params.yaml")
    entry.add_argument("--model", help="a name, a Hub id or a folder; else `model` of params.yaml")
    entry = _entry(commands, compare)
    entry.add_argument("first", help="name or commit of an experiment; HEAD: the one of this commit")
    entry.add_argument("second", help="likewise")
    return parser


def _add_machines(entry: ArgumentParser) -> None:
    others = entry.add_argument_group("other machines", "stages/study/README.md says how")
    others.add_argument("--on", choices=("here", "ray", "slurm"), default="here", help="where cells are made (here)")
    others.add_argument("--address", default="", help="of the Ray cluster, e.g. auto; else one on this machine")
    others.add_argument("--cpus", type=_positive, help="cores of each cell; else of this machine, shared out by --jobs")
    others.add_argument("--gpus", type=_share, default=0.0, help="of each cell (0); for Ray also a part, e.g. 0.25")
    others.add_argument("--remote", default="", help="Git remote between the machines; else all see this very folder")


def _entry(commands: Any, command: Callable[[Namespace], None]) -> ArgumentParser:
    """The parser of one command, whose docstring is its help."""
    entry: ArgumentParser = commands.add_parser(command.__name__, help=command.__doc__, description=command.__doc__)
    entry.set_defaults(command=command)
    return entry


def main() -> None:
    """One command of the study; what a person can mend becomes one line and exit code 1."""
    asked = _parser().parse_args()
    end_as_by_a_terminal()
    try:
        asked.command(asked)
    except (StudyError, OSError) as error:
        sys.exit(f"study: {one_line(error)}")
    except KeyboardInterrupt:
        sys.exit("study: interrupted; finished cells are kept, run the same command again")


if __name__ == "__main__":
    main()
