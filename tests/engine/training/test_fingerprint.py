"""Two trainings share a fingerprint if and only if they must end in the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import stages
from stages.engine.models.record import BaseRecord
from stages.engine.tokens import TokenRows
from stages.engine.training import fingerprint as module
from stages.engine.training.fingerprint import HALF, code_digest, fingerprint
from tests.engine.conftest import CPU, PARAMS, made_record, texts_of

BASE = BaseRecord(name="tiny", source="folder", location="./tiny", pin="", weights_sha256="ab" * 32)
GIVEN = {
    "record": made_record(method="lora", engine="packed", precision="fp32", max_tokens=16, base=BASE),
    "params": PARAMS,
    "rows": [(texts_of([4, 5]), np.array([0, 1])), (texts_of([3, 6], seed=1), np.array([1, 0]))],
    "architecture": {"hidden_dropout_prob": 0.1, "layers": 2, "_name_or_path": "/one/place"},
    "seed": 0,
    "device": CPU,
}


def mark(**changes):
    given = GIVEN | changes
    record, params, rows = (given.pop(name) for name in ("record", "params", "rows"))
    return fingerprint(record, params, rows, **given)


def other_tokens():
    (texts, labels), validation = GIVEN["rows"]
    ids = texts.ids.copy()
    ids[1] += 1
    return [(TokenRows(ids, texts.starts, texts.lengths), labels), validation]


def cut_elsewhere():
    """The same tokens one behind the other, and other texts."""
    (texts, labels), validation = GIVEN["rows"]
    return [(TokenRows(texts.ids, np.array([0, 5]), np.array([5, 4])), labels), validation]


def as_pairs():
    """The same tokens, the last of each row being of a second text."""
    return [(replace(texts, types=(texts.ids == texts.ids[-1]).astype(np.int8)), y) for texts, y in GIVEN["rows"]]


def other_labels():
    (texts, labels), validation = GIVEN["rows"]
    return [(texts, labels[::-1]), validation]


OTHERS = {
    "method": {"record": replace(GIVEN["record"], method="full")},
    "version of the method": {"record": replace(GIVEN["record"], method_version=2)},
    "number format": {"record": replace(GIVEN["record"], precision="bf16")},
    "engine": {"record": replace(GIVEN["record"], engine="plain")},
    "order of the classes": {"record": replace(GIVEN["record"], label_names=["good", "bad"])},
    "weights of the base model": {"record": replace(GIVEN["record"], base=replace(BASE, weights_sha256="cd" * 32))},
    "rate": {"params": replace(PARAMS, lora=replace(PARAMS.lora, learning_rate=0.02))},
    "budget": {"params": replace(PARAMS, max_steps=7)},
    "number of processes": {"params": replace(PARAMS, processes=2)},
    "tokens": {"rows": other_tokens()},
    "where a text ends": {"rows": cut_elsewhere()},
    "segments": {"rows": as_pairs()},
    "labels": {"rows": other_labels()},
    "validation rows": {"rows": [GIVEN["rows"][0], GIVEN["rows"][0]]},
    "split that is validation": {"rows": GIVEN["rows"][::-1]},
    "architecture": {"architecture": GIVEN["architecture"] | {"hidden_dropout_prob": 0.2}},
    "seed": {"seed": 1},
    "device": {"device": torch.device("meta")},
}
SAME = {
    "how often a checkpoint is written": {"params": replace(PARAMS, checkpoint_seconds=1)},
    "where the model lies": {"architecture": GIVEN["architecture"] | {"_name_or_path": "/another/place"}},
    "order of the architecture's keys": {"architecture": dict(reversed(GIVEN["architecture"].items()))},
    "rows that lie apart in memory": {"rows": [(texts, np.repeat(labels, 2)[::2]) for texts, labels in GIVEN["rows"]]},
}


@pytest.mark.parametrize("other", OTHERS)
def test_whatever_decides_the_numbers_changes_it(other):
    assert mark(**OTHERS[other]) != mark()


@pytest.mark.parametrize("same", SAME)
def test_what_decides_nothing_leaves_it(same):
    assert mark(**SAME[same]) == mark()


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        (module, "TRAINING", 0),
        (module, "LAYOUT", 0),
        (module, "cpu_name", lambda: "another processor"),
        (torch, "get_num_threads", lambda: 99),
        (torch.backends.cpu, "get_cpu_capability", lambda: "another"),
        (module.platform, "machine", lambda: "another"),
        (torch, "__version__", "0"),
        (module.transformers, "__version__", "0"),
        (module.peft, "__version__", "0"),
        (np, "__version__", "0"),
    ],
)
def test_another_machine_library_or_version_changes_it(monkeypatch, place, name, value):
    before = mark()
    monkeypatch.setattr(place, name, value)

    assert mark() != before


def test_processes_and_threads_leave_the_half_that_is_of_the_training_itself(monkeypatch):
    one, several, other = mark(), mark(params=replace(PARAMS, processes=2)), mark(seed=1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)

    assert one[:HALF] == several[:HALF] == mark()[:HALF] != other[:HALF]
    assert len({one, several, mark()}) == 3
    assert len(one) == 2 * HALF


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A project of two files in place of this one."""
    (tmp_path / "room").mkdir()
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "room/one.py").write_text("ONE = 1\n")
    monkeypatch.setattr(stages, "__file__", str(tmp_path / "__init__.py"))
    return tmp_path


@pytest.mark.parametrize(
    "edit",
    [
        lambda root: (root / "room/one.py").write_text("ONE = 2\n"),
        lambda root: (root / "room/one.py").rename(root / "room/two.py"),
        lambda root: (root / "room/more.py").write_text(""),
        lambda root: (root / "room/one.py").unlink(),
    ],
)
def test_any_edit_of_the_code_changes_the_digest_of_the_code(code, edit):
    before = code_digest()
    edit(code)

    assert code_digest() != before


def test_what_is_no_code_or_lies_elsewhere_leaves_the_digest_of_the_code(code, tmp_path_factory, monkeypatch):
    before = code_digest()
    (code / "room/notes.md").write_text("a note")
    assert code_digest() == before

    elsewhere = code.rename(tmp_path_factory.mktemp("moved") / "stages")
    monkeypatch.setattr(stages, "__file__", str(elsewhere / "__init__.py"))
    assert code_digest() == before
