"""A training that is killed goes on, and ends as one that was never killed: to the last bit."""

import os
import re
import signal
from dataclasses import replace
from math import inf

import numpy as np
import pytest
import torch

from stages.engine.predict import BATCH_TOKENS
from stages.engine.training import checkpoint, learners, loop
from stages.foundation.errors import StudyError
from stages.methods import TrainView, build
from tests.engine.conftest import PARAMS, opinions, turned

ROWS, VALIDATION = opinions(64), opinions(20, seed=1)  # 8 steps an epoch
PATHS = [("lora", "packed"), ("lora", "plain"), ("full", "packed"), ("full", "plain"), ("head", "packed")]
ALWAYS = 1e-9  # seconds between checkpoints: one at every step


class Killed(BaseException):
    """As sudden as a signal that no process can handle: nothing of ours catches it."""


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch):
    monkeypatch.setattr(checkpoint, "LARGEST_SHARE", 0)
    monkeypatch.setattr(learners, "BLOCK_BATCHES", 1)
    monkeypatch.setattr("stages.engine.head.BATCH_TOKENS", 128)  # some 16 rows


@pytest.fixture
def fresh(tiny_base, monkeypatch):
    monkeypatch.chdir(tiny_base.folder.parent)

    def make(method="lora", engine="packed", **changes):
        params = replace(PARAMS, engine=engine, **{"checkpoint_seconds": ALWAYS} | changes)
        return build(
            TrainView(seed=0, model=f"./{tiny_base.folder.name}", method=method, train=params), ("bad", "good")
        )

    return make


def learn(classifier, checkpoints, rows=ROWS, **changes):
    params = replace(PARAMS, **{"checkpoint_seconds": ALWAYS} | changes)
    return classifier.fit(rows, VALIDATION, params, seed=0, checkpoints=checkpoints)


@pytest.fixture
def kill_after(monkeypatch):
    """Let a number of optimizer steps pass."""
    step = loop._train_step

    def arrange(steps, error=Killed):
        left = iter(range(steps)) if steps < inf else iter(int, 1)

        def mortal(*arguments):
            if next(left, None) is None:
                raise error
            step(*arguments)

        monkeypatch.setattr(loop, "_train_step", mortal)

    return arrange


def result_of(classifier, result, folder):
    classifier.save(folder)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    return result.history, files


def killed(fresh, kill_after, folder, *steps, **how):
    """Kill a training after each of these numbers of steps, and let it end."""
    for number in steps:
        kill_after(number)
        with pytest.raises(Killed):
            learn(fresh(**how), folder)
        torch.manual_seed(number)  # another process would have other numbers ahead
    kill_after(inf)
    classifier = fresh(**how)
    return classifier, learn(classifier, folder)


@pytest.mark.parametrize(("method", "engine"), PATHS)
@pytest.mark.parametrize("steps", [(8,), (13, 1, 10)])
def test_killed_and_resumed_is_bit_for_bit_a_training_that_was_never_killed(
    fresh, kill_after, tmp_path, method, engine, steps
):
    undisturbed = fresh(method, engine)
    expected = result_of(undisturbed, learn(undisturbed, None), tmp_path / "expected")

    classifier, result = killed(fresh, kill_after, tmp_path / "kept", *steps, method=method, engine=engine)

    assert result_of(classifier, result, tmp_path / "model") == expected
    assert result.resumed == len(steps)
    assert result.samples_per_second * result.train_seconds == pytest.approx(4 * len(ROWS))


def test_the_best_epoch_of_before_the_kill_is_the_one_that_is_kept(fresh, kill_after, tmp_path):
    wrong = turned(opinions(64))  # trained on the opposite, validation can only get worse
    expected = learn(fresh(), None, wrong, patience=3)
    kill_after(20)
    with pytest.raises(Killed):
        learn(fresh(), tmp_path, wrong, patience=3)
    kill_after(inf)
    classifier = fresh()
    result = learn(classifier, tmp_path, wrong, patience=3)

    assert result.history == expected.history
    assert min(result.history, key=lambda epoch: epoch.val_loss).epoch < len(result.history)
    logits = classifier.predict(VALIDATION, BATCH_TOKENS)
    loss, _ = loop.loss_and_accuracy(logits, VALIDATION.labels)
    assert loss == min(epoch.val_loss for epoch in result.history)


def test_rounds_of_steps_that_are_no_passes_go_on_within_the_pass(fresh, kill_after, tmp_path):
    expected = learn(fresh(max_steps=18), None, max_steps=18).history
    for steps in (3, 4, 5):
        kill_after(steps)
        with pytest.raises(Killed):
            learn(fresh(max_steps=18), tmp_path, max_steps=18)
    kill_after(inf)

    assert learn(fresh(max_steps=18), tmp_path, max_steps=18).history == expected


def test_it_says_where_it_goes_on_and_starts_its_bar_there(fresh, kill_after, tmp_path, capsys, monkeypatch):
    bars = []
    progress = loop.Progress
    monkeypatch.setattr(
        loop, "Progress", lambda *given, **options: bars.append(options["done"]) or progress(*given, **options)
    )
    killed(fresh, kill_after, tmp_path, 11)

    assert re.search(r"^goes on at step 11 of 32 from a checkpoint of \d s ago$", capsys.readouterr().out, re.MULTILINE)
    assert bars == [0, 8, 11, 16, 24]


def test_the_seconds_of_work_that_was_lost_do_not_count(fresh, kill_after, tmp_path):
    kill_after(10)
    with pytest.raises(Killed):
        learn(fresh(), tmp_path)
    newest = max(tmp_path.glob("*/*.safetensors"))
    found = checkpoint.read_checkpoint(newest, mark_of(newest))
    kill_after(inf)
    result = learn(fresh(), tmp_path)

    assert result.train_seconds > found.tensors["seconds"].item() > 0


def mark_of(path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return re.search(r'"fingerprint": "(\w{64})"', file.metadata()["facts"])[1]


def test_a_training_that_ended_costs_nothing_the_second_time(fresh, kill_after, tmp_path, capsys):
    first = fresh()
    expected = result_of(first, learn(first, tmp_path / "kept"), tmp_path / "first")
    kill_after(0)
    second = fresh()
    result = learn(second, tmp_path / "kept")

    assert result_of(second, result, tmp_path / "second") == expected
    assert "this training ended 0 s ago and its result was kept: nothing is trained" in capsys.readouterr().out


def test_a_result_that_other_code_made_is_made_anew(fresh, tmp_path, monkeypatch, capsys):
    expected = learn(fresh(), tmp_path)
    monkeypatch.setattr(checkpoint, "code_digest", lambda: "after an edit")

    result = learn(fresh(), tmp_path)

    said = capsys.readouterr().out
    assert "the kept result of this training is not used: the code has changed since" in said
    assert "nothing is trained" not in said
    assert result.history == expected.history


def test_a_head_that_ended_needs_no_states_the_second_time(fresh, monkeypatch, tmp_path):
    learn(fresh("head"), tmp_path)
    monkeypatch.setattr("stages.engine.head.text_states", lambda *_, **__: 1 / 0)

    assert len(learn(fresh("head"), tmp_path).history) == 4


def test_states_go_on_where_they_were_killed(fresh, monkeypatch, tmp_path, capsys):
    from stages.engine import head

    expected = learn(fresh("head"), None)
    computed, compute = [], head.text_states

    def mortal(forward, texts, **options):
        if len(computed) == 3:
            raise Killed
        computed.append(len(texts))
        return compute(forward, texts, **options)

    monkeypatch.setattr(head, "text_states", mortal)
    with pytest.raises(Killed):
        learn(fresh("head"), tmp_path)
    monkeypatch.setattr(
        head, "text_states", lambda f, t, **options: computed.append(len(t)) or compute(f, t, **options)
    )
    result = learn(fresh("head"), tmp_path)

    done = sum(computed[:3])
    assert 0 < done < 84
    assert f"goes on at states of row {done} of 84 from a checkpoint of 0 s ago" in capsys.readouterr().out
    assert sum(computed) == 84, "no row was computed twice"
    assert result.history == expected.history
    assert result.resumed == 1


@pytest.mark.parametrize("harm", ["cut", "altered"])
def test_a_harmed_checkpoint_is_named_and_the_one_before_it_used(fresh, kill_after, tmp_path, capsys, harm):
    expected = learn(fresh(), None).history
    kill_after(12)
    with pytest.raises(Killed):
        learn(fresh(), tmp_path)
    newest = max(tmp_path.glob("*/*.safetensors"))
    content = newest.read_bytes()
    newest.write_bytes(content[:-1] if harm == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    kill_after(inf)

    assert learn(fresh(), tmp_path).history == expected
    said = capsys.readouterr().out
    assert f"{newest} is not used: its checksum is another one: it is cut short or altered\n" in said
    assert "goes on at step 11 of 32" in said


def test_if_both_are_harmed_the_training_starts_anew(fresh, kill_after, tmp_path, capsys):
    kill_after(12)
    with pytest.raises(Killed):
        learn(fresh(), tmp_path)
    for file in tmp_path.glob("*/*.safetensors"):
        file.write_bytes(b"")
    kill_after(inf)

    assert learn(fresh(), tmp_path).history == learn(fresh(), None).history
    said = capsys.readouterr().out
    assert said.count(" is not used: ") == 2
    assert "goes on" not in said


OTHERS = {
    "seed": lambda fresh: (fresh(), {"seed": 1}),
    "rows": lambda fresh: (fresh(), {"rows": opinions(64, seed=5)}),
    "labels": lambda fresh: (fresh(), {"rows": turned(ROWS)}),
    "method": lambda fresh: (fresh("full"), {}),
    "engine": lambda fresh: (fresh(engine="plain"), {}),
    "batch": lambda fresh: (fresh(batch_size=4), {"batch_size": 4}),
    "rate": lambda fresh: (fresh(weight_decay=0.1), {"weight_decay": 0.1}),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_of_anything_else_is_never_used(fresh, kill_after, tmp_path, capsys, other):
    kill_after(12)
    with pytest.raises(Killed):
        learn(fresh(), tmp_path)
    kill_after(inf)
    classifier, changes = OTHERS[other](fresh)
    rows, seed = changes.pop("rows", ROWS), changes.pop("seed", 0)
    classifier.fit(rows, VALIDATION, replace(PARAMS, **changes), seed=seed, checkpoints=tmp_path)

    assert "goes on" not in capsys.readouterr().out
    assert len([folder for folder in tmp_path.iterdir() if folder.is_dir()]) == 2


@pytest.mark.parametrize("where", ["threads", "version", "library", "processor"])
def test_a_checkpoint_of_another_machine_or_version_is_never_used(
    fresh, kill_after, tmp_path, capsys, monkeypatch, where
):
    from stages.engine.training import fingerprint

    kill_after(12)
    with pytest.raises(Killed):
        learn(fresh(), tmp_path)
    kill_after(inf)
    threads = torch.get_num_threads()
    if where == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    elif where == "version":
        monkeypatch.setattr(fingerprint, "TRAINING", 2)
    elif where == "library":
        monkeypatch.setattr(fingerprint.peft, "__version__", "0")
    else:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "other")
    learn(fresh(), tmp_path)

    said = capsys.readouterr().out
    assert "goes on" not in said
    is_told = re.search(r"begins anew: .* is of this training with another number of processes or threads\n", said)
    assert bool(is_told) == (where == "threads")


def test_how_often_checkpoints_are_written_decides_nothing(fresh, kill_after, tmp_path, capsys):
    kill_after(12)
    with pytest.raises(Killed):
        learn(fresh(), tmp_path)
    kill_after(inf)
    learn(fresh(), tmp_path, checkpoint_seconds=1000)

    assert "goes on at step 12 of 32" in capsys.readouterr().out


def test_0_seconds_keep_nothing_and_use_nothing(fresh, tmp_path):
    learn(fresh(), tmp_path / "kept", checkpoint_seconds=0)

    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("method", ["lora", "head"])
def test_a_signal_keeps_what_was_done_and_leaves(fresh, kill_after, tmp_path, monkeypatch, kind, method):
    expected = learn(fresh(method), None).history
    step, steps = loop._train_step, iter(range(100))

    def signalled(*arguments):
        step(*arguments)
        if next(steps) in (4, 9):
            os.kill(os.getpid(), kind)
            os.kill(os.getpid(), kind)

    monkeypatch.setattr(loop, "_train_step", signalled)
    before = signal.getsignal(kind)
    for where in (5, 10):
        with pytest.raises(
            StudyError, match=f"^interrupted at step {where} of 32; the same command goes on from there$"
        ):
            learn(fresh(method), tmp_path, checkpoint_seconds=1000)

    assert signal.getsignal(kind) is before
    assert learn(fresh(method), tmp_path).history == expected


def test_a_signal_breaks_off_a_validation_and_a_second_one_during_the_writing_harms_nothing(
    fresh, tmp_path, monkeypatch
):
    expected = learn(fresh(), None).history
    validate, write = loop.loss_and_accuracy, checkpoint._save
    asked = []

    def signalled(*arguments):
        if not asked:
            asked.append(True)
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("the signal did not break it off")
        return validate(*arguments)

    def disturbed(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        write(*arguments)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, "loss_and_accuracy", signalled)
    monkeypatch.setattr(checkpoint, "_save", disturbed)
    with pytest.raises(StudyError, match="interrupted at step 8 of 32; the same command goes on from there"):
        learn(fresh(), tmp_path, checkpoint_seconds=1000)
    monkeypatch.setattr(checkpoint, "_save", write)

    assert learn(fresh(), tmp_path).history == expected


def test_what_was_started_to_ignore_a_signal_goes_on_ignoring_it(fresh, tmp_path, monkeypatch):
    step = loop._train_step
    monkeypatch.setattr(loop, "_train_step", lambda *given: os.kill(os.getpid(), signal.SIGHUP) or step(*given))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert len(learn(fresh(), tmp_path).history) == 4
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(fresh, tmp_path, monkeypatch, capsys):
    def full(path, *_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_save", full)
    result = learn(fresh(), tmp_path)

    said = capsys.readouterr().out
    assert said.count("no checkpoint can be written, the training goes on without: No space left on device\n") == 1
    assert result.history == learn(fresh(), None).history
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["lock"]


def test_a_folder_that_cannot_be_written_costs_the_checkpoints_and_not_the_training(fresh, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    result = learn(fresh(), tmp_path / "file")

    assert "no checkpoint can be written, the training goes on without: " in capsys.readouterr().out
    assert len(result.history) == 4


def test_a_signal_without_a_checkpoint_says_what_is_lost(fresh, tmp_path, monkeypatch):
    step = loop._train_step
    monkeypatch.setattr(loop, "_train_step", lambda *given: os.kill(os.getpid(), signal.SIGTERM) or step(*given))
    (tmp_path / "file").write_text("")

    with pytest.raises(StudyError, match="interrupted at step 1 of 32; the same command goes on from the start"):
        learn(fresh(), tmp_path / "file")


def test_the_same_training_does_not_run_twice(fresh, tmp_path, monkeypatch):
    step, tried = loop._train_step, []

    def nested(*arguments):
        if not tried:
            tried.append(True)
            monkeypatch.setattr(loop, "_train_step", step)
            with pytest.raises(StudyError, match=rf"the same training already runs \(process {os.getpid()}\)"):
                learn(fresh(), tmp_path)
        step(*arguments)

    monkeypatch.setattr(loop, "_train_step", nested)
    assert len(learn(fresh(), tmp_path).history) == 4
    assert tried


def test_features_are_the_same_whatever_their_blocks(fresh, monkeypatch):
    histories = []
    for batches in (1, 3, 10**6):
        monkeypatch.setattr(learners, "BLOCK_BATCHES", batches)
        histories.append(learn(fresh("head"), None, opinions(300)).history)

    assert histories[0] == histories[1] == histories[2]
    assert np.isfinite(histories[0][-1].val_loss)
