import os

import pytest
import torch

from stages.engine.device import choose_device
from stages.foundation import workers
from stages.foundation.errors import StudyError


@pytest.fixture
def present(monkeypatch):
    """Make accelerators be there or not."""

    def pretend(*names):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in names)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in names)

    return pretend


@pytest.mark.parametrize("wanted", ["cuda", "mps"])
def test_an_accelerator_that_is_not_there_is_one_clear_line(present, wanted):
    present()
    with pytest.raises(StudyError) as caught:
        choose_device(wanted)
    assert (
        str(caught.value) == f"there is no {wanted} device here; `device: cpu` needs none, `auto` takes what there is"
    )


@pytest.mark.parametrize(
    ("names", "kind", "why"),
    [
        ([], "cpu", "no accelerator was found"),
        (["cuda"], "cuda", "the accelerator that was found"),
        (["mps"], "mps", "the accelerator that was found"),
    ],
)
def test_auto_takes_what_there_is_and_says_so(present, monkeypatch, names, kind, why):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")  # put back afterwards
    present(*names)
    assert choose_device("auto") == (torch.device(kind), why)


def test_the_processor_may_be_asked_for_beside_an_accelerator(present):
    present("cuda")
    assert choose_device("cpu") == (torch.device("cpu"), "as params.yaml says")


def test_on_cuda_sums_repeat_unless_the_user_has_chosen_a_workspace(present, monkeypatch):
    present("cuda")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    choose_device("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"
    del os.environ["CUBLAS_WORKSPACE_CONFIG"]
    choose_device("cuda")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_each_worker_takes_the_cuda_device_of_its_number_and_one_too_many_is_one_clear_line(present, monkeypatch):
    taken = []
    present("cuda")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    for number in ("0", "1"):
        monkeypatch.setenv(workers.NUMBER, number)
        choose_device("auto")

    assert taken == [1], "the first has device 0 as it is"
    monkeypatch.setenv(workers.NUMBER, "2")
    with pytest.raises(StudyError, match=r"^train\.processes can be 2 here: each takes a cuda device of its own$"):
        choose_device("auto")
