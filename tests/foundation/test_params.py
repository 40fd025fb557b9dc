from dataclasses import dataclass
from typing import Literal

import pytest

from stages.foundation.errors import ParamsError
from stages.foundation.params import read_params, value_at


@dataclass(frozen=True, kw_only=True)
class Section:
    rate: float
    kind: Literal["a", "b"]
    names: list[str]
    table: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class View:
    samples: int
    limit: int | None
    train: Section


PIPELINE = """
stages:
  train:
    cmd: x
    params: [samples, limit, train.rate, train.kind, train.names, train.table]
  other:
    cmd: x
    params: [hidden]
"""
PARAMS = {
    "samples": "8",
    "limit": "null",
    "hidden": "1",
    "train": "{rate: 3e-05, kind: a, names: [query], table: {one: 1}}",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(PIPELINE)

    def write_params(**changes):
        lines = [f"{key}: {value}" for key, value in (PARAMS | changes).items() if value is not None]
        (tmp_path / "params.yaml").write_text("\n".join(lines) + "\n")

    return write_params


def complaint(view=View, stage="train") -> str:
    with pytest.raises(ParamsError) as caught:
        read_params(stage, view)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_learning_rate_as_dvc_writes_it_is_a_number(write):
    write()

    assert read_params("train", View).train.rate == 3e-05


@pytest.mark.parametrize("value", ["1e3", "1000.0", "1_000", "1000"])
def test_a_whole_number_may_be_written_in_any_way(write, value):
    write(samples=value)

    samples = read_params("train", View).samples
    assert samples == 1000
    assert isinstance(samples, int)


@pytest.mark.parametrize("value", ["abc", "1.5", "true", "", "[1]", "'8'", ".nan", ".inf", "{a: 1}"])
def test_what_is_no_whole_number_is_refused_by_name(write, value):
    write(samples=value)

    assert "samples" in complaint()


@pytest.mark.parametrize(("value", "limit"), [("null", None), ("~", None), ("", None), ("20", 20), ("2e3", 2000)])
def test_a_number_that_may_be_left_out_is_one_or_none(write, value, limit):
    write(limit=value)

    assert read_params("train", View).limit == limit


@pytest.mark.parametrize(("value", "shown"), [("all", "'all'"), ("1.5", "1.5"), ("true", "True"), ("'null'", "'null'")])
def test_what_is_neither_a_number_nor_null_is_refused_by_name(write, value, shown):
    write(limit=value)

    assert complaint() == f"params.yaml: limit must be a whole number, got {shown}"


@pytest.mark.parametrize("rate", [".nan", "nan", ".inf", "fast", "true"])
def test_a_rate_that_is_no_finite_number_is_refused_by_name(write, rate):
    write(train=f"{{rate: {rate}, kind: a, names: [query], table: {{one: 1}}}}")

    assert "train.rate" in complaint()


def test_a_missing_key_is_named(write):
    write(train="{kind: a, names: [query], table: {one: 1}}")

    assert complaint() == "params.yaml: missing key train.rate; `git diff HEAD -- params.yaml` shows what it was"


def test_an_unknown_key_is_named_with_its_value(write):
    write(train="{rate: 1, kind: a, names: [query], table: {one: 1}, ratte: 7}")

    assert (
        complaint()
        == "params.yaml: unknown key train.ratte (7): no stage in dvc.yaml declares it; is train.rate meant?"
    )


def test_an_unknown_choice_names_the_known_ones(write):
    write(train="{rate: 1, kind: c, names: [query], table: {one: 1}}")

    assert complaint() == "params.yaml: train.kind must be a or b, got 'c'"


@pytest.mark.parametrize("section", ["{rate: 1, kind: a, names: query, table: {}}", "5", "null"])
def test_a_value_of_another_shape_is_refused_by_name(write, section):
    write(train=section)

    assert "train" in complaint()


def test_a_list_item_of_another_kind_is_named_by_its_place(write):
    write(train="{rate: 1, kind: a, names: [query, 5], table: {one: 1}}")

    assert complaint() == "params.yaml: train.names[1] must be text, got 5; put it into quotation marks"


def test_a_key_that_the_stage_does_not_declare_cannot_be_read(write):
    @dataclass(frozen=True, kw_only=True)
    class Curious:
        samples: int
        limit: int | None
        hidden: int
        train: Section

    write()

    assert complaint(Curious) == "params.yaml: stage train reads hidden, which dvc.yaml does not declare for it"


def test_a_key_given_twice_is_refused(write, tmp_path):
    write()
    with (tmp_path / "params.yaml").open("a") as file:
        file.write("samples: 9\n")

    with pytest.raises(ValueError, match="samples"):
        read_params("train", View)


@pytest.mark.parametrize(
    ("key", "value"),
    [("samples", 8), ("train.rate", 0.5), ("train", {"rate": 0.5}), ("train.x", None), ("samples.x", None)],
)
def test_a_dotted_key_finds_its_value_or_nothing(key, value):
    assert value_at({"samples": 8, "train": {"rate": 0.5}}, key) == value
