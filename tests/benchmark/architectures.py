"""Every architecture in one table: its pass checked against Transformers and PEFT, and its speed beside tuned Trainer.

    python -m tests.benchmark.architectures --rows ~/SST-2/train.tsv

Base models of the published sizes with random weights, LoRA on query and value. Logits and gradients are compared
before anything is timed, and a difference that is more than rounding ends the run. What is done is kept beside the
table, so the same command goes on after an interruption.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from stages.engine.params import TrainParams
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json, write_json, write_text
from stages.foundation.log import say
from tests.benchmark.machine import Machine, describe_machine, headline
from tests.benchmark.models import BERT_BASE, PUBLISHED, model_folder
from tests.benchmark.table import UNKNOWN, Measurement, Parity, Result, spread
from tests.benchmark.task import Task, peft_names, read_kind, read_rows, read_settings
from tests.benchmark.throughput import MODELS_HELP, compare
from tests.benchmark.time_to_accuracy import REPOSITORY, call
from tests.benchmark.worker import in_child

MODELS = [BERT_BASE, "minilm", *(name for name in PUBLISHED if name != BERT_BASE)]
ROLES = ["query", "value"]  # that LoRA adapts
PLAIN_KINDS = ("deberta-v2",)  # `model_type` of those that run as Transformers has them
BOUND = 3e-5  # of the largest value; float32 knows 6e-8, and 12 layers were seen to make 5e-6 of it
SOURCES = ("stages", "tests", "params.yaml")  # what numbers depend on
CHANGED = "changed since"
TUNED = {"trainer-tuned": "grouped by length, in bf16", "trainer-grouped": "grouped by length, in fp32"}
COLUMNS = ["model", "path", "forward: logits differ by", "gradients differ by: LoRA", "full"]
COLUMNS += ["training, samples/s", "Trainer tuned", "times Trainer tuned", "share of the product rate"]
COLUMNS += ["prediction, rows/s", "Trainer tuned", "times Trainer tuned"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What was found of one model."""

    parity: Parity | None  # None: it runs as Transformers has it
    result: Result  # of this engine, then of Trainer

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Row":
        """From JSON."""
        result = plain["result"]
        measurements = [Measurement(**one) for one in result["measurements"]]
        return cls(
            parity=None if plain["parity"] is None else Parity(**plain["parity"]),
            result=Result(**result | {"measurements": measurements}),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """What rows of one table share."""

    commit: str  # of the code
    machine: Machine
    settings: list[str]  # in words for the page

    @property
    def are_fixed(self) -> bool:
        """Whether the code is that of the commit, so that rows of before are rows of now."""
        return CHANGED not in self.commit


def measure(model: str, folder: Path, params: TrainParams, machine: Machine, args: argparse.Namespace) -> Row:
    """Check, then time.

    Raises:
        StudyError: If the packed pass is not that of Transformers and PEFT.
    """
    kind = read_kind(folder)
    is_plain = kind in PLAIN_KINDS
    # Roles are known of what the packed engine describes.
    lora = replace(params.section("lora"), target_modules=peft_names(kind, ROLES) if is_plain else ROLES)
    rows = read_rows(args.rows, max(args.steps, args.warm_up_steps) * params.batch_size)
    task = Task(folder=folder, params=replace(params, lora=lora), rows=rows)
    parity = None if is_plain else in_child(parity_of, task)
    if parity is not None:
        say(f"{model}: {told(parity)}")
        require(parity, model)
    contestants = ["reference" if is_plain else "engine", peer(machine)]
    return Row(parity=parity, result=compare(model, task, contestants, args))


def parity_of(task: Task) -> Parity:
    """In the child: the parent stays small, see worker.py."""
    from tests.benchmark.parity import measure_parity

    return measure_parity(task)


def require(parity: Parity, model: str) -> None:
    """Raises StudyError if a difference is more than rounding, or no number."""
    if not all(found <= BOUND for found in (parity.logits, parity.gradients, parity.full_gradients)):
        raise StudyError(
            f"{model}: the packed pass is not that of Transformers and PEFT: {told(parity)} of the largest; "
            f"rounding is {BOUND:.0e} at most"
        )


def told(parity: Parity) -> str:
    """In words."""
    return (
        f"logits differ by {parity.logits:.1e}, gradients by {parity.gradients:.1e} with LoRA and "
        f"{parity.full_gradients:.1e} with everything trained"
    )


def peer(machine: Machine) -> str:
    """Trainer as tuned for this machine: bf16 without a unit for it is slower than fp32."""
    return "trainer-tuned" if machine.bf16_units else "trainer-grouped"


def conditions(args: argparse.Namespace, params: TrainParams) -> Conditions:
    """Of a run that is about to begin."""
    machine = in_child(describe_machine)
    commit = call(REPOSITORY, "git", "rev-parse", "--short=12", "HEAD").strip()
    if call(REPOSITORY, "git", "status", "--porcelain", "--", *SOURCES):
        commit += f", {CHANGED}"
    return Conditions(commit=commit, machine=machine, settings=settings(args, params.batch_size, machine))


def settings(args: argparse.Namespace, batch_size: int, machine: Machine) -> list[str]:
    """What was done, in words for the page."""
    return [
        f"Rows: {args.rows}. {args.steps} steps of {batch_size} rows, after {args.warm_up_steps} to warm up; "
        f"{args.repeats} repeats in turn, median [range]. Prediction is of the same rows, 128 at a time by Trainer. "
        f"Trainer tuned is {TUNED[peer(machine)]}, in prediction as well; it sorts within a quarter of a turn's steps.",
        "Layers of the published sizes, random weights, minilm's vocabulary; minilm is the packaged model. LoRA is on "
        f"{' and '.join(ROLES)}. ModernBERT has them in one layer with key: there Trainer's LoRA, by PEFT's name Wqkv, "
        "adapts all three.",
        "Differences are between the packed pass and that of Transformers and PEFT, fp32, dropout off, B not 0, texts "
        f"of 3 to 120 tokens, as a fraction of the largest logit or gradient; at most {BOUND:.0e}. Gradients are "
        "checked with LoRA and with everything trained (full), logits with both.",
        "The share is that of the matrix-product rate, in the same number format and the same run, which does needed "
        "work: 4 operations per weight and token, padding not counted.",
    ]


def page(shared: Conditions, rows: Sequence[Row]) -> str:
    """A Markdown page with one table."""
    lines = ["# Architectures", "", f"{headline(shared.machine)} Commit {shared.commit}."]
    for line in shared.settings:
        lines += ["", line]
    lines += ["", f"| {' | '.join(COLUMNS)} |", f"| --- | --- |{' ---: |' * (len(COLUMNS) - 2)}"]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    return "\n".join(lines) + "\n"


def cells(row: Row) -> list[str]:
    """Of a line of the table."""
    ours, theirs = row.result.measurements
    rate = row.result.product_rates[ours.precision]
    checks = [UNKNOWN] * 3
    if row.parity is not None:
        found = (row.parity.logits, row.parity.gradients, row.parity.full_gradients)
        checks = [f"{difference:.1e}" for difference in found]
    return [
        row.result.model,
        f"{'plain' if row.parity is None else 'packed'}, {ours.precision}",
        *checks,
        *beside(ours.train_rates, theirs.train_rates),
        f"{100 * row.result.share(ours):.1f} % of {rate / 1e9:.0f} GFLOP/s",
        *beside(ours.predict_rates, theirs.predict_rates),
    ]


def beside(ours: list[float], theirs: list[float]) -> list[str]:
    """Both rates, and how many times as fast ours is."""
    return [spread(ours), spread(theirs), f"{median(ours) / median(theirs):#.3g}"]


def kept_rows(file: Path, shared: Conditions) -> dict[str, Row]:
    """What a run under the same conditions has finished, by model."""
    kept = read_json(file) if file.is_file() and shared.are_fixed else {}
    if kept.get("conditions") != asdict(shared):
        return {}
    return {row.result.model: row for row in map(Row.of, kept["models"])}


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; every default stands here."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.architectures",
        description="Check and time every architecture.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--models", nargs="+", default=MODELS, metavar="NAME", help=MODELS_HELP)
    add("--repeats", type=int, default=2, help="turns of each contestant")
    add("--steps", type=int, default=12, help="optimizer steps in a turn; Trainer groups within a quarter of them")
    add("--warm-up-steps", type=int, default=2, help="untimed steps before the first turn")
    add("--rows", type=Path, default=paths.SUBSET, help="table with the columns sentence and label")
    add("--out", type=Path, default=Path("metrics/architectures"), help="written as .md and as .json")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Check, measure, print, write."""
    args = parse(arguments)
    params = read_settings()
    shared = conditions(args, params)
    done = kept_rows(args.out.with_suffix(".json"), shared)
    for model in args.models:
        if model in done:
            continue
        with TemporaryDirectory() as scratch:
            folder = model_folder(model, params, Path(scratch))
            done[model] = measure(model, folder, params, shared.machine, args)
        plain = {"conditions": asdict(shared), "models": [asdict(row) for row in done.values()]}
        write_json(args.out.with_suffix(".json"), plain)
        write_text(args.out.with_suffix(".md"), page(shared, list(done.values())))
    say(page(shared, list(done.values())))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except StudyError as error:
        sys.exit(str(error))
