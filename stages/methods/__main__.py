"""What a training of each method would be computed with here: device, number format, engine, base weights.

    python -m stages.methods --model minilm lora full

The study asks in a process of its own, since it knows no PyTorch. The last line is JSON: by method, what
`methods.method.Computation` holds, `auto` resolved, and the commit of a model that comes from the Hub. Models are
loaded as `train` loads them, so that what would fail there fails here.
"""

import json
import sys
from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from stages.engine.device import choose_device
from stages.engine.precision import choose_precision
from stages.foundation.errors import can_be_mended, one_line
from stages.foundation.params import read_params
from stages.methods import TrainView, build

CLASSES = ("0", "1")  # how many there are changes no choice


def main() -> None:
    """Resolve device and number format once, and the engine for each method."""
    parser = ArgumentParser("python -m stages.methods", description="What would a training be computed with here?")
    parser.add_argument("--model", required=True, help="as `model` in params.yaml")
    parser.add_argument("methods", nargs="+")
    asked = parser.parse_args()
    params = read_params("train", TrainView)
    device, _ = choose_device(params.train.device)
    precision, _ = choose_precision(params.train.precision, device)
    chosen: dict[str, Any] = {"device": device.type, "precision": precision}
    train = replace(params.train, **chosen)
    found = {}
    for method in asked.methods:
        record = build(replace(params, method=method, model=asked.model, train=train), CLASSES).record
        base = record.base
        found[method] = {
            "precision": record.precision,
            "engine": record.engine,
            "device": device.type,
            "weights": base.weights_sha256 if base else "",
            "commit": base.pin if base and base.source == "hub" else "",
        }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        if not can_be_mended(error):
            raise
        sys.exit(f"train: {one_line(error)}")
