"""Which finished cells make one study: one model, one data set, one version, one engine and device.

Number formats alone are pooled, and only as they are asked for.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from stages.foundation.errors import StudyError
from stages.foundation.log import say
from stages.methods import METHODS
from stages.methods.method import Computation
from stages.study.cells import Cell
from stages.study.collect import Computations, Coverage
from stages.study.repository import Experiment
from stages.study.store import Result, Results, read_results

OTHER = "other data, params, version or number format"
AUTO = "auto"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a cell was computed, or may have been."""

    engine: str = AUTO  # packed, plain or a method's own; auto: any
    device: str = AUTO  # cpu, cuda or mps; auto: any

    def holds(self, other: "Place") -> bool:
        """Whether the other one is what this one asks for."""
        return self.engine in (AUTO, other.engine) and self.device in (AUTO, other.device)

    def __str__(self) -> str:
        return f"{self.engine} on {self.device}"


def recorded_study(
    dataset: str,
    precisions: Sequence[str],
    *,
    model: str,
    protocol: str,
    tuned: Mapping[tuple[str, int], float] | None,
    place: Place,
) -> Coverage:
    """The recorded cells of a model and protocol alone, whatever the code is now; of several versions the largest part.

    Args:
        dataset: Whose record.
        precisions: Number formats that may be pooled, the preferred one first; `auto`: the only one that there is.
        model: As `model` in params.yaml; cells of a method without a base model are everybody's.
        protocol: As `train.protocol`; cells of a method without steps are everybody's.
        tuned: What tuning chose, by method and size, where tuned cells are meant.
        place: The engine and device to take; `auto`: those of most cells.

    Raises:
        StudyError: If no cell is of the model and protocol, or there are several formats and `auto` chooses none.
    """
    recorded = read_results(dataset)
    _require_model(dataset, model, recorded.by_key.values())
    of_model = [result for result in recorded.by_key.values() if result.cell.base_model in ("", model)]
    known = _tuned(_of_protocol(of_model, protocol), tuned)
    asked = [result for result in known if result.cell.method in METHODS and _counts(result, precisions)]
    kinds = _most_common_kinds(asked)
    kept = [result for result in asked if result.kind == kinds.get(result.cell.method)]
    cells: dict[Cell, list[Result]] = {}
    for result in kept:
        cells.setdefault(replace(result.cell, model=model), []).append(result)
    keys = {result.key for result in kept}
    coverage = Coverage(
        cells={cell: _in_order(results, precisions) for cell, results in cells.items()},
        results=recorded,
        finished={},
        stale=tuple(f"{result.cell.name} ({result.told}): {OTHER}" for result in known if result.key not in keys),
        num_test_rows=None if recorded.rows is None else len(recorded.rows.row_ids),
    )
    found = of_one_place(coverage, precisions, place)
    return replace(found, cells={cell: keys for cell, keys in found.cells.items() if keys})


def of_one_place(coverage: Coverage, precisions: Sequence[str], asked: Place) -> Coverage:
    """The same without the results of other engines and devices, which are told in a line and never mixed.

    Args:
        coverage: Cells and whatever may count for them.
        precisions: Number formats that may be pooled; `auto`: the only one that there is.
        asked: The engine and device to take; `auto`: those of most cells. A method that has none of that engine shows
            its own, for not every method can be computed by each.

    Raises:
        StudyError: If cells were computed in several formats and `auto` chooses none.
    """
    results = [result for cell in coverage.cells for result in coverage.in_each_precision(cell) if _has_choice(result)]
    chosen = _places(results, asked)
    left_out = [result for result in results if _place(result) != chosen.get(result.cell.method)]
    stale = [*coverage.stale]
    if left_out:
        stale.append(told := _told(left_out))
        say(f"left out: {told}")
    dropped = {result.key for result in left_out}
    _refuse_mixture([result for result in results if result.key not in dropped], precisions)
    cells = {cell: [key for key in keys if key not in dropped] for cell, keys in coverage.cells.items()}
    return replace(coverage, cells=cells, stale=tuple(stale))


def computations_seen(
    methods: Sequence[str],
    precisions: Sequence[str],
    recorded: Results,
    there: Sequence[Experiment],
    *,
    model: str,
    pinned: bool,
) -> Computations:
    """What each method was computed with, in the record and in experiments: a report asks no engine.

    Of a model whose weights changed, what most cells were trained from counts.

    Args:
        methods: Of the grid.
        precisions: Number formats that count, the preferred one first; `auto`: whatever there is.
        recorded: The record.
        there: All finished experiments.
        model: As `model` in params.yaml.
        pinned: Whether params.yaml says which weights of it are meant.
    """
    told = [
        (result.cell.method, result.computation)
        for result in recorded.by_key.values()
        if result.cell.base_model in ("", model) and result.cell.method in METHODS
    ]
    made_of = [made.identity for made in there if made.identity.params.get("model", model) == model]
    told += [(identity.params["method"], identity.computation) for identity in made_of]
    if not pinned:
        told = _of_one_weights(told)
    by_method: dict[str, dict[Computation, None]] = {method: {} for method in methods}  # each once, in order
    for method, computation in told:
        if method in by_method:
            declared = METHODS[method].computation
            by_method[method] |= dict.fromkeys([declared] if declared else _in_formats(computation, precisions))
    rank = {precision: at for at, precision in enumerate(precisions)}
    return {method: sorted(found, key=lambda one: rank.get(one.precision, 0)) for method, found in by_method.items()}


def _of_one_weights(told: Sequence[tuple[str, Computation]]) -> list[tuple[str, Computation]]:
    """Without those of other weights than most, and of unknown ones."""
    counted = Counter(computation.weights for _, computation in told if computation.weights)
    kept = {weights for weights, _ in counted.most_common(1)}
    return [(method, one) for method, one in told if one.weights in kept or one == METHODS[method].computation]


def _in_formats(seen: Computation, precisions: Sequence[str]) -> list[Computation]:
    """The same engine and device in each format that counts."""
    return [seen] if AUTO in precisions else [replace(seen, precision=precision) for precision in precisions]


def _require_model(dataset: str, model: str, results: Collection[Result]) -> None:
    others = Counter(result.cell.base_model for result in results if result.cell.base_model)
    if others and model not in others:
        names = " or ".join(f"`--model {name}`" for name in sorted(others))
        raise StudyError(f"no recorded cell of {dataset} is of the model {model}; {names} shows those that there are")
    for other, number in sorted(others.items()):
        if other != model:
            say(f"shown: {model}; {number:,} recorded cells are of another model: `--model {other}` shows them")


def _of_protocol(results: Sequence[Result], protocol: str) -> list[Result]:
    """Those of one protocol, and those that know none; the others are told in a line."""
    by_steps = Counter(result.cell.protocol for result in results if METHODS[result.cell.method].by_steps)
    other = "trained" if protocol == "seed" else "seed"
    if by_steps and not by_steps[protocol]:
        raise StudyError(f"no recorded cell is of the protocol {protocol}; `--protocol {other}` shows those there are")
    if by_steps[other]:
        say(f"shown: protocol {protocol}; {by_steps[other]:,} recorded cells are of {other}: `--protocol {other}`")
    return [
        result for result in results if result.cell.protocol == protocol or not METHODS[result.cell.method].by_steps
    ]


def _tuned(results: Sequence[Result], chosen: Mapping[tuple[str, int], float] | None) -> list[Result]:
    """Those with the values that tuning chose, or those with the values of params.yaml."""
    wanted = chosen or {}
    kept = [one for one in results if one.cell.tuned == wanted.get((one.cell.method, one.cell.samples))]
    if chosen is not None:
        kept = [one for one in kept if one.cell.tuned is not None]
    if left := len(results) - len(kept):
        say(f"left out: {left:,} recorded cells with other values of what is tuned (study.tuned)")
    return kept


def _most_common_kinds(results: Collection[Result]) -> dict[str, tuple[str, ...]]:
    """Of each method the data, params and versions that most of its cells share; all of one data set."""
    counted = Counter(str(result.numbers["data"]) for result in results)
    by_method: dict[str, Counter[tuple[str, ...]]] = {}
    for result in results:
        if str(result.numbers["data"]) == counted.most_common(1)[0][0]:
            by_method.setdefault(result.cell.method, Counter())[result.kind] += 1
    return {method: kinds.most_common(1)[0][0] for method, kinds in by_method.items()}


def _places(results: Collection[Result], asked: Place) -> Mapping[str, Place]:
    """Of each method the engine and device to take: one device for all, and the engine of most cells that it has."""
    counted = Counter(_place(result) for result in results if asked.holds(_place(result)))
    there = {(result.cell.method, _place(result)) for result in results}
    ordered = [place for place, _ in counted.most_common() if place.device == counted.most_common(1)[0][0].device]
    chosen: dict[str, Place] = {}
    for place in ordered:
        for method in METHODS:
            if (method, place) in there:
                chosen.setdefault(method, place)
    return chosen


def _place(result: Result) -> Place:
    return Place(engine=result.computation.engine, device=result.computation.device)


def _told(left_out: Sequence[Result]) -> str:
    counted = Counter(_place(result) for result in left_out)
    listed = " and ".join(
        f"{number:,} {'cell' if number == 1 else 'cells'} by {place}" for place, number in counted.most_common()
    )
    other = counted.most_common(1)[0][0]
    return (
        f"{listed}, since engines and devices are never mixed: "
        f"`--engine {other.engine} --device {other.device}` shows those instead"
    )


def _has_choice(result: Result) -> bool:
    """Whether its method leaves a choice of number format, engine and device."""
    return METHODS[result.cell.method].computation is None


def _counts(result: Result, precisions: Sequence[str]) -> bool:
    return AUTO in precisions or not _has_choice(result) or result.precision in precisions


def _in_order(results: Sequence[Result], precisions: Sequence[str]) -> list[str]:
    rank = {precision: at for at, precision in enumerate(precisions)}
    return [result.key for result in sorted(results, key=lambda result: rank.get(result.precision, 0))]


def _refuse_mixture(results: Collection[Result], precisions: Sequence[str]) -> None:
    found = Counter(result.precision for result in results)
    if AUTO in precisions and len(found) > 1:
        told = " and ".join(f"{number} in {precision}" for precision, number in found.most_common())
        names = ",".join(sorted(found))
        raise StudyError(
            f"cells were computed in several number formats ({told}), and these are not mixed unasked: "
            f"`--precisions {names}` pools them and says how much they differ, `--precisions {min(found)}` takes one"
        )
