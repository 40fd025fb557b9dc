"""What the machine is, and how fast it multiplies matrices: the measure for every contestant."""

import os
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version

from tests.benchmark.task import Shape

PRODUCT_REPEATS = 10  # of each product, the best counts
BF16_UNITS = ("avx512_bf16", "amx_bf16")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What a time depends on; no date and no host name."""

    processor: str
    cores: int
    threads: int  # that torch computes with
    bf16_units: list[str]  # what the processor has for bf16
    versions: dict[str, str]  # of the libraries that compute


def headline(machine: Machine) -> str:
    """The machine in one sentence."""
    units = ", ".join(machine.bf16_units) or "no unit for bf16"
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    return f"{machine.processor}, {machine.cores} cores ({units}), threads: {machine.threads}; {versions}."


def describe_machine() -> Machine:
    """Needs torch, so call it in a child."""
    import torch

    from stages.engine.provenance import cpu_name

    capabilities = torch.cpu.get_capabilities()
    return Machine(
        processor=cpu_name(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        bf16_units=[name for name in BF16_UNITS if capabilities.get(name)],
        versions={name: version(name) for name in ("torch", "transformers", "peft")},
    )


def product_rates(shape: Shape, num_tokens: int) -> dict[str, float]:
    """Operations per second in the products of one encoder layer on `num_tokens` tokens, by number format.

    A product of (T, K) and (K, N) has 2 TKN operations.
    """
    operations = sum(2 * num_tokens * inside * outside for inside, outside in shape.linear)
    return {
        name: operations / sum(_best_seconds(num_tokens, *size, name) for size in shape.linear)
        for name in ("fp32", "bf16")
    }


def _best_seconds(num_tokens: int, inside: int, outside: int, precision: str) -> float:
    """Of a (T, K) by (K, N) product, the weights lying as a linear layer keeps them."""
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    left = torch.randn(num_tokens, inside).to(dtype)
    right = torch.randn(outside, inside).to(dtype)
    seconds = []
    for _ in range(PRODUCT_REPEATS):
        started = time.perf_counter()
        torch.mm(left, right.t())
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def mebibytes(peak: float) -> float:
    """`ru_maxrss`, which is in bytes on macOS and in KiB elsewhere, as MiB."""
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
