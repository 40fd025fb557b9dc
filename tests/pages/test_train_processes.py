"""The stage train with `train.processes: 2`: as one process to whoever looks on, whatever becomes of either."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

from stages import train
from stages.engine.training.history import read_history
from stages.foundation import paths
from stages.foundation.split import write_split
from tests.engine.conftest import opinions
from tests.pages.workspace import REPOSITORY, complaint, write_params
from tests.tiny_models import NO_DROPOUT, save_tiny_bert

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers are started as POSIX has it")
STEPS = 600
TWO = {
    "model": "./tiny",
    "train.processes": 2,
    "train.max_steps": STEPS,
    "train.epochs": 3,
    "train.patience": 3,
    "train.batch_size": 8,
    "train.checkpoint_seconds": 0.01,
    "train.device": "cpu",
    "train.precision": "fp32",
}
LIMIT = 600  # seconds, for what takes a few on an idle machine


@pytest.fixture(autouse=True)
def workspace(empty_folder):
    threads = torch.get_num_threads()
    save_tiny_bert(empty_folder / "tiny")
    write_split(paths.SUBSET, opinions(64))
    write_split(paths.VALIDATION, opinions(20, seed=1))
    yield empty_folder
    torch.set_num_threads(threads)


def trained_files():
    return {file: file.read_bytes() for file in [*sorted(paths.MODEL.iterdir()), paths.HISTORY, paths.VALIDATIONS]}


def test_one_of_the_processes_says_and_writes_what_one_alone_would(workspace, capfd):
    save_tiny_bert(workspace / "tiny", **NO_DROPOUT)
    capfd.readouterr()
    few = TWO | {"train.max_steps": 12, "train.lora.dropout": 0.0}
    write_params(few | {"train.processes": 1})
    train.main()
    alone, files = read_history(paths.HISTORY), set(workspace.rglob("*"))
    before = capfd.readouterr()
    write_params(few)
    train.main()
    said = capfd.readouterr()

    assert "lora, 64 rows, 2 processes\n" in said.out
    assert said.err == before.err
    assert re.sub(r"\d+ samples/s|-?\d\.\d{4}|, 2 processes", "", said.out) == re.sub(
        r"\d+ samples/s|-?\d\.\d{4}", "", before.out
    )
    for epoch, expected in zip(read_history(paths.HISTORY), alone, strict=True):
        assert epoch.train_loss == pytest.approx(expected.train_loss, abs=1e-5)
        assert epoch.val_loss == pytest.approx(expected.val_loss, abs=1e-5)
    told = json.loads(paths.PROVENANCE.read_text())
    assert told["processes_used"] == 2
    assert told["threads"] == 2 * torch.get_num_threads()
    assert {file.name for file in set(workspace.rglob("*")) - files if ".checkpoints" not in str(file)} == set()
    assert not paths.LIVE.exists()


def test_a_method_without_steps_is_one_process_and_says_nothing_of_others(capfd):
    write_params(TWO | {"method": "tfidf"})
    others = set(psutil.Process().children())  # of other tests
    train.main()

    assert "processes" not in capfd.readouterr().out
    assert json.loads(paths.PROVENANCE.read_text())["processes_used"] == 1
    assert set(psutil.Process().children()) <= others


def test_no_process_is_one_too_few():
    write_params(TWO | {"train.processes": 0})

    assert complaint("train", train.main) == "train: params.yaml: train.processes must be at least 1, got 0"


class Stage:
    """`python -m stages.train` with two processes, counted by their steps."""

    def __init__(self, folder):
        self.steps = folder / "steps"
        self.steps.write_bytes(b"")
        counted = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests/faults/counted")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stages.train"],
            env=os.environ | {"PYTHONPATH": counted, "STEPS_FILE": str(self.steps)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for_steps(self, number):
        """Of either process, in this run."""
        deadline = time.monotonic() + LIMIT
        while self.steps.stat().st_size < 2 * number:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def kill(self):
        """Whatever of it is left."""
        for process in [*psutil.Process(self.process.pid).children(), self.process]:
            process.kill()
        self.process.communicate()

    def worker(self):
        [other] = psutil.Process(self.process.pid).children()
        return other

    def end(self):
        out, err = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, out, err


@pytest.fixture
def start(workspace, monkeypatch):
    """Begin a stage of one thread for each process, as the main program of the test does as well."""
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.set_num_threads(2)
    started = []
    yield lambda: started.append(Stage(workspace)) or started[-1]
    for stage in started:
        if stage.process.poll() is None:
            stage.kill()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system ends what a killed process leaves")
def test_whatever_ends_either_of_two_processes_the_same_command_goes_on_to_the_same_bytes(workspace, start, capfd):
    write_params(TWO)
    train.main()
    expected = trained_files()
    for file in workspace.glob(".checkpoints/*/*.safetensors"):
        file.unlink()

    first = start()  # a worker is killed
    first.wait_for_steps(60)
    first.worker().kill()
    status, _, said = first.end()
    told = re.fullmatch(
        r"train: worker 1 was ended by SIGKILL \(out of memory\?\) at step (\d+) of 600; "
        r"the same command goes on from there\n",
        said,
    )
    assert status == 1
    assert told, said

    second = start()  # the stage itself is killed
    second.wait_for_steps(60)
    left = second.worker()
    second.process.kill()
    assert f"goes on at step {told[1]} of 600" in second.end()[1]
    psutil.wait_procs([left], timeout=10)
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE

    third = start()  # a batch system asks all of them to stop
    third.wait_for_steps(60)
    os.killpg(third.process.pid, signal.SIGTERM)
    status, _, said = third.end()
    told = re.fullmatch(r"train: interrupted at step (\d+) of 600; the same command goes on from there\n", said)
    assert status == 1
    assert told, said

    torch.set_num_threads(2)
    capfd.readouterr()
    train.main()
    assert f"goes on at step {told[1]} of 600" in capfd.readouterr().out
    assert trained_files() == expected
    assert json.loads(paths.COST.read_text())["resumed"] == 3
