"""The file of a checkpoint, and which files are kept."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.engine.packed.dropout import DropoutMasks
from stages.engine.training import checkpoint
from stages.engine.training.checkpoint import (
    Damaged,
    open_checkpoints,
    read_checkpoint,
    remove_stale,
    told_age,
    write_checkpoint,
)
from stages.engine.training.team import Team
from stages.foundation.errors import StudyError
from stages.foundation.locks import alone
from stages.foundation.workers import WorkerLostError
from tests.engine.conftest import CPU

MARK = "a" * 64
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8]


class State:
    """Something to keep."""

    def __init__(self, size=8, *, finished=False):
        self.progress, self.size, self.finished = "step 1 of 2", size, finished

    def tensors(self):
        return {"values": torch.zeros(self.size)}

    def facts(self):
        return {"step": 1, "finished": self.finished}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.lists(st.integers(0, 5), max_size=3).map(tuple),
    seed=st.integers(0, 2**32 - 1),
    number=st.integers(-(2**200), 2**200),
)
@settings(max_examples=60, deadline=None)
def test_every_bit_survives_the_file(folder, dtype, shape, seed, number):
    """Bits, so that NaN, infinities and -0.0 count, too; a generator's state holds whole numbers of 128 bits."""
    count = int(np.prod(shape)) * torch.empty((), dtype=dtype).element_size()
    raw = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, count, dtype=np.uint8))
    values = raw.view(dtype).reshape(shape) if count else torch.empty(shape, dtype=dtype)
    facts = {"fingerprint": MARK, "number": number, "text": "é\n"}

    path = write_checkpoint(folder, 1, {"values": values}, facts)
    found = read_checkpoint(path, MARK)
    path.unlink()

    assert found.facts == facts
    assert (found.tensors["values"].dtype, found.tensors["values"].shape) == (dtype, shape)
    assert torch.equal(found.tensors["values"].contiguous().reshape(-1).view(torch.uint8), raw)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_change_of_any_byte_is_noticed(folder, data):
    path = write_checkpoint(folder, 2, {"values": torch.arange(9.0)}, {"fingerprint": MARK})
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)

    with pytest.raises(Damaged, match="cut short or altered"):
        read_checkpoint(path, MARK)


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_missing_end_is_noticed(folder, data):
    path = write_checkpoint(folder, 3, {"values": torch.arange(9.0)}, {"fingerprint": MARK})
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])

    with pytest.raises(Damaged, match="cut short or altered"):
        read_checkpoint(path, MARK)


def test_one_of_another_training_is_refused_even_in_this_ones_folder(folder):
    path = write_checkpoint(folder, 4, {"values": torch.arange(9.0)}, {"fingerprint": "b" * 64})

    with pytest.raises(Damaged, match="it belongs to another training"):
        read_checkpoint(path, MARK)


def test_it_holds_no_pickle(folder):
    path = write_checkpoint(folder, 5, {"values": torch.arange(9.0)}, {"fingerprint": MARK})
    content = path.read_bytes()
    header = int.from_bytes(content[:8], "little")

    assert content[8:9] == b"{"
    assert len(content) == 8 + header + 36


def test_the_two_newest_are_kept_and_of_a_finished_training_its_result_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "LARGEST_SHARE", 0)
    with open_checkpoints(tmp_path, 1e-9, MARK) as kept:
        for _ in range(5):
            kept.offer(State())
        names = sorted(file.name[:7] for file in tmp_path.glob("*/*.safetensors"))
        kept.finish(State(finished=True))

    assert names == ["000004-", "000005-"]
    assert [file.name[:16] for file in tmp_path.glob("*/*.safetensors")] == ["000006-finished-"]


def test_the_next_one_is_not_due_before_a_hundred_times_the_last_writing(tmp_path, monkeypatch):
    clock = [0.0]
    save = checkpoint._save

    def slow(*arguments):
        save(*arguments)
        clock[0] += 3

    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(checkpoint, "_save", slow)
    written = []
    with open_checkpoints(tmp_path, 60, MARK) as kept:
        for second in range(1, 1000):
            clock[0] += 1
            before = clock[0]
            kept.offer(State())
            if clock[0] > before:
                written.append(second)

    assert written == [60, 360, 660, 960]


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    folder = tmp_path / f"{MARK[:8]}{MARK[32:40]}"
    folder.mkdir()
    (folder / "000003.partial").write_bytes(b"half")
    with open_checkpoints(tmp_path, 60, MARK) as kept:
        assert kept.found is None

    assert [file.name for file in folder.iterdir()] == ["lock"]


def make_slots(root, *, finished=(), unfinished=(), size=8):
    """Trainings by the days since their last checkpoint."""
    for kind, ages in (("finished", finished), ("unfinished", unfinished)):
        for days in ages:
            folder = root / f"{kind}{days}"
            folder.mkdir(parents=True)
            state = State(size, finished=kind == "finished")
            path = write_checkpoint(folder, 1, state.tensors(), state.facts())
            os.utime(path, (time.time() - days * 86400,) * 2)


def test_results_of_the_newest_three_trainings_stay_and_unfinished_ones_for_thirty_days(tmp_path, capsys):
    make_slots(tmp_path, finished=[1, 2, 40, 41, 3], unfinished=[5, 29, 31])
    remove_stale(tmp_path, keep=tmp_path / "unfinished5")

    left = {folder.name for folder in tmp_path.iterdir()}
    assert left == {"finished1", "finished2", "finished3", "unfinished5", "unfinished29"}
    said = capsys.readouterr().out.splitlines()
    assert f"removed the checkpoint {tmp_path}/finished40: of a training that ended, and newer ones are kept" in said
    assert f"removed the checkpoint {tmp_path}/unfinished31: older than 30 days" in said
    assert len(said) == 3


def test_together_they_take_no_more_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "KEPT_BYTES", 10_000)
    make_slots(tmp_path, unfinished=[1, 2, 3], size=1000)
    remove_stale(tmp_path, keep=tmp_path / "none")

    assert {folder.name for folder in tmp_path.iterdir()} == {"unfinished1", "unfinished2"}


def test_what_a_running_training_holds_is_never_removed(tmp_path):
    make_slots(tmp_path, unfinished=[50])
    with alone(tmp_path / "unfinished50/lock", "a test"):
        remove_stale(tmp_path, keep=tmp_path / "none")

    assert (tmp_path / "unfinished50").exists()


def test_the_current_training_is_not_removed_however_old(tmp_path):
    with open_checkpoints(tmp_path, 60, MARK) as kept:
        kept.finish(State(finished=True))
    path = next(tmp_path.glob("*/*.safetensors"))
    os.utime(path, (0, 0))
    with open_checkpoints(tmp_path, 60, MARK) as kept:
        assert kept.finished

    shutil.rmtree(tmp_path)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_an_age_is_told_in_a_unit_that_suits_it(seconds, words):
    assert told_age(seconds) == words


def test_the_generators_of_dropout_masks_are_all_that_they_draw_from():
    one, other = DropoutMasks(1, CPU), DropoutMasks(2, CPU)
    one.draw((5,), 0.5, torch.float32)
    for mine, theirs in zip(one.generators, other.generators, strict=True):
        if isinstance(mine, np.random.Generator):
            theirs.bit_generator.state = mine.bit_generator.state
        else:
            theirs.set_state(mine.get_state())

    assert torch.equal(one.draw((99,), 0.5, torch.float32), other.draw((99,), 0.5, torch.float32))


class Deaf(Team):
    """A worker that is told what a test says."""

    def __init__(self, number, told):
        super().__init__()
        self.number, self._told = number, told

    def told(self, _):
        return self._told


def test_where_a_worker_is_lost_the_state_is_kept_and_the_worker_told(tmp_path):
    def lose(kept):
        with kept.kept_if_lost(State()):
            raise WorkerLostError("worker 1 was ended")

    with (
        open_checkpoints(tmp_path, 60, MARK) as kept,
        pytest.raises(StudyError, match=r"^worker 1 was ended at step 1 of 2; the same command goes on from there$"),
    ):
        lose(kept)
    with open_checkpoints(tmp_path, 60, MARK) as kept:
        assert kept.found is not None


def test_other_workers_go_on_from_what_the_first_has_found_and_write_nothing(tmp_path):
    with open_checkpoints(tmp_path, 60, MARK) as kept:
        kept.finish(State(finished=True))
    [path] = tmp_path.glob("*/*.safetensors")
    with open_checkpoints(tmp_path, 1e-9, MARK, Deaf(1, f"{MARK} {path}")) as theirs:
        assert theirs.finished
        assert theirs.found.path == path
        theirs.offer(State())
        theirs.finish(State(finished=True))

    assert list(tmp_path.glob("*/*.safetensors")) == [path]
    with open_checkpoints(tmp_path, 60, MARK, Deaf(1, f"{MARK} ")) as theirs:
        assert theirs.found is None


@pytest.mark.parametrize("number", [0, 1])
def test_workers_that_were_given_different_trainings_are_refused(tmp_path, number):
    with (
        pytest.raises(StudyError, match="changed while the workers began"),
        open_checkpoints(tmp_path, 60, MARK, Deaf(number, f"{'f' * 64} ")),
    ):
        pytest.fail("they began")
