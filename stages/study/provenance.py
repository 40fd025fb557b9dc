"""How the results came about: what a reader needs to believe them, or to repeat them."""

from collections import Counter
from collections.abc import Iterable, Sequence

from stages.study.store import Result

LIBRARIES = {"torch": "torch", "transformers": "transformers", "peft": "peft", "scikit_learn": "scikit-learn"}


def provenance(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Facts as name and value; where cells differ, every value is named with its number of cells."""
    cells = [result.cell for result in results]
    hours = sum(float(result.numbers["train_seconds"]) for result in results) / 3600
    return [
        ("data set", _all(cell.dataset for cell in cells)),
        ("model", _all(cell.model for cell in cells)),
        ("methods", _all(cell.curve for cell in cells)),
        ("training rows", _all(f"{size:,}" for size in sorted({cell.samples for cell in cells}))),
        ("seeds", _all(str(seed) for seed in sorted({cell.seed for cell in cells}))),
        ("cells", f"{len(cells):,}"),
        ("test rows", _all(f"{int(result.numbers['test_rows']):,}" for result in results)),
        ("validation rows", _all(f"{int(result.numbers['val_rows']):,}" for result in results)),
        ("numerical versions", _counted(_versions(result) for result in results)),
        ("precision", _counted(result.precision for result in results)),
        ("engine", _counted(str(result.numbers["engine_used"]) for result in results)),
        ("machine of each training", _counted(_machine(result) for result in results)),
        ("libraries", _counted(_libraries(result) for result in results)),
        ("commit of the code", _counted(result.commit[:10] for result in results)),
        ("training time of all cells", f"{hours:.1f} h"),
    ]


def _versions(result: Result) -> str:
    return ", ".join(f"{room} {number}" for room, number in result.versions.items())


def _machine(result: Result) -> str:
    threads = int(result.numbers["threads"])
    return f"{result.numbers['processor']}, {threads} thread{'' if threads == 1 else 's'}"


def _libraries(result: Result) -> str:
    return ", ".join(f"{name} {result.numbers[key]}" for key, name in LIBRARIES.items())


def _all(values: Iterable[str]) -> str:
    """Each value once, in order of appearance."""
    return ", ".join(dict.fromkeys(values))


def _counted(values: Iterable[str]) -> str:
    """Each value once, with its number of cells where there are several."""
    found = Counter(values)
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{value} ({number:,} cells)" for value, number in found.items())
