"""Make one pack of cells in a clone of the study's commit, and hand each back.

Ray's and Slurm's workers start it in a clone that they have just made:
    python -m stages.study.worker <handover.json> <number of the pack> <folder for logs and outcomes>

It ends with 0 if all cells of the pack are made. One that is back already, since a worker that was lost had made it, is
not made again.
"""

import shutil
import sys
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path

from stages.foundation import paths
from stages.foundation.errors import StudyError, one_line
from stages.foundation.files import write_json, write_text
from stages.foundation.locks import end_with_parent
from stages.foundation.log import duration, say
from stages.study.handover import Handover, Order, complaint_of
from stages.study.processes import Processes, end_as_by_a_terminal
from stages.study.repository import git
from stages.study.runner import own_programs_first, run_experiment

ROOT = Path()
SHARED = (paths.CHECKPOINTS, paths.BASE_MODELS)  # of the repository, beside DVC's cache
PAUSES = (5.0, 60.0, 0.0)  # seconds after each try to hand an experiment back: networks stumble, its hours are dear


def furnish(handover: Handover) -> None:
    """Give the clone what Git does not bring: a name for commits, caches and checkpoints that all share, data."""
    for key, value in (("user.name", "study"), ("user.email", "study@localhost")):
        if complaint_of(["git", "config", key], ROOT):
            git(ROOT, "config", key, value)
    if handover.is_folder:
        write_text(ROOT / ".dvc/config.local", f"[cache]\n    dir = {handover.cache}\n")
        with (ROOT / ".git/info/exclude").open("a", encoding="utf-8") as ignored:
            ignored.writelines(f"/{folder}\n" for folder in SHARED)
        for folder in SHARED:
            there = Path(handover.origin) / folder
            there.mkdir(exist_ok=True)
            (ROOT / folder).symlink_to(there)
        for source in handover.sources:
            shutil.copytree(Path(handover.origin) / source, ROOT / source)
    for pointer in handover.pointers:
        if complaint := complaint_of(["dvc", "checkout" if handover.is_folder else "pull", pointer], ROOT):
            raise StudyError(f"the data of {pointer} can't be fetched ({complaint}); `dvc push` them")


def make(order: Order, handover: Handover, processes: Processes, results: Path) -> str:
    """Make one experiment and hand it back.

    Returns:
        What went wrong; empty if nothing.
    """
    started, name = time.monotonic(), order.name
    ref = f"refs/exps/{handover.commit[:2]}/{handover.commit[2:]}/{name}"
    if git(ROOT, "ls-remote", "origin", ref):
        complaint, outcome = "", "made by a worker that was lost"
    else:
        say(f"makes {name}")
        environment = _environment(handover)
        log = results / f"{name}.log"
        complaint, outcome = run_experiment(order.words, processes, root=ROOT, environment=environment, log=log)
        complaint = complaint or _hand_back(name, ref, handover)
    seconds = time.monotonic() - started
    write_json(results / f"{name}.json", {"seconds": seconds, "complaint": complaint, "outcome": outcome})
    say(f"{name}: {f'failed: {complaint}' if complaint else outcome}; {duration(seconds)}")
    return complaint


def _environment(handover: Handover) -> Mapping[str, str]:
    """The same number of threads wherever it runs; what DVC would leave on the machine goes with the clone."""
    left_behind = {"DVC_SITE_CACHE_DIR": str(ROOT.resolve().parent / "site")}
    return own_programs_first() | left_behind | {"OMP_NUM_THREADS": str(handover.threads)}


def _hand_back(name: str, ref: str, handover: Handover) -> str:
    if not git(ROOT, "for-each-ref", ref):
        return f"it ended well, and DVC recorded no experiment {name}"
    words = ["git", "push", "--quiet", "origin", f"{ref}:{ref}"]
    if not handover.is_folder:
        words = ["dvc", "exp", "push", "--run-cache", "origin", name]
    complaint = ""
    for pause in PAUSES:
        if not (complaint := complaint_of(words, ROOT)):
            return ""
        time.sleep(pause)
    return f"it is made and can't be handed back: {complaint}"


def main() -> None:
    """Make the cells of one pack; a signal ends them all."""
    parser = ArgumentParser("python -m stages.study.worker", description=__doc__)
    parser.add_argument("handover", type=Path, help="what the study wrote")
    parser.add_argument("number", type=int, help="of the pack")
    parser.add_argument("results", type=Path, help="where logs and outcomes are to be written")
    asked = parser.parse_args()
    end_with_parent()
    end_as_by_a_terminal()
    processes = Processes()
    try:
        handover = Handover.of(asked.handover.read_text(encoding="utf-8"))
        furnish(handover)
        failed = [
            order.name for order in handover.orders[asked.number] if make(order, handover, processes, asked.results)
        ]
    except (StudyError, OSError) as error:
        sys.exit(f"worker: {one_line(error)}")
    except KeyboardInterrupt:
        sys.exit("worker: interrupted; what is finished is handed back")
    finally:
        processes.stop()
    if failed:
        sys.exit(f"worker: {len(failed)} cells failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
