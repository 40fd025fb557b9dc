import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml
from stages.methods import METHODS
from stages.methods.method import Computation
from stages.study import processes, runner
from stages.study.processes import Processes
from stages.study.repository import git
from stages.study.runner import (
    LOGS,
    LocalWorkers,
    command,
    make_cell,
    make_cells,
    require_committed,
    untracked_source,
)
from tests.foundation.test_locks import ended
from tests.study.made_results import a_cell

# As DVC: it leaves interrupts to the stage for which it waits, and tells how that ended.
PARENT = """\
import signal, subprocess, sys
stage = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
signal.signal(signal.SIGINT, signal.SIG_IGN)
stage.stdout.readline()
print(stage.pid, flush=True)
sys.exit(7 if stage.wait() else 0)
"""
SLEEP = "import signal, time; {before}; print(flush=True); time.sleep(60)"
KIND = SLEEP.format(before="signal.signal(signal.SIGINT, signal.default_int_handler)")
DEAF = SLEEP.format(before="signal.signal(signal.SIGINT, signal.SIG_IGN)")
STUBBORN = SLEEP.format(before="[signal.signal(kind, signal.SIG_IGN) for kind in (signal.SIGINT, signal.SIGTERM)]")
BF16 = Computation(precision="bf16", engine="packed", device="cpu")
FAKE = """\
#!{python}
import os, sys, time
words = sys.argv[1:]
name = words[words.index("--name") + 1]
open("calls.txt", "a").write(name + " " + os.environ.get("OMP_NUM_THREADS", "all") + "\\n")
{body}
"""


@pytest.fixture
def fake_dvc(tmp_path, monkeypatch):
    """A `dvc` that does as told; the one beside this Python must not be found first."""
    programs = tmp_path / "programs"
    programs.mkdir()
    python = sys.executable
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def install(body):
        program = programs / "dvc"
        program.write_text(FAKE.format(python=python, body=body))
        program.chmod(0o755)
        git(tmp_path, "init", "-q")
        git(tmp_path, "-c", "user.name=n", "-c", "user.email=e@x.y", "commit", "-qm", "m", "--allow-empty")
        return tmp_path

    return install


def test_each_cell_is_told_in_one_line_with_its_outcome_and_the_time_left(fake_dvc, capsys):
    root = fake_dvc('print("test accuracy 80.0% on 9 rows")')
    cells = [a_cell(seed=seed) for seed in (1, 2)]

    failed = make_cells(root, dict.fromkeys(cells, BF16), LocalWorkers(1), seconds={cells[0]: 100.0, cells[1]: 1e6})

    lines = capsys.readouterr().out.splitlines()
    assert failed == []
    first = r"\[1/2\] mine-minilm-lora-n1000-s1: test accuracy 80\.0% on 9 rows; \d+ s, about .* left"
    assert re.fullmatch(first, lines[0])
    assert lines[1].startswith("[2/2] mine-minilm-lora-n1000-s2: ")
    assert "left" not in lines[1]


def test_one_cell_that_ends_in_its_time_is_told_with_its_outcome(fake_dvc):
    root = fake_dvc('print("test accuracy 80.0% on 9 rows")')

    made = make_cell(root, a_cell(), BF16, seconds=60)

    assert (made.complaint, made.outcome) == ("", "test accuracy 80.0% on 9 rows")


def test_one_cell_that_fails_in_its_time_is_told_with_its_reason(fake_dvc):
    made = make_cell(fake_dvc("sys.exit('ERROR: no')"), a_cell(), BF16, seconds=60)

    assert made.complaint.startswith("ERROR: no (log: ")


def test_one_cell_whose_time_is_over_is_stopped_and_no_failure(fake_dvc):
    root, started = fake_dvc("time.sleep(60)"), time.monotonic()

    assert make_cell(root, a_cell(), BF16, seconds=1) is None
    assert time.monotonic() - started < 30


def test_a_failed_cell_is_named_with_its_reason_and_log_and_stops_no_other(fake_dvc, capsys):
    root = fake_dvc(
        'if name.endswith("s1"):\n'
        '    print("subsample: samples 9 is more than there are\\nERROR: failed")\n'
        "    sys.exit(255)"
    )

    failed = make_cells(root, {a_cell(seed=seed): BF16 for seed in (1, 2, 3)}, LocalWorkers(1), seconds={})

    assert [made.cell.seed for made in failed] == [1]
    assert failed[0].complaint == (
        f"subsample: samples 9 is more than there are (log: {LOGS}/mine-minilm-lora-n1000-s1.log)"
    )
    assert (root / LOGS / "mine-minilm-lora-n1000-s1.log").read_text().endswith("ERROR: failed\n")
    assert [line.split("]")[0] for line in capsys.readouterr().out.splitlines()] == ["[1/3", "[2/3", "[3/3"]


def test_a_model_that_was_lost_to_a_full_disk_is_a_failure_although_dvc_ends_well(fake_dvc):
    root = fake_dvc("print(\"ERROR: failed to transfer 'abc' - No space left on device\")")

    failed = make_cells(root, {a_cell(): BF16}, LocalWorkers(1), seconds={})

    assert "No space left on device" in failed[0].complaint


def test_experiments_at_a_time_share_the_cores(fake_dvc):
    root = fake_dvc("time.sleep(0.2)")

    make_cells(root, {a_cell(seed=seed): BF16 for seed in range(4)}, LocalWorkers(2), seconds={})
    make_cells(root, {a_cell(seed=9): BF16}, LocalWorkers(1), seconds={})

    calls = (root / "calls.txt").read_text().split()
    assert set(calls[1:8:2]) == {str(max(1, (os.cpu_count() or 1) // 2))}
    assert calls[9] == "all"


def test_dvc_is_told_to_train_anew_where_it_cannot_see_that_the_weights_are_others():
    """It knows a model's folder by its path alone."""
    assert "--force" in command(a_cell(), replace(BF16, weights="a1"), copied=[])
    assert "--force" not in command(a_cell(), BF16, copied=[])


def test_a_person_can_type_the_command():
    typed = " ".join(command(a_cell(contrast="random"), BF16, copied=["data/sources/mine"]))

    assert typed == (
        "dvc exp run --temp --name mine-minilm-lora-random-n1000-s1 --copy-paths data/sources/mine "
        "--set-param samples=1000 --set-param seed=1 --set-param dataset=mine --set-param model=minilm "
        "--set-param method=lora --set-param train.protocol=seed --set-param prepare.partition=random "
        "--set-param train.precision=bf16 --set-param train.engine=packed --set-param train.device=cpu "
        "--set-param evaluate.device=cpu"
    )


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("mine", "mine"),
        ("./tiny", "./tiny"),
        ("owner/name@0a1b", "owner/name@0a1b"),
        ("2024", "'2024'"),
        ("1e3", "'1e3'"),
        ("2024-01-01", "'2024-01-01'"),
        ("true", "'true'"),
        ("NULL", "'NULL'"),
        ("a=b", "'a=b'"),
        ("it's", r"'it\'s'"),
        ("two words", "'two words'"),
    ],
)
def test_dvc_is_given_a_name_in_marks_where_it_would_take_it_for_something_else(tmp_path, name, given):
    words = command(replace(a_cell(), dataset=name), BF16, copied=[])
    (tmp_path / "params.yaml").write_text("dataset: reviews\n")
    apply_overrides(str(tmp_path / "params.yaml"), [f"dataset={given}"])

    assert f"dataset={given}" in words
    assert read_yaml(tmp_path / "params.yaml") == {"dataset": name}


def test_a_method_that_leaves_no_choice_is_given_none():
    chosen = METHODS["tfidf"].computation

    assert not [word for word in command(a_cell("tfidf"), chosen, copied=[]) if word.startswith("train.")]


def test_only_a_source_that_nothing_tracks_is_copied(tmp_path):
    git(tmp_path, "init", "-q")
    for name in ("tracked", "untracked", "added"):
        (tmp_path / "data/sources" / name).mkdir(parents=True)
        (tmp_path / "data/sources" / name / "train.tsv").write_text("x")
    (tmp_path / "data/sources/added.dvc").write_text("outs: []")
    git(tmp_path, "add", "data/sources/tracked")

    assert untracked_source(tmp_path, "tracked") == []
    assert untracked_source(tmp_path, "added") == []
    assert untracked_source(tmp_path, "untracked") == ["data/sources/untracked"]


def test_a_workspace_that_no_commit_tells_is_refused_and_untracked_files_are_not(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "params.yaml").write_text("samples: 1\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "-c", "user.name=n", "-c", "user.email=e@x.y", "commit", "-qm", "m")
    (tmp_path / "note.txt").write_text("mine")

    require_committed(tmp_path)
    (tmp_path / "params.yaml").write_text("samples: 2\n")

    with pytest.raises(
        StudyError, match=r"differs from the last commit \(M params.yaml\); keep that with `git commit -am"
    ):
        require_committed(tmp_path)


def test_code_that_git_does_not_track_is_refused_and_what_the_report_writes_is_not(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/study.html").write_text("old")
    git(tmp_path, "add", "-A")
    git(tmp_path, "-c", "user.name=n", "-c", "user.email=e@x.y", "commit", "-qm", "m")

    (tmp_path / "plots/study.html").write_text("new")
    require_committed(tmp_path)
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/new.py").write_text("")

    with pytest.raises(StudyError, match=r"stages/new.py is code that Git does not track"):
        require_committed(tmp_path)


def test_a_name_that_an_experiment_of_this_commit_bears_gets_a_number(fake_dvc):
    root = fake_dvc("pass")
    head = git(root, "rev-parse", "HEAD").strip()
    for name in (a_cell().name, f"{a_cell().name}-2"):
        git(root, "update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}", head)

    make_cells(root, {a_cell(): BF16, a_cell(seed=2): BF16}, LocalWorkers(1), seconds={})

    assert (root / "calls.txt").read_text().split()[::2] == [f"{a_cell().name}-3", a_cell(seed=2).name]


def test_a_log_that_is_no_text_stops_nothing(fake_dvc):
    root = fake_dvc('os.write(1, b"\\xff\\n"); sys.exit(1)')

    failed = make_cells(root, {a_cell(seed=seed): BF16 for seed in (1, 2)}, LocalWorkers(1), seconds={})

    assert len(failed) == 2


def test_nothing_runs_on_when_the_study_ends_early(fake_dvc, monkeypatch):
    """As when `run | tee log` is interrupted and the pipe breaks."""
    root = fake_dvc('os.write(1, b"begun\\n"); time.sleep(0 if name.endswith("s1") else 60); open("ended.txt", "w")')

    def broken(_):
        while "begun" not in (root / LOGS / "mine-minilm-lora-n1000-s2.log").read_text():
            time.sleep(0.02)
        raise BrokenPipeError

    monkeypatch.setattr(runner, "say", broken)
    began = time.monotonic()

    with pytest.raises(BrokenPipeError):
        make_cells(root, {a_cell(seed=seed): BF16 for seed in (1, 2)}, LocalWorkers(2), seconds={})

    assert time.monotonic() - began < 30


def wait_until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path):
    """Run the parent and its stage in a thread; gives where the exit status will be, and the stage's pid."""

    def begin(running, stage):
        statuses, log = [], tmp_path / "log"
        words = [sys.executable, "-c", PARENT, stage]

        def run():
            statuses.append(running.run(words, root=tmp_path, environment=os.environ, log=log))

        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
        return thread, statuses, int(log.read_text().split()[0])

    return begin


def test_a_program_runs_to_its_end_and_what_it_says_is_logged(tmp_path):
    words = [sys.executable, "-c", "import sys; print('made'); print('spoilt', file=sys.stderr); sys.exit(3)"]

    assert Processes().run(words, root=tmp_path, environment=os.environ, log=tmp_path / "log") == 3
    assert sorted((tmp_path / "log").read_text().split()) == ["made", "spoilt"]


def test_a_stop_reaches_the_stage_behind_the_program_which_may_clean_up(start):
    running = Processes()
    thread, statuses, stage = start(running, KIND)

    running.stop()
    thread.join()

    assert statuses == [7], "the program itself was not killed"
    wait_until(lambda: ended(stage))


@pytest.mark.parametrize("stage", [DEAF, STUBBORN])
def test_what_does_not_hear_is_asked_less_kindly_and_no_stage_stays(start, monkeypatch, stage):
    monkeypatch.setattr(processes, "PATIENCE", 0.3)
    running = Processes()
    thread, statuses, pid = start(running, stage)

    running.stop()
    thread.join()

    assert statuses == [-signal.SIGTERM]
    wait_until(lambda: ended(pid))


def test_a_second_interrupt_shortens_the_patience(start):
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background ignore it
    running = Processes()
    thread, statuses, stage = start(running, DEAF)
    began = time.monotonic()
    threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()

    try:
        running.stop()
    finally:
        signal.signal(signal.SIGINT, ignored)
    thread.join()

    assert statuses == [-signal.SIGTERM]
    assert time.monotonic() - began < processes.PATIENCE
    wait_until(lambda: ended(stage))


def test_after_a_stop_nothing_begins(tmp_path):
    running = Processes()
    running.stop()
    words = [sys.executable, "-c", "open('made', 'w')"]

    assert running.run(words, root=tmp_path, environment=os.environ, log=tmp_path / "log") is None
    assert not (tmp_path / "made").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_study_that_is_killed_takes_its_experiments_along(tmp_path):
    """No handler of ours runs then."""
    code = (
        "import os, sys; from pathlib import Path; from stages.study.processes import Processes\n"
        "words = [sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(60)']\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "Processes().run(words, root=folder, environment=os.environ, log=folder / 'log')"
    )
    repository = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", code], cwd=repository) as study:
        log = tmp_path / "log"
        wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
        study.kill()

    wait_until(lambda: ended(int(log.read_text())))
