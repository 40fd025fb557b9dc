"""What the missing cells will take, from what the finished ones took."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from stages.study.grid import Cell
from stages.study.results import Result

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
    """From the nearest finished size of the same model and method: seconds per training row, or per step; and disk."""
    measured: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for result in finished:
        measured.setdefault((result.cell.model, result.cell.method), []).append(result.numbers)
    known = {cell: measured[cell.model, cell.method] for cell in missing if (cell.model, cell.method) in measured}
    return Forecast(
        seconds={cell: _seconds(cell, alike) for cell, alike in known.items()},
        disk_bytes=sum(median(numbers["output_bytes"] for numbers in alike) for alike in known.values()),
        unknown=sorted({cell.method for cell in missing if cell not in known}),
    )


def _seconds(cell: Cell, measured: Sequence[Mapping[str, Any]]) -> float:
    distance = min(abs(numbers["train_rows"] - cell.samples) for numbers in measured)
    near = [numbers for numbers in measured if abs(numbers["train_rows"] - cell.samples) == distance]
    amount, unit = (cell.max_steps, "steps") if cell.max_steps else (cell.samples, "train_rows")
    seconds_each: float = median(numbers["train_seconds"] / max(1, numbers[unit]) for numbers in near)
    return SECONDS_BESIDE_TRAINING + seconds_each * amount


def duration(seconds: float) -> str:
    """For people: `8 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
