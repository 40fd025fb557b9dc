"""What is Ray's own is tried in tests/faults/test_lost_node.py, on real nodes."""

import builtins
import dis
import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from stages.foundation.errors import StudyError
from stages.methods import METHODS
from stages.study import on_ray
from stages.study.handover import Handover, Order
from stages.study.on_ray import RayWorkers, _work
from stages.study.runner import LOGS, make_cells
from tests.study.made_results import a_cell

TFIDF = METHODS["tfidf"].computation
CELLS = [a_cell("tfidf", seed=seed) for seed in (1, 2)]


class LostError(Exception):
    """As ray.exceptions.RayError."""


class FakeRay(ModuleType):
    """Tasks end at once, with what they are told to end with."""

    def __init__(self, cpus, ends):
        super().__init__("ray")
        self.exceptions = SimpleNamespace(RayError=LostError)
        self.asked, self.is_up, self._cpus, self._ends = [], True, cpus, iter(ends)

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": cpus}} for cpus in self._cpus]

    def put(self, text):
        return text

    def remote(self, **asked):
        self.asked.append(asked)
        return lambda _: SimpleNamespace(remote=lambda *_: next(self._ends))

    def wait(self, waiting, *, num_returns):
        return waiting[:num_returns], waiting[num_returns:]

    def get(self, end):
        if end == "lost":
            raise LostError("the node died\nand more")
        status, complaint, files = json.loads(end)
        return status, complaint, files

    def shutdown(self):
        self.is_up = False


@pytest.fixture
def cluster(monkeypatch):
    def start(*ends, cpus=(2.0,)):
        ray = FakeRay(cpus, ends)
        monkeypatch.setattr(on_ray, "_connected", lambda _: ray)
        monkeypatch.setattr(on_ray, "hand_over", handed)
        return ray

    def handed(_, packs, __, *, remote, threads):
        orders = [[Order(name=cell.name, words=[]) for cell in pack] for pack in packs]
        return Handover(commit="c", origin="o", cache="a", threads=threads, sources=[], pointers=[], orders=orders)

    return start


def workers(**asked):
    return RayWorkers(**{"address": "auto", "cpus": 1, "gpus": 0.0, "remote": ""} | asked)


def ended(cell, complaint=""):
    told = {"seconds": 2.0, "complaint": complaint, "outcome": "test accuracy 80.0% on 9 rows"}
    return json.dumps([0, "", {f"{cell.name}.json": json.dumps(told), f"{cell.name}.log": "all of it"}])


def test_each_cell_is_told_as_elsewhere_and_its_log_lies_where_they_all_do(cluster, tmp_path, capsys):
    ray = cluster(ended(CELLS[0]), ended(CELLS[1], "train: no"))

    failed = make_cells(tmp_path, dict.fromkeys(CELLS, TFIDF), workers(), seconds={})

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"[1/2] {CELLS[0].name}: test accuracy 80.0% on 9 rows; 2 s, 1 to go"
    assert lines[1] == f"[2/2] {CELLS[1].name}: failed: train: no; 2 s"
    assert [made.cell for made in failed] == [CELLS[1]]
    assert (tmp_path / LOGS / f"{CELLS[0].name}.log").read_text() == "all of it"
    assert ray.asked[0] == {"num_cpus": 1, "num_gpus": 0, "max_retries": 5, "retry_exceptions": False}
    assert not ray.is_up


@pytest.mark.parametrize(
    ("end", "complaint"),
    [
        ("lost", "Ray gave it up: the node died"),
        (json.dumps([128, "Cloning\nfatal: no repository\n", {}]), "fatal: no repository"),
        (json.dumps([7, "", {}]), "its worker ended with 7 and said nothing"),
    ],
)
def test_a_pack_that_came_to_nothing_fails_with_the_reason(cluster, tmp_path, end, complaint):
    cluster(end)

    failed = make_cells(tmp_path, {CELLS[0]: TFIDF}, workers(), seconds={})

    assert [made.complaint for made in failed] == [complaint]


def test_a_study_that_is_interrupted_lets_go_of_the_cluster(cluster, tmp_path, monkeypatch):
    ray = cluster(ended(CELLS[0]), ended(CELLS[1]))

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(ray, "wait", interrupted)

    with pytest.raises(KeyboardInterrupt):
        make_cells(tmp_path, dict.fromkeys(CELLS, TFIDF), workers(), seconds={})
    assert not ray.is_up


def test_as_many_run_at_a_time_as_have_room(cluster):
    cluster(cpus=(8.0, 3.0, 16.0))

    assert workers(cpus=4).jobs == 2 + 0 + 4


def test_this_machine_alone_must_be_large_enough_and_a_cluster_may_grow(cluster, capsys):
    ray = cluster(cpus=(2.0,))
    with pytest.raises(StudyError, match="this machine has no 4 cores"):
        workers(address="", cpus=4)
    assert not ray.is_up

    assert workers(cpus=4).jobs == 1
    assert capsys.readouterr().out == "no node of the cluster has 4 cores for a cell: they wait until one has\n"


def test_without_ray_one_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(StudyError, match=r"`--on ray` needs Ray, here and on every node: `pip install ray==2\.60\.0`"):
        workers()


def test_what_a_task_does_needs_nothing_of_this_module():
    """Nodes have it not; Ray sends the code, and what the code names must be there."""
    work = _work()
    used = {step.argval for step in dis.get_instructions(work) if step.opname == "LOAD_GLOBAL"}

    assert used <= set(dir(builtins))
    assert work.__closure__ is None


def test_a_task_brings_back_how_its_program_ended_and_what_it_wrote():
    script = 'echo "$word" > "$results/one.log"; echo gone wrong >&2; cat "$handover" > "$results/told"; exit 3'

    assert _work()(script, {"word": "hello"}, "the text") == (
        3,
        "gone wrong\n",
        {"one.log": "hello\n", "told": "the text"},
    )
