"""What the study would do, and what it could show, before anything is run."""

from collections.abc import Container, Iterable
from math import inf

from stages.foundation.log import say
from stages.statistics.power import minimum_detectable_difference, rows_for_margin
from stages.study.contrasts import comparisons
from stages.study.forecast import duration, forecast
from stages.study.gather import Standing
from stages.study.grid import Cell, StudyParams
from stages.study.table import curves_of

USUAL_SHARES = (0.03, 0.05, 0.07)


def say_plan(standing: Standing, study: StudyParams, *, jobs: int) -> None:
    """Print the cells, the forecast and the power of the comparison."""
    missing = standing.missing
    say(f"{len(standing.cells)} cells: {len(standing.cells) - len(missing)} finished, {len(missing)} missing\n")
    for line in _matrix(standing.cells, set(missing)):
        say(line)
    for line in standing.stale:
        say(f"stale, left out: {line}")
    _say_forecast(standing, jobs)
    _say_power(standing, study)


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


def _say_forecast(standing: Standing, jobs: int) -> None:
    missing = standing.missing
    if not missing:
        return
    ahead = forecast(missing, standing.results.by_key.values())
    if ahead.seconds:
        say(
            f"forecast for {len(ahead.seconds)} of them: {duration(ahead.total_seconds / jobs)} with {jobs} at a time, "
            f"{ahead.disk_bytes / 2**20:,.0f} MiB in DVC's cache (from the speed of finished cells)"
        )
    if ahead.unknown:
        say(f"no forecast for {', '.join(ahead.unknown)}: no cell of it is finished, so its speed is not known")


def _say_power(standing: Standing, study: StudyParams) -> None:
    if standing.num_test_rows is None:
        say("power: the number of test rows is known once one cell is finished")
        return
    measured = _measured_shares(standing, study)
    origin = "measured between lora and full" if measured else "assumed: 3 to 7 % are usual of two good classifiers"
    say(
        f"power, with {standing.num_test_rows:,} test rows, one seed, 80 % of the time, by the share of rows on which "
        f"exactly one of two models is right ({origin}):"
    )
    for discordant in measured or USUAL_SHARES:
        smallest = minimum_detectable_difference(standing.num_test_rows, discordant)
        needed = ", ".join(
            f"{rows_for_margin(margin, discordant):,} with a margin of {100 * margin:g}" for margin in study.margins
        )
        say(
            f"  {100 * discordant:.1f} %: smallest difference that shows "
            f"{'none' if smallest == inf else f'{100 * smallest:.1f} points'}; "
            f"test rows that would show `as good as`: {needed}"
        )


def _measured_shares(standing: Standing, study: StudyParams) -> list[float]:
    rows = standing.results.rows
    if rows is None:
        return []
    curves = curves_of(standing.found(), rows, list(study.methods))
    return sorted({one.discordant for one in comparisons(curves, study.margins[:1], None)})
