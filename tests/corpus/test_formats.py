import csv
import json

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.corpus.sources.formats import read_table
from stages.foundation.errors import StudyError

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LINE_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='\t\n\r"'), max_size=8)
SYNTAX = st.text(st.sampled_from('ab,\t\n\r"{}[]:1e'), max_size=60)
SAME_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows_of(frame):
    return list(frame.itertuples(index=False, name=None))


def complaint(path):
    with pytest.raises(StudyError) as caught:
        read_table(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text.replace(str(path), path.name)


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@SAME_FOLDER
@given(rows=st.lists(st.tuples(LINE_TEXT, LINE_TEXT), min_size=1))
def test_every_value_of_a_tsv_comes_back(tmp_path, rows):
    path = write(tmp_path / "a.tsv", "".join(f"{text}\t{label}\n" for text, label in [("text", "label"), *rows]))

    assert rows_of(read_table(path)) == rows


@SAME_FOLDER
@given(rows=st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1))
def test_every_value_of_a_csv_comes_back(tmp_path, rows):
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])

    assert rows_of(read_table(path)) == rows


@SAME_FOLDER
@given(
    rows=st.lists(st.tuples(ANY_TEXT, st.one_of(st.integers(), st.booleans(), ANY_TEXT)), min_size=1),
    escaped=st.booleans(),
)
def test_every_value_of_json_lines_comes_back(tmp_path, rows, escaped):
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=escaped) for text, label in rows]
    path = write(tmp_path / "a.jsonl", "\n".join(lines))

    assert rows_of(read_table(path)) == rows


@SAME_FOLDER
@given(rows=st.lists(st.tuples(ANY_TEXT, st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_every_value_of_a_parquet_file_comes_back(tmp_path, rows):
    path = tmp_path / "a.parquet"
    pd.DataFrame(rows, columns=["text", "label"]).to_parquet(path)

    assert rows_of(read_table(path)) == rows


@SAME_FOLDER
@given(content=st.one_of(st.binary(max_size=60), SYNTAX), ending=st.sampled_from(["tsv", "csv", "jsonl", "parquet"]))
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_line(tmp_path, content, ending):
    path = write(tmp_path / f"a.{ending}", content)
    refusal = ""
    try:
        assert len(read_table(path)) > 0
    except StudyError as error:
        refusal = str(error)

    assert "\n" not in refusal


def test_quotation_marks_mean_nothing_in_a_tsv(tmp_path):
    path = write(tmp_path / "a.tsv", 'sentence\tlabel\n" so-called " fun\t0\n"open\t1\n')

    assert rows_of(read_table(path)) == [('" so-called " fun', "0"), ('"open', "1")]


@pytest.mark.parametrize("text", ["NA", "null", "nan", "1.50", "2024-01-01", "", "None", "007"])
def test_no_value_is_guessed(tmp_path, text):
    assert read_table(write(tmp_path / "a.csv", f"text,label\n{text},1\n"))["text"].tolist() == [text]


@pytest.mark.parametrize("ending", ["tsv", "csv", "jsonl"])
def test_windows_files_read_like_others(tmp_path, ending):
    content = {
        "tsv": "text\tlabel\r\nso good\t1\r\n",
        "csv": "text,label\r\nso good,1\r\n",
        "jsonl": '{"text": "so good", "label": "1"}\r\n',
    }[ending]
    path = write(tmp_path / f"a.{ending}", content.encode("utf-8-sig"))

    assert read_table(path).columns.tolist() == ["text", "label"]
    assert rows_of(read_table(path)) == [("so good", "1")]


def test_the_index_is_the_line_in_the_file(tmp_path):
    tsv = read_table(write(tmp_path / "a.tsv", "text\tlabel\n\na\t0\n\n\nb\t1\n"))
    quoted = read_table(write(tmp_path / "a.csv", 'text,label\n"a\nb",0\n\nc,1\n'))

    assert (tsv.index.name, tsv.index.tolist()) == ("line", [3, 6])
    assert quoted.index.tolist() == [2, 5]


def test_the_columns_of_json_are_the_keys_of_all_lines(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": 1}\n{"label": 0, "more": 1}\n')

    assert read_table(path).columns.tolist() == ["text", "label", "more"]
    assert rows_of(read_table(path)) == [("a", 1, None), (None, 0, 1)]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.tsv", "", "a.tsv is empty"),
        ("a.csv", "\n\n", "a.csv is empty"),
        ("a.tsv", "text\tlabel\n", "a.tsv has a header but no rows"),
        ("a.tsv", "text\tlabel\na\t1\nb\n", "a.tsv, line 3 has 1 value, the header has 2 columns"),
        ("a.tsv", "text\tlabel\na\t1\t2\n", "a.tsv, line 2 has 3 values, the header has 2 columns"),
        ("a.csv", 'text,label\n"a\nb",0\nc,1,2\n', "a.csv, line 4 has 3 values, the header has 2 columns"),
        ("a.csv", 'text,label\na,1\n"b,1\n', "a.csv, line 3 is not valid CSV: unexpected end of data"),
        ("a.csv", 'text,label\n"b"c,1\n', "a.csv, line 2 is not valid CSV: ',' expected after '\"'"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "a.jsonl, line 2 is not valid JSON: Expecting value"),
        ("a.jsonl", "[1]\n", "a.jsonl, line 1 must hold one JSON object, such as {...}"),
        ("a.jsonl", "{}\n", "a.jsonl is empty"),
        ("a.tsv", b"text\tlabel\na\t1\n\xff\t0\n", "a.tsv, line 3 is not UTF-8 (invalid start byte)"),
        ("a.csv", "text,label\na,1\n".encode("utf-16"), "a.csv, line 1 is not UTF-8 (invalid start byte)"),
        ("a.parquet", b"PAR1", "a.parquet is not readable as Parquet: "),
        ("a.xlsx", b"", "a.xlsx must end in one of .tsv, .csv, .jsonl, .json, .parquet"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path, name, content, expected):
    assert complaint(write(tmp_path / name, content)).startswith(expected)


@pytest.mark.parametrize(
    "line", ['{"text": "\\ud800"}', '{"text": ' + "9" * 5000 + "}", '{"text": ' + "[" * 100_000 + "}"]
)
def test_json_that_python_cannot_hold_is_refused(tmp_path, line):
    assert complaint(write(tmp_path / "a.jsonl", line)).startswith("a.jsonl, line 1 is not valid JSON")


def test_a_missing_file_is_named(tmp_path):
    assert complaint(tmp_path / "a.tsv") == "a.tsv is missing"


def test_a_parquet_file_without_rows_is_refused(tmp_path):
    pd.DataFrame({"text": [], "label": []}).to_parquet(tmp_path / "a.parquet")

    assert complaint(tmp_path / "a.parquet") == "a.parquet has no rows"


def test_a_parquet_file_that_is_cut_short_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": ["a"] * 100}).to_parquet(path)

    assert complaint(write(path, path.read_bytes()[:-20])).startswith("a.parquet is not readable as Parquet")
