import errno
import os
import signal
from pathlib import Path

import pytest

from stages.foundation.errors import StudyError
from stages.foundation.stage import require_free_space, run_stage

PIPELINE = """
stages:
  train:
    cmd: x
    deps: [code.py, "data/${dataset}"]
    params: [samples]
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STUDY_TRACEBACK", raising=False)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").write_text("samples: 1\ndataset: reviews\nunrelated: 1\n")
    (tmp_path / "code.py").write_text("a")
    (tmp_path / "data/reviews").mkdir(parents=True)
    (tmp_path / "data/reviews/bank.yaml").write_text("a")
    return tmp_path


def raise_(error):
    raise error


def last_words(main) -> str:
    with pytest.raises(SystemExit) as caught:
        run_stage("train", main)
    assert isinstance(caught.value.code, str)  # the interpreter prints it and exits with 1
    assert "\n" not in caught.value.code
    return caught.value.code


def test_a_stage_that_ends_well_says_nothing(workspace):
    assert run_stage("train", lambda: None) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StudyError("samples 9 is more\nthan there are"), "train: samples 9 is more than there are"),
        (OSError(errno.ENOSPC, "No space left on device"), "train: the disk is full; make room"),
        (PermissionError(errno.EACCES, "Permission denied", "data/model"), "data/model"),
        (OSError(errno.EROFS, "Read-only file system", "data/model"), "train: data/model can only be read; mount"),
        (ValueError("I/O error: No space left on device (os error 28)"), "train: the disk is full; make room"),
        (MemoryError(), "train: memory ran out; lower train.batch_size, train.max_tokens (tfidf: train.tfidf"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "memory ran out; lower train.batch_"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), "train: memory ran out; lower train.batch_s"),
        (StudyError("a class is called\nout of memory"), "train: a class is called out of memory"),
        (KeyboardInterrupt(), "train: interrupted, nothing was recorded"),
    ],
)
def test_what_a_person_can_mend_is_one_line(workspace, error, words):
    assert words in last_words(lambda: raise_(error))


def test_a_stage_that_no_param_makes_smaller_says_that_memory_ran_out(workspace, monkeypatch):
    (workspace / "dvc.yaml").write_text(PIPELINE.replace("train", "report"))

    with pytest.raises(
        SystemExit, match=r"^report: memory ran out; end other programs, then give the same command aga"
    ):
        run_stage("report", lambda: raise_(MemoryError()))


def test_an_input_that_dvc_restored_damaged_is_refused(workspace, monkeypatch):
    (workspace / "dvc.lock").write_text("stages: {make: {outs: [{path: code.py, hash: md5, md5: abc}]}}\n")
    assert run_stage("train", lambda: None) is None  # by hand, on whatever lies there
    monkeypatch.setenv("DVC_ROOT", str(workspace))
    monkeypatch.setattr("stages.foundation.stage.end_with_parent", lambda: None)

    assert last_words(lambda: None).startswith("train: code.py is not what dvc.lock says that its stage wrote, so")


def test_a_full_disk_is_one_line_where_it_really_happens(workspace):
    always_full = Path("/dev/full")

    assert "the disk is full" in last_words(lambda: always_full.write_text("x"))


def test_the_traceback_is_shown_when_asked_for(workspace, monkeypatch):
    monkeypatch.setenv("STUDY_TRACEBACK", "1")

    with pytest.raises(StudyError, match="why"):
        run_stage("train", lambda: raise_(StudyError("why")))


def test_our_own_bugs_keep_their_traceback(workspace):
    with pytest.raises(ZeroDivisionError):
        run_stage("train", lambda: 1 / 0)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_stop_is_one_line_whichever_it_is(workspace, kind):
    assert last_words(lambda: os.kill(os.getpid(), kind)) == "train: interrupted, nothing was recorded"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_was_started_to_outlive_its_terminal_does(workspace):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_stage("train", lambda: os.kill(os.getpid(), signal.SIGHUP)) is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_one_process_at_a_time_runs_a_stage_in_a_folder(workspace):
    said = []
    assert run_stage("train", lambda: said.append(last_words(lambda: said.append("ran")))) is None

    assert said == [
        f"train: the same stage already runs (process {os.getpid()}); wait for its end or stop it, "
        "then give the same command"
    ]


@pytest.mark.parametrize("edited", ["code.py", "data/reviews/bank.yaml", "data/reviews/new.yaml"])
def test_a_result_is_refused_when_an_input_changed_meanwhile(workspace, edited):
    assert "changed while it ran" in last_words(lambda: (workspace / edited).write_text("b"))


def test_a_result_is_refused_when_a_declared_param_changed_meanwhile(workspace):
    edit = (workspace / "params.yaml").write_text

    assert "changed while it ran" in last_words(lambda: edit("samples: 2\ndataset: reviews\nunrelated: 1\n"))


def test_an_undeclared_param_may_change_meanwhile(workspace):
    edit = (workspace / "params.yaml").write_text

    assert run_stage("train", lambda: edit("samples: 1\ndataset: reviews\nunrelated: 2\n")) is None


def test_too_little_room_is_told_before_the_work(workspace):
    require_free_space(0)

    with pytest.raises(StudyError, match="MiB are free"):
        require_free_space(2**40)
