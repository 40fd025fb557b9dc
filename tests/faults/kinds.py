"""Every kind of fault but the kills: each makes it, does what the message says, and gives the same command again.

A kind more is a function that takes a `Scene`, and an entry in FAULTS.
"""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.kills import EXPERIMENTS
from tests.faults.project import OUTPUTS, digests_of_lock, git, steps_done
from tests.faults.scene import (
    DISK,
    FRESH,
    Fault,
    LostWork,
    Running,
    Scene,
    bytes_used,
    damage,
    digests,
    no_mounts,
    resize_disk,
)
from tests.hub_server import HubServer

REPRO = ("dvc", "repro")
TRAIN = ("python", "-m", "stages.train")
STUDY = ("python", "-m", "stages.study", "run")
CLEAN_CACHE = ("python", "-m", "stages.foundation.cache")
COMMIT = "c" * 40  # of the model on the local Hub
ALL = tuple(OUTPUTS)
DAY = 24 * 60 * 60
GRADIENTS = {"method": "lora"}
FULL_DISK = "disk is full|No space left|failed to transfer|MiB are free"
BEGUN = {"train": "tfidf, 120 rows"}  # before that it looks for itself whether there is room
SHORT_OF_MEMORY = Path(__file__).with_name("short_of_memory.py")


def fill_disk_at(stage: str) -> Fault:
    """The disk is full at some moment of a stage."""

    def happen(scene: Scene) -> None:
        running = scene.start(*REPRO, stage)
        running.wait_for(BEGUN.get(stage, f"Running stage '{stage}'"))
        time.sleep(scene.chance.uniform(0, 4))
        room = scene.chance.choice([0, 4, 16, 64, 256])
        resize_disk(scene.folder, f"{(bytes_used(scene.folder) >> 10) + room}k")
        scene.judge(running, FULL_DISK)
        resize_disk(scene.folder, DISK)
        scene.again(*REPRO, stage)

    upto = ALL[: ALL.index(stage) + 1] if stage in ALL else ()
    begins = stage if stage in ALL else FRESH
    return Fault(
        name=f"disk full at {stage}", happen=happen, begins=begins, compared=upto, hindrance=no_mounts, disk=True
    )


def fill_disk_of_study(scene: Scene) -> None:
    running = scene.start(*STUDY)
    time.sleep(scene.chance.uniform(4, 25))
    resize_disk(scene.folder, f"{(bytes_used(scene.folder) >> 10) + scene.chance.choice([0, 16, 256])}k")
    scene.judge(running, FULL_DISK)
    resize_disk(scene.folder, DISK)
    scene.again(*STUDY)
    _require_experiments(scene)


def make_cache_read_only(scene: Scene) -> None:
    with _read_only(scene.folder / ".dvc/cache"):
        scene.give(*REPRO, tells="can only be read|Read-only file system|Permission denied|no right to")
    scene.again(*REPRO)


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """For root a mount, whom no rights hold back; else without the right to write."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remove_cache(scene: Scene) -> None:
    shutil.rmtree(scene.folder / ".dvc/cache")
    scene.forget_outputs()
    scene.again(*REPRO)


def remove_objects(scene: Scene) -> None:
    objects = scene.objects()
    for file in scene.chance.sample(objects, scene.chance.randint(1, len(objects))):
        file.unlink()
    scene.forget_outputs()
    scene.give(*REPRO, tells=r"`dvc pull`|dvc repro|missing")
    scene.again(*REPRO)


def damage_objects_that_a_stage_reads(scene: Scene) -> None:
    """Objects of the trained model and of the data, which `evaluate` then reads."""
    for file in scene.chance.sample(scene.objects(), 2):
        damage(file, scene.chance)
    scene.forget_outputs()
    if not scene.give(*REPRO, tells=r"`(rm -r \S+ && )?python -m stages.foundation.cache`|invalid|corrupt"):
        _act_on_damage(scene)
        scene.again(*REPRO)
    scene.give(*CLEAN_CACHE)
    scene.again(*REPRO)


def damage_objects_that_nothing_reads(scene: Scene) -> None:
    """All is restored and no stage runs, so that nobody says anything: the command that looks does."""
    for file in scene.chance.sample(scene.objects(), 2):
        damage(file, scene.chance)
    scene.forget_outputs()
    scene.give(*REPRO, tells=r"invalid|corrupt|damaged")
    scene.give(*CLEAN_CACHE)
    scene.again(*REPRO)


def _act_on_damage(scene: Scene) -> None:
    """What the message says."""
    for path in re.findall(r"`rm -r (\S+) &&", scene.complaints[-1]):
        scene.remove(scene.folder / path)
    scene.give(*CLEAN_CACHE)


def damage_lock(scene: Scene) -> None:
    lock = scene.folder / "dvc.lock"
    text = lock.read_text()
    at = scene.chance.randrange(len(text))
    begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at) + 1
    line = text[begin:end]
    lock.write_text(
        scene.chance.choice(
            [
                text[:at],
                "",
                f"{text[:begin]}<<<<<<< HEAD\n{line}=======\n{line}>>>>>>> other\n{text[end:]}",
                text[:at] + "\0\x07" + text[at:],
            ]
        )
    )
    if not scene.give(*REPRO, tells=r"dvc\.lock"):
        lock.unlink()
    scene.again(*REPRO)


def damage_checkpoint(scene: Scene) -> None:
    running = scene.start(*TRAIN)
    _wait_for_steps(scene, running, scene.chance.randint(60, 250))
    os.killpg(running.process.pid, signal.SIGKILL)
    running.end()
    files = sorted((scene.folder / ".checkpoints").glob("*/*.safetensors"))
    for file in files[-scene.chance.randint(1, 2) :]:
        if scene.chance.random() < 0.5:
            os.truncate(file, scene.chance.randrange(file.stat().st_size))
        else:
            damage(file, scene.chance)
    running = scene.start(*TRAIN)
    status, text = running.end()
    if status != 0:
        raise LostWork(text[-500:])
    if files and "is not used: " not in text:
        scene.unclear.append(f"nothing was said of a damaged checkpoint: {text[-500:]}")


def _wait_for_steps(scene: Scene, running: Running, steps: int) -> None:
    before = steps_done(scene.folder)
    while steps_done(scene.folder) < before + steps and running.process.poll() is None:
        time.sleep(0.005)


def run_two_at_once(scene: Scene) -> None:
    first = scene.start(*REPRO)
    time.sleep(scene.chance.uniform(0, 12))
    second = scene.start(*REPRO)
    for running in (first, second):
        scene.judge(running, "is busy, it is being blocked by|already runs|[Uu]nable to acquire lock")
    scene.again(*REPRO)


def run_two_studies_at_once(scene: Scene) -> None:
    first = scene.start(*STUDY)
    time.sleep(scene.chance.uniform(0, 12))
    second = scene.start(*STUDY)
    for running in (first, second):
        scene.judge(running, "already runs|give the same command again|run the same command again")
    scene.again(*STUDY)
    _require_experiments(scene)


def _require_experiments(scene: Scene) -> None:
    """There must be some, and all must have the outputs of an undisturbed run."""
    commits = git(scene.folder, "for-each-ref", "--format=%(objectname)", EXPERIMENTS).split()
    if not commits:
        raise LostWork("there is no experiment")
    for commit in dict.fromkeys(commits):
        found = digests_of_lock(git(scene.folder, "show", f"{commit}:dvc.lock"))
        if found != scene.lock:
            raise LostWork(f"experiment {commit[:7]} has other outputs")


def drop_connection(scene: Scene) -> None:
    """Of the Hub, in the middle of a file of the model."""
    files = {file.name: file.read_bytes() for file in (scene.folder / "tiny").iterdir()}
    params = scene.folder / "params.yaml"
    params.write_text(re.sub("(?m)^model: .*$", f"model: owner/tiny@{COMMIT}", params.read_text()))
    with HubServer() as hub:
        hub.publish("models", "owner/tiny", COMMIT, files)
        settings = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
        scene.again(*TRAIN, **settings, HF_HOME=str(scene.folder / "undisturbed"))
        scene.expected = digests(scene.folder, ("train",))
        for path in ("data/model", ".checkpoints"):
            shutil.rmtree(scene.folder / path)
        name = scene.chance.choice(["model.safetensors", "tokenizer.json", "config.json"])
        hub.cut[name] = scene.chance.randrange(len(files[name]))
        home = str(scene.folder / "home")
        if scene.give(*TRAIN, **settings, HF_HOME=home, tells="cut short and was not kept .*; run again"):
            raise LostWork("a file that was cut short was taken")
        hub.cut.clear()
        scene.again(*TRAIN, **settings, HF_HOME=home)


def set_clock_back(scene: Scene) -> None:
    """All that there is, was written in a time to come, or long ago; a half-done training among it."""
    running = scene.start(*REPRO)
    _wait_for_steps(scene, running, scene.chance.randint(40, 200))
    os.killpg(running.process.pid, signal.SIGKILL)
    running.end()
    moment = time.time() + scene.chance.choice([3600, DAY, 400 * DAY, -DAY, -400 * DAY])
    for file in scene.folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            os.utime(file, (moment, moment))
    scene.again(*REPRO)


def run_short_of_memory(scene: Scene) -> None:
    words = ("python", str(SHORT_OF_MEMORY), str(scene.chance.randint(1, 250)))
    if scene.give(*words, tells="memory ran out; lower train.batch_size", PYTHONPATH=str(scene.folder)):
        raise LostWork("memory did not run out")
    scene.again(*TRAIN)


def edit_params(scene: Scene) -> None:
    params = scene.folder / "params.yaml"
    before = params.read_text()
    running = scene.start(*REPRO)
    running.wait_for("Running stage 'train'")
    _wait_for_steps(scene, running, scene.chance.randint(1, 100))
    params.write_text(before.replace("rank: 8", "rank: 4"))
    if scene.judge(running, "changed while it ran, so the result is not recorded; run it again"):
        raise LostWork("a result of other params was recorded")
    params.write_text(before)
    scene.again(*REPRO)


def _no_read_only() -> str:
    return "" if os.geteuid() else no_mounts()


def _no_memory_limit() -> str:
    here = sys.platform == "linux" and resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY
    return "" if here else "not possible here: limiting memory takes Linux"


FAULTS = [
    *(fill_disk_at(stage) for stage in ("check", *OUTPUTS)),
    Fault(
        name="disk full in a study",
        happen=fill_disk_of_study,
        begins=FRESH,
        compared=(),
        hindrance=no_mounts,
        disk=True,
    ),
    Fault(name="cache read-only", happen=make_cache_read_only, begins="report", hindrance=_no_read_only),
    Fault(name="cache missing", happen=remove_cache),
    Fault(name="cache objects deleted", happen=remove_objects),
    Fault(name="cache objects damaged and read", happen=damage_objects_that_a_stage_reads, begins="evaluate"),
    Fault(name="cache objects damaged and only restored", happen=damage_objects_that_nothing_reads),
    Fault(name="dvc.lock damaged or in conflict", happen=damage_lock),
    Fault(
        name="checkpoint cut short or altered",
        happen=damage_checkpoint,
        begins="train",
        compared=("train",),
        params=GRADIENTS,
    ),
    Fault(name="two runs at once", happen=run_two_at_once, begins="evaluate"),
    Fault(name="two studies at once", happen=run_two_studies_at_once, begins=FRESH, compared=()),
    Fault(name="Hub drops a connection", happen=drop_connection, begins="train", compared=("train",), params=GRADIENTS),
    Fault(name="clock set back or forth", happen=set_clock_back, begins="train", params=GRADIENTS),
    Fault(
        name="memory short",
        happen=run_short_of_memory,
        begins="train",
        compared=("train",),
        params=GRADIENTS,
        hindrance=_no_memory_limit,
    ),
    Fault(name="params.yaml edited during a run", happen=edit_params, begins="train", params=GRADIENTS),
]
