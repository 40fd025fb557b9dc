"""What other machines need to make cells, and the way on which a finished experiment comes back.

A worker clones the commit, makes its cells there by the same commands as everywhere, and hands each experiment back
under its name. On one of two ways:

    a folder   All machines see this repository under one path. The clone uses its cache of DVC, its checkpoints and its
               unpacked base models, and pushes the name of each experiment into it: nothing is copied, and a training
               whose machine was lost goes on.
    a remote   They share nothing but a Git remote and a DVC remote. The clone is of the first; `dvc exp push
               --run-cache` and `dvc exp pull --run-cache` carry experiments through both.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.methods.method import Computation
from stages.study.cells import Cell
from stages.study.repository import cache_folder, git, read_committed
from stages.study.runner import command, names_taken, own_programs_first, untracked_source

PACK_SECONDS = 60.0  # of cells that one clone makes: cloning and starting take two, which are little beside it
ACCELERATOR = "cuda"

# What a worker's shell does; origin, commit, python, handover (a file), number and results (a folder) are variables.
# It waits for the program, instead of becoming it, so that the clone goes, too, however that ends.
CLONE_AND_MAKE = """\
set -eu
work=$(mktemp -d "${TMPDIR:-/tmp}/study-XXXXXX")
child=
trap 'rm -rf "$work"' EXIT
trap '[ -z "$child" ] || { kill -TERM "$child"; wait "$child"; }; exit 143' TERM INT HUP
git clone --quiet --no-checkout "$origin" "$work/clone"
cd "$work/clone"
git checkout --quiet -B study "$commit"
"$python" -m stages.study.worker "$handover" "$number" "$results" &
child=$!
wait "$child"
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One experiment to be made."""

    name: str
    words: Sequence[str]  # its command


@dataclass(frozen=True, kw_only=True, slots=True)
class Handover:
    """All that a worker is told. It says where remotes are and no key to them."""

    commit: str  # of the code; experiments start from it
    origin: str  # what Git clones and pushes to: a path or an address
    cache: str  # DVC's cache in the shared folder; empty: the way is a remote
    threads: int  # of each experiment
    sources: Sequence[str]  # folders of data that nothing tracks, to be taken out of the shared folder
    pointers: Sequence[str]  # files by which DVC tracks data sets, to be fetched
    orders: Sequence[Sequence[Order]]  # packs; what is in one is made by one clone

    @property
    def is_folder(self) -> bool:
        """Whether all machines see the repository itself."""
        return bool(self.cache)

    def text(self) -> str:
        """For a file, or to be sent."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def of(cls, text: str) -> Self:
        """What `text` wrote."""
        told = json.loads(text)
        orders = [[Order(**order) for order in pack] for pack in told.pop("orders")]
        return cls(**told, orders=orders)


def hand_over(
    root: Path, packs: Sequence[Sequence[Cell]], cells: Mapping[Cell, Computation], *, remote: str, threads: int
) -> Handover:
    """Write down what workers are to make.

    Args:
        root: The repository.
        packs: Cells, those together that one clone makes.
        cells: What each is to be computed with.
        remote: Name of the Git remote that lies between the machines; empty: they see this folder.
        threads: Of each experiment.

    Raises:
        StudyError: If the workers could not have the code or the data, or could not give anything back.
    """
    datasets = sorted({cell.dataset for cell in cells})
    sources = [folder for dataset in datasets for folder in untracked_source(root, dataset)]
    tracked = [path for dataset in datasets for path in git(root, "ls-files", *_where(dataset)).splitlines()]
    taken = names_taken(root)
    ordered = {cell: command(cell, chosen, copied=sources, taken=taken) for cell, chosen in cells.items()}
    return Handover(
        commit=git(root, "rev-parse", "HEAD").strip(),
        origin=_address(root, remote, sources) if remote else str(root.resolve()),
        cache="" if remote else str(cache_folder(root)),
        threads=threads,
        sources=sources,
        pointers=[path for path in tracked if path.endswith(".dvc")],
        orders=[[_order(ordered[cell]) for cell in pack] for pack in packs],
    )


def _where(dataset: str) -> tuple[str, str]:
    return f"{paths.SOURCES}/{dataset}", f"{paths.SOURCES}/{dataset}.dvc"


def _order(words: list[str]) -> Order:
    return Order(name=words[words.index("--name") + 1], words=words)


def _address(root: Path, remote: str, sources: Sequence[str]) -> str:
    """Where the Git remote is, if experiments can go by it."""
    if remote not in git(root, "remote").split():
        raise StudyError(f"this repository has no Git remote {remote}; `git remote -v` names those that there are")
    if not git(root, "for-each-ref", "--contains", "HEAD", f"refs/remotes/{remote}").strip():
        raise StudyError(f"the commit is not known to be at {remote}, where other machines get it: `git push {remote}`")
    settings = ConfigParser(interpolation=None)
    settings.read_string(read_committed(root, ["HEAD:.dvc/config"])[0])
    if not settings.get("core", "remote", fallback=""):
        raise StudyError(
            "rows, models and predictions need a DVC remote beside the Git remote, in the commit that is cloned: "
            "`dvc remote add -d shared <where>`, `git commit -am 'A remote'`, `git push`"
        )
    if sources:
        raise StudyError(
            f"{sources[0]} is tracked by neither Git nor DVC, so other machines can't have it: `git add` it, or "
            f"`dvc add {sources[0]} && dvc push`, then commit and push"
        )
    return git(root, "remote", "get-url", remote).strip()


def packed(cells: Sequence[Cell], seconds: Mapping[Cell, float], *, at_least: int) -> list[list[Cell]]:
    """Cells in packs of some `PACK_SECONDS`, so that starting is little beside the work; in at least so many packs.

    One of which nobody knows how long it takes is alone.
    """
    most = max(1, len(cells) // at_least)
    packs: list[list[Cell]] = []
    room = 0.0
    for cell in cells:
        expected = seconds.get(cell, PACK_SECONDS)
        if not packs or expected > room or len(packs[-1]) == most:
            packs.append([])
            room = PACK_SECONDS
        packs[-1].append(cell)
        room -= expected
    return packs


def require_resources(cells: Mapping[Cell, Computation], *, gpus: float) -> None:
    """Refuse cells of which the number format and the device were found on a machine that is not like the workers.

    Raises:
        StudyError: If GPUs are asked for and no cell computes on one, or the other way round.
    """
    wants = any(chosen.device == ACCELERATOR for chosen in cells.values())
    if wants and not gpus:
        raise StudyError("these cells compute on a GPU: say how much of one each takes, `--gpus 1` or `--gpus 0.25`")
    if gpus and not wants:
        raise StudyError(
            "--gpus: here `train.device` means the processor, and what it means is settled where the command is given; "
            "give it on a machine with a GPU, or leave --gpus out"
        )


def fetch(root: Path, remote: str, name: str) -> str:
    """Bring an experiment here that a worker handed to the remote; returns what went wrong, empty if nothing."""
    return complaint_of(["dvc", "exp", "pull", "--run-cache", remote, name], root) if remote else ""


def complaint_of(words: Sequence[str], root: Path) -> str:
    """What a command complains of; empty if it ends well."""
    done = subprocess.run(words, cwd=root, env=own_programs_first(), capture_output=True, text=True, check=False)
    return (" ".join(done.stderr.split()) or f"{words[0]} ended with {done.returncode}") if done.returncode else ""
