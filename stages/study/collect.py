"""Where each cell of the grid stands: recorded, finished as an experiment, or missing; and what does not count."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stages.foundation import paths
from stages.methods.method import Computation
from stages.study.cells import VARIED, Cell
from stages.study.gather import gather
from stages.study.identity import OTHER_WEIGHTS, Identity, Workspace
from stages.study.repository import Experiment
from stages.study.store import Result, Results, read_results

Computations = Mapping[str, Sequence[Computation]]  # of each method, those that count, the preferred one first


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """The grid against what there is."""

    cells: Mapping[Cell, Sequence[str]]  # every cell of the grid, and the keys that count for it, the preferred first
    results: Results  # recorded cells and gathered experiments, of this grid or not
    finished: Mapping[str, Experiment]  # by key: experiments of this grid that were not recorded before
    stale: Sequence[str]  # experiments that look like cells of this grid and are not, and why
    num_test_rows: int | None  # None: no experiment on this data has told it yet

    @property
    def missing(self) -> list[Cell]:
        """Cells to make."""
        there = self.results.by_key.keys() | self.finished.keys()
        return [cell for cell, keys in self.cells.items() if there.isdisjoint(keys)]

    def found(self) -> dict[Cell, Result]:
        """Cells whose results are at hand, in the preferred of the number formats that they have."""
        every = {cell: self.in_each_precision(cell) for cell in self.cells}
        return {cell: results[0] for cell, results in every.items() if results}

    def in_each_precision(self, cell: Cell) -> list[Result]:
        """The results of one cell, one for each number format that it was computed in and that counts.

        Where no model decides them they may have been recorded beside another model's: here they are this cell's.
        """
        there = (self.results.by_key.get(key) for key in self.cells[cell])
        return [replace(result, cell=cell) for result in there if result]


def take_stock(root: Path, cells: Sequence[Cell], computations: Computations, there: Sequence[Experiment]) -> Coverage:
    """Hold the grid against the recorded results and against all experiments.

    Args:
        root: The repository.
        cells: The grid, of one data set.
        computations: What each of its methods may have run with.
        there: All finished experiments.

    Raises:
        StudyError: If the data set is one of the Hub without a commit.
    """
    workspace, recorded = Workspace(root), read_results(cells[0].dataset)
    dataset = cells[0].dataset
    workspace.require_pinned_source(dataset)
    data = workspace.source_hash(dataset) if workspace.has_source(dataset) else _recorded_data(recorded)
    wanted = {
        cell: [workspace.identity(cell, computation, data=data) for computation in computations[cell.method]]
        for cell in cells
    }
    sound = [made for made in there if not made.altered]
    stale = _stale_records(recorded, wanted)
    if recorded.rows is not None and data != _recorded_data(recorded):
        recorded = Results(rows=None, by_key={})  # other texts, perhaps other test rows: nothing of it compares
    keys = {identity.key for identities in wanted.values() for identity in identities}
    return Coverage(
        cells={cell: [identity.key for identity in identities] for cell, identities in wanted.items()},
        results=recorded,
        finished={made.identity.key: made for made in sound if made.identity.key in keys - set(recorded.by_key)},
        stale=[*stale, *_stale(there, workspace, wanted)],
        num_test_rows=_num_test_rows(recorded, sound, data),
    )


def collect(root: Path, coverage: Coverage) -> Coverage:
    """Read the predictions of the finished experiments; one whose cache is gone is missing again."""
    results = coverage.results
    cells = {key: cell for cell, keys in coverage.cells.items() for key in keys}
    for key, experiment in coverage.finished.items():
        if gathered := gather(root, experiment, cells[key]):
            results = results.join(*gathered)
    return replace(coverage, results=results, finished={})


def _recorded_data(recorded: Results) -> str:
    """The data that the recorded cells were made from, where their source is not at hand."""
    return next((str(result.numbers["data"]) for result in recorded.by_key.values()), "")


def _num_test_rows(recorded: Results, there: Sequence[Experiment], data: str) -> int | None:
    """What the record or any experiment on the same data says."""
    if recorded.rows is not None:
        return len(recorded.rows.row_ids)
    return next((int(made.metrics[paths.SCORES]["test_rows"]) for made in there if made.identity.data == data), None)


def _stale_records(recorded: Results, wanted: Mapping[Cell, Sequence[Identity]]) -> list[str]:
    """Recorded cells of the grid that do not count for it, in one line for each commit and reason."""
    old = [made for key, made in recorded.by_key.items() if made.cell in wanted and key not in _keys(wanted[made.cell])]
    reasons = Counter(f"({made.told}): {_nearest(_difference(made, one) for one in wanted[made.cell])}" for made in old)
    return [f"{number} recorded {'cell' if number == 1 else 'cells'} {reason}" for reason, number in reasons.items()]


def _difference(made: Result, wanted: Identity) -> str:
    """Why a recorded cell is another than the one wanted; of its params the record keeps a digest alone."""
    told = []
    if made.numbers["data"] != wanted.data:
        told.append("other data")
    if made.versions != wanted.versions:
        told.append("other numerical version")
    if made.precision != wanted.computation.precision:
        told.append(f"{made.precision} not {wanted.computation.precision}")
    weights = wanted.computation.weights
    if weights and made.numbers.get("weights_sha256") != weights:
        told.append(OTHER_WEIGHTS)
    elif made.numbers["params_digest"] != wanted.params_digest:
        told.append("other params")
    return ", ".join(told) or "other engine or device"


def _nearest(told: Iterable[str]) -> str:
    """Of what differs from each that would count, what differs from the nearest: it takes the fewest words."""
    return min(told, key=len, default=OTHER_WEIGHTS)


def _keys(identities: Sequence[Identity]) -> set[str]:
    return {identity.key for identity in identities}


def _stale(there: Sequence[Experiment], workspace: Workspace, wanted: Mapping[Cell, Sequence[Identity]]) -> list[str]:
    """Experiments that ask what a cell of the grid asks, and do not count for it."""
    asked = {workspace.varied(cell): identities for cell, identities in wanted.items()}
    said = []
    for made in there:
        params = {"train.protocol": "seed", "subsample.validation_share": 0} | made.params()  # before there were others
        identities = asked.get(tuple(params.get(name) for name in VARIED))
        if identities and made.altered:
            files = " and ".join(str(file) for file in made.altered)
            said.append(f"{made.name} ({made.baseline[:7]}): {files} as committed is not what its dvc.lock records")
        elif identities and made.identity.key not in _keys(identities):
            differs = _nearest(made.identity.differences(one) for one in identities)
            said.append(f"{made.name} ({made.baseline[:7]}): {differs}")
    return said
