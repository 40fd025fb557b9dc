"""Faults of every kind, again and again: was the work brought back, was any lost, did the messages say what to do?

    python -m tests.faults [--tries 3] [--kinds disk-full-at-train,ctrl-c-of-dvc-repro] [--short] [--seed 0]

Each try works on a small project of its own in a temporary folder. Recovered means: the same command given again, after
what the message said to do, ends with results that are bit for bit those of an undisturbed run. Lost means: finished
work is gone or other than it should be. Unclear means: a traceback, or a message that does not say what to do. Ends
with 1 if anything was lost or unclear. Without --short and --kinds the table is written to metrics/faults.md, too.
"""

import argparse
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from stages.foundation.files import write_text
from tests.faults import kills
from tests.faults.kills import Range, say
from tests.faults.kinds import FAULTS
from tests.faults.scene import TRACEBACK, Ground, Outcome, play

TABLE = Path("metrics/faults.md")
ATTEMPTS = 4  # at a kill, for each that hits: the command may have ended before
SHORT = ("dvc.lock damaged or in conflict", "cache objects damaged and only restored")
KILLED = {  # what is killed, and the kind of tests/faults/kills.py for a signal to it alone and for a terminal's Ctrl-C
    "a training": ("train-lora", "train-lora"),
    "dvc repro": ("dvc-repro", "dvc-repro-all"),
    "study run": ("study-run", "study-run"),
}
SIGNALS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
# Ctrl-C while Python still loads what a program imports: the traceback is Python's own, and nothing had begun.
ONE = re.escape(TRACEBACK)
LOADING = re.compile(rf"{ONE}(?:(?!{ONE}).)*<frozen importlib(?:(?!{ONE}).)*?\nKeyboardInterrupt", re.DOTALL)

Player = Callable[[int, Path, int], Outcome]  # tries, an empty folder, seed


def play_kills(kind_name: str, number: signal.Signals, tries: int, root: Path, seed: int) -> Outcome:
    """Send one signal at a random moment in each try."""
    kind = next(kind for kind in kills.KINDS if kind.name == kind_name)
    place, shots = Range(root, seed, warm=False, signals=[number]), kills.Outcome()
    for _ in range(ATTEMPTS * tries):
        if shots.kills < tries:
            place.shoot(kind, 1, shots)
    logs = sorted(root.glob(f"{kind.name}-*.log"))
    unclear = [f"{log}: a traceback" for log in logs if TRACEBACK in LOADING.sub("", log.read_text(errors="replace"))]
    return Outcome(tries=shots.kills, lost=shots.lost, unclear=unclear)


def players(ground: Ground) -> dict[str, Player]:
    """Every kind of fault by its name."""
    found: dict[str, Player] = {}
    for what, (alone, by_terminal) in KILLED.items():
        for told, number in SIGNALS.items():
            kind = by_terminal if number == signal.SIGINT else alone
            found[f"{told} of {what}"] = lambda tries, root, seed, kind=kind, number=number: play_kills(
                kind, number, tries, root, seed
            )
    for fault in FAULTS:
        found[fault.name] = lambda tries, root, seed, fault=fault: play(fault, tries, root, ground, seed)
    return found


def slug(name: str) -> str:
    """A kind as the command line names it."""
    return name.lower().replace(" ", "-")


def table(outcomes: dict[str, Outcome]) -> str:
    """A line for each kind."""
    lines = ["| kind | tries | recovered | lost | unclear messages |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, one in outcomes.items():
        numbers = [one.tries, one.tries - len(one.lost), len(one.lost), len(one.unclear)]
        cells = [one.hindrance, "", "", ""] if one.hindrance else [str(number) for number in numbers]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines)


def page(outcomes: dict[str, Outcome], tries: int, seed: int) -> str:
    """The table, and what the columns mean."""
    lost, unclear = (sum(len(getattr(one, name)) for one in outcomes.values()) for name in ("lost", "unclear"))
    return (
        f"# Faults\n\n`python -m tests.faults --tries {tries} --seed {seed}`: {lost} lost, {unclear} unclear.\n\n"
        "Recovered: the same command given again, after what the message said to do, ended with results bit for bit "
        "those of an\nundisturbed run. Lost: finished work was gone or wrong. Unclear: a traceback, or a message that "
        "does not say what to do;\nof DVC's own, one that does not name what is at fault, which "
        f"[DVC's traps](../stages/README.md#dvcs-traps) explain.\n\n{table(outcomes)}\n"
    )


def run(names: Sequence[str], tries: int, seed: int, root: Path) -> dict[str, Outcome]:
    """Make each fault so many times, and say how it went."""
    by_name = players(Ground(root))
    outcomes = {}
    for name in names:
        folder = root / slug(name)
        folder.mkdir()
        outcomes[name] = one = by_name[name](tries, folder, seed)
        say(table({name: one}).splitlines()[-1])
        for line in (*one.lost, *one.unclear):
            say(f"  {line}")
    return outcomes


def main() -> None:
    """Make the faults, and tell."""
    names = {slug(name): name for name in players(Ground(Path()))}
    parser = argparse.ArgumentParser(
        "python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=3, help="of each kind (3)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and of what is damaged (0)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--kinds", default=",".join(names), help="%(default)s")
    which.add_argument("--short", action="store_true", help=f"{', '.join(map(slug, SHORT))}")
    asked = parser.parse_args()
    kinds = [slug(name) for name in SHORT] if asked.short else asked.kinds.split(",")
    if unknown := [kind for kind in kinds if kind not in names]:
        parser.error(f"{unknown[0]!r} is none of {', '.join(names)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that disks are unmounted and commands ended
    root = Path(tempfile.mkdtemp(prefix="faults-"))
    say(f"seed {asked.seed}, in {root}")
    outcomes = run([names[kind] for kind in kinds], asked.tries, asked.seed, root)
    if len(kinds) == len(names):
        write_text(TABLE, page(outcomes, asked.tries, asked.seed))
    say(table(outcomes))
    if any(one.lost or one.unclear for one in outcomes.values()):
        sys.exit(1)
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
