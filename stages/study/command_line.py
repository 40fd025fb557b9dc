"""The command line of the study: what each command may be asked."""

from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from typing import Any

from stages.methods import METHODS
from stages.study.groups import CONTRASTS

Command = Callable[[Namespace], None]
GRID = ("sizes", "seeds", "methods", "contrasts")
WHOLE_GRID = (*GRID, "precisions", "protocol", "tuned")


def parser_of(commands: Sequence[Command], *, description: str) -> ArgumentParser:
    """The parser of all commands; the docstring of each is its help."""
    parser = ArgumentParser(
        "python -m stages.study", description=description, formatter_class=RawDescriptionHelpFormatter
    )
    names = [command.__name__ for command in commands]
    entries = parser.add_subparsers(required=True, metavar=" | ".join(names))
    for command, name in zip(commands, names, strict=True):
        entry: ArgumentParser = entries.add_parser(name, help=command.__doc__, description=command.__doc__)
        entry.set_defaults(command=command)
        ARGUMENTS[name](entry)
    return parser


def _plan(entry: ArgumentParser) -> None:
    _grid(entry, *WHOLE_GRID)
    _jobs(entry)


def _tune(entry: ArgumentParser) -> None:
    _grid(entry, "sizes", "methods", "precisions", "protocol")
    _jobs(entry)


def _claim(entry: ArgumentParser) -> None:
    _grid(entry, "sizes", "seeds", "protocol", "tuned")
    entry.add_argument("--margins", type=_fractions, help="accuracy that LoRA may lose, e.g. 0.01,0.02")


def _run(entry: ArgumentParser) -> None:
    _plan(entry)
    until = "no grid, but what the claim file still needs, look by look (see `claim`)"
    entry.add_argument("--until-settled", action="store_true", help=until)
    entry.add_argument("--minutes", type=_positive, help="with --until-settled: no look begins that takes longer")
    _machines(entry)


def _machines(entry: ArgumentParser) -> None:
    group = entry.add_argument_group("other machines", "stages/study/README.md says how")
    group.add_argument("--on", choices=("here", "ray", "slurm"), default="here", help="where cells are made (here)")
    group.add_argument("--address", default="", help="of the Ray cluster, e.g. auto; else one on this machine")
    group.add_argument("--cpus", type=_positive, help="cores of each cell; else of this machine, shared out by --jobs")
    group.add_argument("--gpus", type=_share, default=0.0, help="of each cell (0); for Ray also a part, e.g. 0.25")
    group.add_argument("--remote", default="", help="Git remote between the machines; else all see this very folder")


def _report(entry: ArgumentParser) -> None:
    _grid(entry, *WHOLE_GRID)
    entry.add_argument("--recorded", action="store_true", help="show all of metrics/study, without experiments")
    entry.add_argument("--engine", choices=("packed", "plain"), help="whose cells are shown; else most cells'")
    entry.add_argument("--device", choices=("cpu", "cuda", "mps"), help="likewise")
    entry.add_argument("--sentences", action="store_true", help="show the texts of the worst errors")


def _answer(entry: ArgumentParser) -> None:
    entry.add_argument("--minutes", type=_positive, default=30, help="of this call (30); the next call goes on")
    _grid(entry, "methods")


def _verify(entry: ArgumentParser) -> None:
    _grid(entry, *WHOLE_GRID)
    entry.add_argument("--cells", type=_positive, default=3, help="how many are run again (3)")
    entry.add_argument("--draw", type=int, default=1, help="seed that chooses them (1)")


def _compare(entry: ArgumentParser) -> None:
    entry.add_argument("first", help="name or commit of an experiment; HEAD: the one of this commit")
    entry.add_argument("second", help="likewise")


def _grid(entry: ArgumentParser, *names: str) -> None:
    """Options that stand in for values of params.yaml."""
    group = entry.add_argument_group("grid", "instead of the values of params.yaml, section study")
    for name in (*names, "dataset", "model"):
        group.add_argument(f"--{name}", **OPTIONS[name])


def _jobs(entry: ArgumentParser) -> None:
    entry.add_argument("--jobs", type=_positive, default=1, help="experiments at a time (1)")


def _numbers(text: str) -> list[int]:
    """`250,500` or `42-46`."""
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise ArgumentTypeError(f"{part!r} is no whole number and no range such as 42-46")
        if int(last or first) < int(first):
            raise ArgumentTypeError(f"{part!r} runs backwards; write {last}-{first}")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _fractions(text: str) -> list[float]:
    """`0.01,0.02`; what is no fraction the section `study` refuses itself."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as fault:
        raise ArgumentTypeError(f"{text!r} are no numbers such as 0.01,0.02") from fault


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _share(text: str) -> float:
    if not text.replace(".", "", 1).isdecimal():
        raise ArgumentTypeError(f"{text!r} is no number such as 1 or 0.25")
    return float(text)


def _words(*known: str) -> Callable[[str], list[str]]:
    def split(text: str) -> list[str]:
        words = [word for word in text.split(",") if word]
        if unknown := [word for word in words if word not in known]:
            raise ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return words

    return split


ARGUMENTS: dict[str, Callable[[ArgumentParser], None]] = {
    "plan": _plan,
    "tune": _tune,
    "claim": _claim,
    "run": _run,
    "report": _report,
    "answer": _answer,
    "verify": _verify,
    "compare": _compare,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "sizes": {"type": _numbers, "help": "training rows, e.g. 250,1000,8000"},
    "seeds": {"type": _numbers, "help": "e.g. 42-46 or 42,44"},
    "methods": {"type": _words(*METHODS), "help": f"of {', '.join(METHODS)}; e.g. lora,full"},
    "contrasts": {"type": _words(*CONTRASTS[1:]), "help": "each again in another way"},
    "precisions": {"type": _words("bf16", "fp32"), "help": "number formats whose cells count"},
    "protocol": {"choices": ("seed", "trained"), "help": "as train.protocol"},
    "tuned": {"action": BooleanOptionalAction, "help": "with the values that `tune` chose"},
    "dataset": {"help": "a folder in data/sources; else `dataset` of params.yaml"},
    "model": {"help": "a name, a Hub id or a folder; else `model` of params.yaml"},
}
