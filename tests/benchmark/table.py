"""Measurements as a page and as plain values. Pure functions: nothing is measured here."""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from tests.benchmark.contestants import CONTESTANTS
from tests.benchmark.machine import Machine, headline

BASELINES = {"trainer": "times Trainer", "trainer-tuned": "times Trainer tuned"}  # columns: how many times as fast
UNKNOWN = "-"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What one contestant did with one model."""

    contestant: str  # key in CONTESTANTS
    precision: str  # of its matrix products
    train_rates: list[float]  # samples/s, one for each repeat
    predict_rates: list[float]  # rows/s, likewise; empty if it did not take part
    peak_memory_mib: float  # of its process, training and prediction


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What all contestants did with one model."""

    model: str
    encoder_parameters: int  # in linear layers: what the matrix products multiply by
    mean_tokens: float  # of a row, special tokens included, padding not
    product_rates: dict[str, float]  # operations per second by number format
    measurements: list[Measurement]

    @property
    def operations_per_sample(self) -> float:
        """What training on a row needs: 2 per weight and token forward and, as no weight gradient is due, 2 back."""
        return 4 * self.encoder_parameters * self.mean_tokens

    def median_rate(self, contestant: str) -> float | None:
        """Samples per second, if it took part."""
        rates = [one.train_rates for one in self.measurements if one.contestant == contestant]
        return median(rates[0]) if rates else None

    def share(self, measurement: Measurement) -> float:
        """Fraction of the matrix-product rate of its number format that does needed work."""
        operations = self.operations_per_sample * median(measurement.train_rates)
        return operations / self.product_rates[measurement.precision]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """The largest differences between the packed pass and that of Transformers and PEFT."""

    logits: float  # as a fraction of the largest logit; with LoRA or without, whichever differ more
    gradients: float  # with LoRA, as a fraction of the largest gradient
    full_gradients: float  # likewise, with everything trained


def page(machine: Machine, settings: list[str], results: list[Result]) -> str:
    """A Markdown page: the machine, what was done, a table for each model."""
    lines = ["# Throughput", "", headline(machine)]
    for line in settings:
        lines += ["", line]
    for result in results:
        lines += ["", *table(result)]
    return "\n".join(lines) + "\n"


def table(result: Result) -> list[str]:
    """Lines of Markdown."""
    rates = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {name}" for name, rate in result.product_rates.items())
    columns = ["contestant", "format", "samples/s, median [range]", *BASELINES.values()]
    columns += ["share of the product rate", "peak memory", "prediction, rows/s"]
    return [
        f"## {result.model}",
        "",
        f"{result.encoder_parameters / 1e6:.1f} million weights in the encoder's linear layers, "
        f"{result.mean_tokens:.1f} tokens a row; matrix products: {rates}.",
        "",
        f"| {' | '.join(columns)} |",
        f"| --- | --- |{' ---: |' * (len(columns) - 2)}",
        *(f"| {' | '.join(_cells(result, one))} |" for one in result.measurements),
    ]


def _cells(result: Result, measurement: Measurement) -> list[str]:
    ours = median(measurement.train_rates)
    theirs = [result.median_rate(name) for name in BASELINES]
    return [
        CONTESTANTS[measurement.contestant].title,
        measurement.precision,
        spread(measurement.train_rates),
        *(f"{ours / rate:#.3g}" if rate else UNKNOWN for rate in theirs),
        f"{100 * result.share(measurement):.1f} %",
        f"{measurement.peak_memory_mib:,.0f} MiB",
        spread(measurement.predict_rates),
    ]


def spread(rates: list[float]) -> str:
    """`12.1 [11.8, 12.3]`, the median and the range; the value alone if it was measured once."""
    if not rates:
        return UNKNOWN
    middle, low, high = (f"{rate:,.{_decimals(median(rates))}f}" for rate in (median(rates), min(rates), max(rates)))
    return f"{middle} [{low}, {high}]" if len(rates) > 1 else f"{middle} (once)"


def _decimals(rate: float) -> int:
    """Three digits or so."""
    return 0 if rate >= 100 else 1 if rate >= 10 else 2


def plain(machine: Machine, settings: list[str], results: list[Result]) -> dict[str, Any]:
    """The same as JSON, every repeat included."""
    return {"machine": asdict(machine), "settings": settings, "models": [asdict(result) for result in results]}
