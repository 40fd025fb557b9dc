"""JSON in lines and in arrays, and what Parquet files know of their classes."""

import gzip
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.corpus.sources.formats import read_file
from stages.foundation.errors import StudyError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(st.fixed_dictionaries({"text": TEXT, "label": st.integers(-9, 9)}), min_size=1, max_size=5)
SAME_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(path, content):
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(raw) if path.name.endswith(".gz") else raw)
    return path


def complaint(path):
    with pytest.raises(StudyError) as caught:
        read_file(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(path), path.name)


@SAME_FOLDER
@given(
    rows=ROWS,
    indent=st.sampled_from([None, 0, 2]),
    ending=st.sampled_from(["json", "jsonl", "json.gz", "jsonl.gz"]),
    mark=st.sampled_from(["", "\ufeff", "\n \n"]),
    escaped=st.booleans(),
)
def test_an_array_is_read_like_lines(tmp_path, rows, indent, ending, mark, escaped):
    array = write(tmp_path / f"a.{ending}", mark + json.dumps(rows, indent=indent, ensure_ascii=escaped) + "\n")
    table = read_file(array)
    lined = read_file(write(tmp_path / "b.jsonl", "\n".join(json.dumps(row) for row in rows)))

    assert table.frame.to_dict("list") == lined.frame.to_dict("list")
    assert table.told.startswith("a JSON array")
    assert lined.told == "JSON Lines"


def test_the_rows_of_an_array_know_their_lines(tmp_path):
    path = write(tmp_path / "a.json", '[\n {"text": "a",\n  "label": 0},\n\n {"text": "b", "label": 1}]')

    assert read_file(path).frame.index.tolist() == [2, 5]


@pytest.mark.parametrize(
    "written", ['{"text": "a"}\n{"text": "b", "label": 1}', '[{"text": "a"},\n{"text": "b", "label": 1}]']
)
def test_a_key_that_a_row_leaves_out_is_told_with_its_line_where_it_is_asked_for(tmp_path, written):
    table = read_file(write(tmp_path / "a.json", written))

    assert table.values("text") == ["a", "b"]
    with pytest.raises(StudyError, match=r"a\.json, line 1 has no key label, which other rows have; give it one"):
        table.values("label")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[\n{"text": "a"},\n{"text": }\n]', "a.json, line 3 is not valid JSON: Expecting value"),
        ('[\n{"text": "a"}\n{"text": "b"}\n]', "a.json, line 3 is not valid JSON: Expecting ',' or ']'"),
        ('[\n{"text": "a"},\n', "a.json, line 3 is not valid JSON: Expecting value"),
        ('[\n{"text": "a"},\n5]', "a.json, line 3 must hold one JSON object, such as {...}; a file holds one JSON"),
        ('[{"text": "a"}]\n[{"text": "b"}]', "a.json, line 1: something follows the array; a file holds one JSON"),
        ("[]", "a.json is empty"),
        ('{\n "text": "a"\n}', "a.json, line 1 is not valid JSON: Expecting property name enclosed in double quotes"),
        ('["text", "label"]\n["a", 1]', "a.json, line 1 must hold one JSON object"),
        ('[{"text": "\\ud800"}]', "a.json, line 1 is not valid JSON"),
    ],
)
def test_broken_json_is_refused_with_its_line_and_what_is_expected(tmp_path, content, expected):
    assert complaint(write(tmp_path / "a.json", content)).startswith(expected)


def class_label(names, **more):
    return {"names": names, "_type": "ClassLabel", **more}


def write_parquet(path, features, **columns):
    schema = pa.Table.from_pydict(columns)
    note = json.dumps({"info": {"features": features}})
    pq.write_table(schema.replace_schema_metadata({"huggingface": note}), path)
    return path


@given(names=st.lists(TEXT.filter(str.strip), min_size=2, max_size=4, unique=True))
@SAME_FOLDER
def test_the_names_of_classes_come_with_a_parquet_file(tmp_path, names):
    features = {"text": {"dtype": "string", "_type": "Value"}, "label": class_label(names, num_classes=len(names))}
    path = write_parquet(tmp_path / "a.parquet", features, text=["a", "b"], label=[0, 1])

    assert read_file(path).class_names == {"label": names}


def test_parquet_without_such_names_has_none(tmp_path):
    pd.DataFrame({"text": ["a"], "label": [0]}).to_parquet(tmp_path / "a.parquet")

    assert read_file(tmp_path / "a.parquet").class_names == {}


def test_what_datasets_writes_is_understood(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features).to_parquet(
        str(tmp_path / "a.parquet")
    )

    assert read_file(tmp_path / "a.parquet").class_names == {"label": ["no", "yes"]}


def test_notes_that_nobody_understands_are_refused(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"label": 5}, label=[0])

    assert complaint(path) == "a.parquet: its metadata `huggingface` are not those that `datasets` writes"


@pytest.mark.parametrize("content", ['{"text": ["a", "b"], "label": [0, 1]}', '{"data": [{"text": "a", "label": 0}]}'])
def test_one_object_with_lists_is_answered_with_what_is_expected(tmp_path, content):
    told = complaint(write(tmp_path / "a.json", content))

    assert told.startswith(
        "a.json holds one object with lists in it; a file holds one JSON object a line, or one array"
    )
