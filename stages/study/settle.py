"""`run --until-settled`: train what the claim still needs, look, and stop where it is settled or will not be."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from stages.foundation.errors import StudyError
from stages.foundation.log import duration, say
from stages.reporting.numbers import count, counted, percent, points, points_in_words, seeds
from stages.reporting.study.findings import Claim, Comparison
from stages.study.cells import Cell
from stages.study.claim import ClaimFile
from stages.study.collect import Computations, Coverage
from stages.study.contrasts import comparisons
from stages.study.groups import curves_of
from stages.study.plan import Forecast, forecast
from stages.study.runner import Made, Workers, make_cells

SLACK = 1.2  # times the forecast must fit into the time that is left


@dataclass(frozen=True, kw_only=True, slots=True)
class Settling:
    """A claim, and how its cells are made."""

    root: Path
    fixed: ClaimFile
    claim: Claim  # the same, as comparisons are held against it
    values: Mapping[tuple[str, int], float]  # what tuning chose, by method and size
    computations: Computations
    workers: Workers
    until: float | None  # time.monotonic() by which all must be over; None: it may take what it takes
    stock: Callable[[Sequence[Cell]], Coverage]  # where cells stand

    def cells(self, samples: int, num_seeds: int) -> list[Cell]:
        """Those of a size up to a look."""
        return self.fixed.cells(num_seeds, samples, self.values)


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """Where the claim stands at one size."""

    samples: int
    looked: tuple[Comparison, ...]  # one for each margin; none before the first look
    missing: tuple[Cell, ...]  # up to the next look
    ahead: Forecast  # of these
    left_out: str  # why its cells do not count; empty: they do

    @property
    def is_over(self) -> bool:
        """Whether more seeds would change nothing."""
        return bool(self.left_out) or (bool(self.looked) and all(one.is_over for one in self.looked))

    def gain(self, looks: Sequence[int]) -> float:
        """What the next look takes off the variance of the difference, per second; before the first look all of it."""
        seconds = self.ahead.total_seconds or 1.0
        variance = self.looked[0].result.variance if self.looked else None
        if variance is None:
            return inf if not self.looked else 1 / seconds
        more = next(look for look in looks if look > variance.num_seeds) - variance.num_seeds
        return (variance.standard_error**2 - variance.with_more(seeds=more).standard_error ** 2) / seconds


def settle(asked: Settling) -> None:
    """Make cells look by look, the size first whose next look lowers the variance most per minute.

    Raises:
        StudyError: If cells fail; the others are kept, and the same command goes on.
    """
    sizes = _look(asked)
    made = 0
    while (step := _next(asked, sizes)) is not None:
        left = "" if step.ahead.unknown else f", about {duration(step.ahead.total_seconds / asked.workers.jobs)}"
        say(f"{count(step.samples)} labels: {counted(len(step.missing), 'cell')} to the next look{left}")
        failed = _make(asked, step)
        made += len(step.missing) - len(failed)
        if failed:
            names = ", ".join(one.cell.name for one in failed)
            raise StudyError(f"{counted(len(failed), 'cell')} failed: {names}; give the same command again for these")
        before, sizes = sizes, _look(asked)
        if unmade := [cell.name for size in sizes for cell in size.missing if cell in step.missing]:
            raise StudyError(f"{unmade[0]} ended well, yet no experiment has its results: see `study plan`")
        for size, old in zip(sizes, before, strict=True):
            if size.looked != old.looked:
                say(_told(size, asked.claim))
    _say_end(asked, sizes, made)


def _make(asked: Settling, step: Size) -> list[Made]:
    chosen = {cell: asked.computations[cell.method][0] for cell in step.missing}
    return make_cells(asked.root, chosen, asked.workers, seconds=step.ahead.seconds)


def _look(asked: Settling) -> list[Size]:
    """Every size of the claim as it stands."""
    fixed, last = asked.fixed, asked.fixed.looks[-1]
    coverage = asked.stock([cell for samples in fixed.sizes for cell in asked.cells(samples, last)])
    rows, found = coverage.results.rows, coverage.found()
    groups = curves_of(found, rows, list(fixed.methods)) if rows is not None and found else {}
    looked = [one for one in comparisons(groups, fixed.margins, asked.claim) if one.planned]
    missing = set(coverage.missing)
    sizes = []
    for samples in fixed.sizes:
        own = tuple(one for one in looked if one.samples == samples)
        reached = max((one.num_seeds for one in own), default=0)
        next_look = next((look for look in fixed.looks if look > reached), last)
        lacking = tuple(cell for cell in asked.cells(samples, next_look) if cell in missing)
        here = [groups[method][samples] for method in fixed.methods if samples in groups.get(method, {})]
        sizes.append(
            Size(
                samples=samples,
                looked=own,
                missing=lacking,
                ahead=forecast(lacking, coverage.results.by_key.values()),
                left_out=next((f"{group.cell.method}: {group.left_out}" for group in here if group.left_out), ""),
            )
        )
    return sizes


def _next(asked: Settling, sizes: Sequence[Size]) -> Size | None:
    """The size to go on with; None where nothing is left to do, or to do in time."""
    waiting = [size for size in sizes if not size.is_over and size.missing]
    fitting = [size for size in waiting if _fits(asked, size)]
    return max(fitting, key=lambda size: size.gain(asked.fixed.looks), default=None)


def _fits(asked: Settling, size: Size) -> bool:
    if asked.until is None:
        return True
    return SLACK * size.ahead.total_seconds / asked.workers.jobs <= asked.until - time.monotonic()


def _told(size: Size, claim: Claim) -> str:
    """A size after its last look, in a line."""
    if size.left_out:
        return f"{count(size.samples)} labels: {size.left_out}"
    first = size.looked[0]
    told = ", ".join(f"margin {points(one.result.margin)}: {_stands(one, claim)}" for one in size.looked)
    return (
        f"{count(size.samples)} labels, {seeds(first.num_seeds)}: LoRA less full fine-tuning "
        f"{points_in_words(first.result.difference)}; {told}"
    )


def _stands(one: Comparison, claim: Claim) -> str:
    if one.result.verdict != "inconclusive":
        return one.result.verdict
    if one.chance is None:
        return f"open after the last of {len(claim.looks)} looks"
    told = f"a chance of {percent(one.chance, 0)} that {claim.looks[-1]} seeds settle it"
    return f"not to be settled, {told}" if one.is_over else f"open, {told}"


def _say_end(asked: Settling, sizes: Sequence[Size], made: int) -> None:
    claim = asked.claim
    say("")
    say(f"the claim of {claim.file} ({claim.digest}), {counted(made, 'cell')} made now:")
    for size in sizes:
        if size.looked or size.left_out:
            say(_told(size, claim))
        elif size.missing:
            say(f"{count(size.samples)} labels: no look yet")
        else:
            say(
                f"{count(size.samples)} labels: cells are there, but of commits without this claim: they cannot tell it"
            )
        if not size.is_over and size.missing:
            minutes = (
                f", some {duration(size.ahead.total_seconds / asked.workers.jobs)}" if not size.ahead.unknown else ""
            )
            say(f"  not settled within the time; {counted(len(size.missing), 'cell')} to its next look{minutes}")
    whole = len(claim.sizes) * len(asked.fixed.methods) * claim.looks[-1]
    used = sum(len(asked.fixed.methods) * max((one.num_seeds for one in size.looked), default=0) for size in sizes)
    say(f"looks used {used} cells of the {whole} that {claim.looks[-1]} seeds at every size would take")
