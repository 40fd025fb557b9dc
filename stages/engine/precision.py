"""Which precision the encoder computes in: bf16 or fp32.

In bf16 the packed engine keeps the residual stream and the norms in it, too (`PackedBert`); the plain one leaves that
to PyTorch's autocast. What is trained, and the optimizer's state, is fp32 in either.
"""

import time
from contextlib import AbstractContextManager
from typing import Literal

import torch

from stages.engine.models.record import Precision

WORTHWHILE = 1.3  # bf16 is taken from this multiple of the fp32 rate on; seen are 0.5, 1, 2 and 6, never near it
LEAST_TOLD = 0.1  # times the fp32 rate: of less, one decimal says nothing
ROWS, WIDTH, REPEATS = 128, 768, 60  # a product that is done before the system interrupts it, and how often it is timed


def choose_precision(wanted: Literal["auto", "bf16", "fp32"], device: torch.device) -> tuple[Precision, str]:
    """What `train.precision` means on this device, and why.

    `auto` measures, for some 100 ms: CPUs with bf16 instructions differ in whether these are faster than fp32.
    """
    if wanted != "auto":
        return wanted, "as params.yaml says"
    if device.type == "cuda":
        return ("bf16", "the device has it") if torch.cuda.is_bf16_supported() else ("fp32", "the device has no bf16")
    if device.type != "cpu":
        return "fp32", f"bf16 was never tried on {device.type}"
    speedup = bf16_speedup()
    precision: Precision = "bf16" if speedup >= WORTHWHILE else "fp32"
    rate = f"{speedup:.1f} times" if speedup >= LEAST_TOLD else "less than a tenth of"
    return precision, f"bf16 matrix products run at {rate} the fp32 rate here"


def bf16_speedup() -> float:
    """How many times faster the CPU multiplies matrices in bf16 than in fp32, best of many tries each.

    On one thread, since two wait for each other, and so for whatever else the machine does.
    """
    inputs = torch.ones(ROWS, WIDTH), torch.ones(WIDTH, WIDTH)
    halves = inputs[0].bfloat16(), inputs[1].bfloat16()
    seconds = {"fp32": float("inf"), "bf16": float("inf")}
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(REPEATS):  # in turns, so that a busy moment hits both
        for name, (left, right) in (("fp32", inputs), ("bf16", halves)):
            started = time.perf_counter()
            torch.mm(left, right)
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    torch.set_num_threads(num_threads)
    return seconds["fp32"] / seconds["bf16"]


def matrix_products_in(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Context in which Transformers' linear layers and attention compute in this precision; weights stay fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def dtype_of(precision: Precision) -> torch.dtype:
    """PyTorch's name of the precision."""
    return {"bf16": torch.bfloat16, "fp32": torch.float32, "fp64": torch.float64}[precision]
