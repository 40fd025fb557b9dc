"""How the results came about: what a reader needs to believe them, or to repeat them."""

from collections.abc import Iterable, Sequence

from stages.study.results import Result


def protocol(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Facts as name and value; where cells differ, every value is named."""
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
        ("precision", _all(str(result.numbers["precision_used"]) for result in results)),
        ("engine", _all(str(result.numbers["engine_used"]) for result in results)),
        ("threads of each training", _all(str(result.numbers["threads"]) for result in results)),
        ("machine on which they were gathered", _all(str(result.numbers["machine"]) for result in results)),
        ("versions when they were gathered", _all(str(result.numbers["versions"]) for result in results)),
        ("commit of the code", _all(result.baseline[:10] for result in results)),
        ("training time of all cells", f"{hours:.1f} h"),
    ]


def _all(values: Iterable[str]) -> str:
    """Each value once, in order of appearance."""
    return ", ".join(dict.fromkeys(values))
