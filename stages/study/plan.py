"""What the study would do, how long that takes from what finished cells took, and what it could show at all."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Any

from stages.foundation.log import duration, say
from stages.statistics.power import minimum_detectable_difference, rows_for_margin
from stages.study.cells import Cell, StudyParams
from stages.study.collect import Coverage
from stages.study.contrasts import comparisons
from stages.study.groups import curves_of
from stages.study.store import Result

USUAL_SHARES = (0.03, 0.05, 0.07)  # of the test rows, on which exactly one of two good classifiers is right

SECONDS_BESIDE_TRAINING = 15  # a cell's other stages and DVC itself: starting Python, loading models, drawing


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """Time and disk of cells still to make."""

    seconds: Mapping[Cell, float]  # wall time of each cell whose method has been measured
    disk_bytes: float  # of all of them together
    unknown: Sequence[str]  # methods of which no cell is finished

    @property
    def total_seconds(self) -> float:
        """One after the other."""
        return sum(self.seconds.values())


def forecast(missing: Sequence[Cell], finished: Iterable[Result]) -> Forecast:
    """From the nearest finished size of the same model, method and protocol: seconds and disk."""
    measured: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for result in finished:
        measured.setdefault(_kind(result.cell), []).append(result.numbers)
    alike = {cell: measured.get(_kind(cell)) for cell in missing}
    known = {cell: numbers for cell, numbers in alike.items() if numbers}
    return Forecast(
        seconds={cell: _seconds(cell, numbers) for cell, numbers in known.items()},
        disk_bytes=sum(median(each["output_bytes"] for each in numbers) for numbers in known.values()),
        unknown=sorted({cell.method for cell in missing if cell not in known}),
    )


def _kind(cell: Cell) -> tuple[str, ...]:
    """Cells of one kind take as long as each other, size for size."""
    return (cell.base_model, cell.method, cell.protocol)


def _seconds(cell: Cell, measured: Sequence[Mapping[str, Any]]) -> float:
    """By training rows, or by steps; under the protocol `trained` fewer rows may take as many steps."""
    distance = min(abs(numbers["train_rows"] - cell.samples) for numbers in measured)
    near = [numbers for numbers in measured if abs(numbers["train_rows"] - cell.samples) == distance]
    amount, unit = (cell.max_steps, "steps") if cell.max_steps else (cell.samples, "train_rows")
    if cell.protocol == "trained":
        amount = max(amount, near[0]["train_rows"])
    seconds_each: float = median(numbers["train_seconds"] / max(1, numbers[unit]) for numbers in near)
    return SECONDS_BESIDE_TRAINING + seconds_each * amount


def say_plan(coverage: Coverage, study: StudyParams, *, jobs: int) -> None:
    """Print the cells, the forecast and the power of the comparison."""
    missing = coverage.missing
    say(f"{len(coverage.cells)} cells: {len(coverage.cells) - len(missing)} finished, {len(missing)} missing\n")
    for line in _matrix(coverage.cells, set(missing)):
        say(line)
    for line in coverage.stale:
        say(f"stale, left out: {line}")
    _say_forecast(coverage, jobs)
    _say_power(coverage, study)


def _matrix(cells: Iterable[Cell], missing: Container[Cell]) -> list[str]:
    """A line for each curve and seed, a column for each size."""
    marks: dict[tuple[str, int], dict[int, str]] = {}
    for cell in cells:
        marks.setdefault((cell.curve, cell.seed), {})[cell.samples] = "missing" if cell in missing else "done"
    sizes = sorted({size for by_size in marks.values() for size in by_size})
    width = max(len(curve) for curve, _ in marks)
    lines = [f"{'':{width}}  seed" + "".join(f"{size:>9,}" for size in sizes)]
    for (curve, seed), by_size in marks.items():
        lines.append(f"{curve:{width}}  {seed:>4}" + "".join(f"{by_size.get(size, ''):>9}" for size in sizes))
    return [*lines, ""]


def _say_forecast(coverage: Coverage, jobs: int) -> None:
    missing = coverage.missing
    if not missing:
        return
    ahead = forecast(missing, coverage.results.by_key.values())
    if ahead.seconds:
        say(
            f"forecast for {len(ahead.seconds)} of them: {duration(ahead.total_seconds / jobs)} with {jobs} at a time, "
            f"{ahead.disk_bytes / 2**20:,.0f} MiB in DVC's cache (from the speed of finished cells)"
        )
    if ahead.unknown:
        say(f"no forecast for {', '.join(ahead.unknown)}: no cell of it is finished, so its speed is not known")


def _say_power(coverage: Coverage, study: StudyParams) -> None:
    if coverage.num_test_rows is None:
        say("power: the number of test rows is known once one cell is finished")
        return
    measured = _measured_shares(coverage, study)
    origin = "measured between lora and full" if measured else "assumed: 3 to 7 % are usual of two good classifiers"
    say(
        f"power, with {coverage.num_test_rows:,} test rows, one seed, 80 % of the time, by the share of rows on which "
        f"exactly one of two models is right ({origin}):"
    )
    for discordant in measured or USUAL_SHARES:
        smallest = minimum_detectable_difference(coverage.num_test_rows, discordant)
        shown = (
            "no difference shows" if smallest == inf else f"smallest difference that shows {100 * smallest:.1f} points"
        )
        needed = ", ".join(
            f"{rows_for_margin(margin, discordant):,} with a margin of {100 * margin:g}" for margin in study.margins
        )
        say(f"  {100 * discordant:.1f} %: {shown}; test rows that would show `as good as`: {needed} points")


def _measured_shares(coverage: Coverage, study: StudyParams) -> list[float]:
    rows = coverage.results.rows
    if rows is None:
        return []
    curves = curves_of(coverage.found(), rows, list(study.methods))
    return sorted({one.discordant for one in comparisons(curves, study.margins[:1], None)})
