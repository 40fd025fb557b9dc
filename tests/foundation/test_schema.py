from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from types import UnionType
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.foundation.errors import ParamsError, StudyError, check, check_param
from stages.foundation.schema import build


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float
    limit: int | None = None

    def __post_init__(self):
        check(self.rate >= 0, f"rate must be 0 or more, got {self.rate}")


@dataclass(frozen=True, kw_only=True)
class Plain:
    count: int
    name: str = "usual"
    flag: bool = False
    names: list[str | int | bool] | None = None
    choice: Literal["a", "b"] = "a"
    inner: Inner | None = None
    table: dict[str, Inner] | None = None
    kind: Literal["plain"] = "plain"


@dataclass(frozen=True, kw_only=True)
class Other:
    kind: Literal["other"]
    rows: list[int]


SCHEMA = Plain | Other


def read(tree):
    return build(SCHEMA, tree, "some.yaml")


def object_or_refusal(tree):
    try:
        return read(tree)
    except StudyError as refusal:
        return refusal


def complaint(tree) -> str:
    with pytest.raises(StudyError) as caught:
        read(tree)
    return str(caught.value)


def test_keys_that_may_be_left_out_have_their_defaults():
    assert read({"count": 3}) == Plain(count=3)


def test_sections_lists_and_tables_become_objects():
    tree = {"count": 3.0, "names": ["x", 1, True], "inner": {"rate": 1}, "table": {"one": {"rate": 0.5, "limit": 2}}}
    plain = read(tree)

    assert plain.inner == Inner(rate=1.0)
    assert plain.table == {"one": Inner(rate=0.5, limit=2)}
    assert (plain.count, plain.names) == (3, ["x", 1, True])
    assert [type(value) for value in (plain.count, plain.inner.rate, *plain.names)] == [int, float, str, int, bool]


def test_the_kind_picks_the_section_and_has_a_default():
    assert read({"kind": "other", "rows": [1, 2]}) == Other(kind="other", rows=[1, 2])
    assert type(read({"count": 1})) is type(read({"count": 1, "kind": "plain"})) is Plain


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({}, "missing key count, which kind plain needs"),
        ({"kind": "other"}, "missing key rows, which kind other needs"),
        ({"kind": "third"}, "kind must be plain or other, got 'third'"),
        ({"kind": None}, "kind must be plain or other, got None"),
        ({"kind": ["plain"]}, "kind must be plain or other, got ['plain']"),
        ({"count": 1, "cuont": 2}, "unknown key cuont (2); kind plain knows count, name, flag, names, choice, inner,"),
        ({"count": 1, "inner": {"rate": 1, "x": 2}}, "unknown key inner.x (2); inner knows rate, limit"),
        ({"count": 1, "inner": {"limit": 1}}, "missing key inner.rate"),
        ({"count": 1, "inner": 5}, "inner must be a section with keys, got 5"),
        ({"count": 1, "inner": {"rate": -1}}, "rate must be 0 or more, got -1.0"),
        ({"count": 1, "inner": {"rate": 10**400}}, "inner.rate must be a finite number, got 1000"),
        ({"count": float("inf")}, "count must be a finite number, got inf"),
        ({"count": 1.5}, "count must be a whole number, got 1.5"),
        ({"count": True}, "count must be a whole number, got True"),
        ({"count": "1"}, "count must be a whole number, got '1'"),
        ({"count": 1, "name": 5}, "name must be text, got 5; put it into quotation marks"),
        ({"count": 1, "name": None}, "name must be text, got null; if that is its name, put it into quotation marks"),
        ({"count": 1, "name": True}, "name must be text, got true; put it into quotation marks"),
        ({"count": 1, "name": date(2024, 1, 1)}, "name must be text, got 2024-01-01; put it into quotation marks"),
        ({"count": 1, "name": float("nan")}, "name must be text, got nan; put it into quotation marks"),
        ({"count": 1, "flag": 1}, "flag must be true or false, got 1"),
        ({"count": 1, "names": "x"}, "names must be a list, got 'x'"),
        ({"count": 1, "names": [0.5]}, "names[0] must be text or a whole number or true or false, got 0.5"),
        ({"count": 1, "choice": "c"}, "choice must be a or b, got 'c'"),
        ({"count": 1, "table": {1: {"rate": 1}}}, "table.1 is no key; put it into quotation marks"),
        ({"count": 1, "table": {"one": None}}, "table.one must be a section with keys, got None"),
    ],
)
def test_what_does_not_fit_is_refused_by_file_key_and_value(tree, expected):
    assert complaint(tree).startswith(f"some.yaml: {expected}")


def test_a_complaint_that_names_its_file_is_passed_on_as_it_is():
    @dataclass(frozen=True)
    class Section:
        seed: int

        def __post_init__(self):
            check_param(self.seed >= 0, f"seed must be 0 or more, got {self.seed}")

    with pytest.raises(ParamsError, match=r"^params.yaml: seed must be 0 or more, got -1$"):
        build(Section, {"seed": -1}, "some.yaml")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.dates()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | SCALARS, inner, max_size=3),
    max_leaves=6,
)


def sections(schema):
    """Mappings that mostly have the keys of a section, with values that fit or do not."""
    optional = {field.name: values(get_type_hints(schema)[field.name]) for field in fields(schema)}
    return st.fixed_dictionaries({}, optional=optional) | st.fixed_dictionaries(optional) | VALUES


def values(hint):
    """Values of a type and, one time in a few, of any other."""
    origin, inner = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        fitting = st.deferred(lambda: sections(hint))
    elif origin is UnionType:
        fitting = st.one_of([values(one) for one in inner])
    elif origin is Literal:
        fitting = st.sampled_from([*inner, "magic"])
    elif origin is list:
        fitting = st.lists(values(inner[0]), max_size=3)
    elif origin is dict:
        fitting = st.dictionaries(st.text(max_size=3), values(inner[1]), max_size=2)
    else:
        fitting = st.from_type(hint)
    return st.one_of(fitting, fitting, fitting, VALUES)


def fits(value, hint):
    """Whether an object is what its type says, all the way down."""
    origin, inner = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return type(value) is hint and all(fits(getattr(value, name), hints[name]) for name in hints)
    if origin is UnionType:
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is list:
        return type(value) is list and all(fits(item, inner[0]) for item in value)
    if origin is dict:
        return type(value) is dict and all(type(key) is str and fits(item, inner[1]) for key, item in value.items())
    return type(value) is hint


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=3) | sections(Plain) | sections(Other))
def test_any_mapping_gives_a_well_typed_object_or_one_line(tree):
    if not isinstance(tree, dict):
        tree = {"count": tree}
    result = object_or_refusal(tree)
    if isinstance(result, StudyError):
        assert str(result).startswith("some.yaml: ")
        assert len(str(result).splitlines()) == 1
    else:
        assert fits(result, SCHEMA)


@given(st.builds(Plain, count=st.integers(), inner=st.none(), table=st.none(), names=st.none() | st.lists(st.text())))
def test_whatever_the_schema_can_hold_is_read_as_it_was_written(plain):
    assert read({field.name: getattr(plain, field.name) for field in fields(Plain)}) == plain
