"""What is written is what was read, with columns added, whatever the format."""

import csv
import gzip
import io
import json
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.foundation.errors import StudyError
from stages.predict import tables
from stages.predict.json_tables import JsonLinesWriter
from stages.predict.tables import open_table, texts_of

ADDED = {"label": str, "probability": float, "flagged": str}
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
NAME = st.text("abcxyz 0.", min_size=1, max_size=5).map(str.strip).filter(bool)
ENDS = st.sampled_from(["\n", "\r\n"])
FEW = settings(deadline=None, max_examples=60)


def cells(window):
    """A label, a number and nothing, by row."""
    places = [window.place(at) for at in range(len(window))]
    return {
        "label": [f"c{place[-1]}" for place in places],
        "probability": [0.25] * len(window),
        "flagged": [None] * len(window),
    }


def rewritten(path, *, columns=None, as_json=False):
    """All rows with columns added; their texts beside it."""
    stream, texts = io.BytesIO(), []
    with closing(open_table(path, columns)) as table:
        writer = JsonLinesWriter(stream) if as_json else table.writer(stream, ADDED)
        for window in table.windows():
            texts += window.values(table.columns[0])
            writer.write(window, cells(window))
        writer.close()
    return stream.getvalue(), texts


def written(folder, name, content):
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@st.composite
def delimited(draw, separator=","):
    """A valid file with quotation marks where they must be and where they need not, and the values of its rows."""
    header = draw(st.lists(NAME, min_size=2, max_size=4, unique=True))
    rows = draw(st.lists(st.lists(TEXT, min_size=len(header), max_size=len(header)), max_size=8))
    end = draw(ENDS)
    lines = [separator.join(header)]
    for row in rows:
        quoted = [
            draw(st.booleans()) or not value or any(sign in value for sign in separator + '"\r\n') for value in row
        ]
        lines.append(
            separator.join(
                '"' + value.replace('"', '""') + '"' if marks else value
                for value, marks in zip(row, quoted, strict=True)
            )
        )
        lines += [""] * draw(st.integers(0, 1))  # an empty line is no row, and stays
    return end.join(lines) + draw(st.sampled_from(["", end])), header, rows


def _perhaps_quoted(value, separator, *, at_will):
    must = not value or any(sign in value for sign in separator + '"\r\n')
    return '"' + value.replace('"', '""') + '"' if must or at_will else value


@pytest.mark.parametrize("separator", [",", ";"])
@given(data=st.data(), mark=st.booleans())
@FEW
def test_csv_keeps_every_byte_and_every_row(tmp_path_factory, separator, data, mark):
    content, header, rows = data.draw(delimited(separator))
    folder = tmp_path_factory.mktemp("csv")
    raw = ("\ufeff" if mark else "").encode() + content.encode()

    made, texts = rewritten(written(folder, "a.csv", raw))

    assert texts == [row[0] for row in rows]
    read = [row for row in csv.reader(io.StringIO(made.decode("utf-8-sig"), newline=""), delimiter=separator) if row]
    assert [row[:-3] for row in read] == [header, *rows]
    assert [row[-2:] for row in read[1:]] == [["0.250000", ""]] * len(rows)
    assert _without_added(made.decode(), separator) == raw.decode()


def _without_added(text, separator):
    """The file as it was: three values less at the end of each record."""
    for added in (f"{separator}label{separator}probability{separator}flagged",):
        text = text.replace(added, "", 1)
    for digit in range(10):
        text = text.replace(f"{separator}c{digit}{separator}0.250000{separator}", "")
    return text


@given(
    header=st.lists(NAME, min_size=2, max_size=3, unique=True),
    rows=st.lists(st.text("ab\"'\u00e4\u2028 ", min_size=1, max_size=6), max_size=9),
    end=ENDS,
)
@FEW
def test_tsv_keeps_quotation_marks_as_they_are(tmp_path_factory, header, rows, end):
    rows = ['a "b', *rows]  # or two rows of one mark each could be a single value in marks
    tail = "\t" * (len(header) - 1)
    content = end.join(["\t".join(header), *(f"{row}{tail}" for row in rows)]) + end

    made, texts = rewritten(written(tmp_path_factory.mktemp("tsv"), "a.tsv", content.encode()))

    assert texts == rows
    assert _without_added(made.decode(), "\t") == content


RECORD = st.dictionaries(
    NAME, TEXT | st.integers() | st.none() | st.booleans() | st.lists(TEXT, max_size=2), max_size=3
)


@pytest.mark.parametrize("kind", ["lines", "array", "one line"])
@given(records=st.lists(RECORD, min_size=1, max_size=8), escaped=st.booleans(), block=st.integers(1, 40))
@FEW
def test_json_keeps_every_key_and_its_spelling(tmp_path_factory, kind, records, escaped, block):
    records = [{"text": "a"} | record for record in records]
    spelled = [json.dumps(record, ensure_ascii=escaped) for record in records]
    indented = [json.dumps(record, ensure_ascii=escaped, indent=1) for record in records]
    content = {
        "lines": "\n\n".join(spelled) + "\n",
        "array": "\ufeff[\n " + " ,\n".join(indented) + "\n]\n",
        "one line": "[" + ",".join(spelled) + "]",
    }[kind]
    path = written(tmp_path_factory.mktemp("json"), "a.json", content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stages.predict.json_tables.BLOCK", block)
        made, _ = rewritten(path)

    text = made.decode()
    lines = [line for line in text.split("\n") if line]
    again = [json.loads(line) for line in lines] if kind == "lines" else json.loads(text.strip("\ufeff"))
    assert [{key: row[key] for key in row if key not in ADDED} for row in again] == records
    assert all(list(row)[-3:] == list(ADDED) for row in again)
    for line in spelled if kind != "array" else indented:
        assert line.rstrip("}").rstrip() in text


def test_json_lines_that_split_at_other_line_ends_stay_whole(tmp_path):
    content = '{"text": "a\u2028b\u0085c"}\n'

    made, texts = rewritten(written(tmp_path, "a.jsonl", content.encode()))

    assert texts == ["a\u2028b\u0085c"]
    assert made.decode() == '{"text": "a\u2028b\u0085c", "label": "c1", "probability": 0.25, "flagged": null}\n'


@given(rows=st.lists(TEXT | st.none(), max_size=30), group=st.integers(1, 7), window=st.integers(1, 9))
@FEW
def test_parquet_keeps_columns_types_and_metadata(tmp_path_factory, rows, group, window):
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    schema = pa.schema([("text", pa.string()), ("number", pa.int16())], metadata={"made": "by hand"})
    table = pa.table([rows, list(range(len(rows)))], schema=schema)
    pq.write_table(table, path, row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stages.predict.parquet_tables.WINDOW_ROWS", window)
        made, texts = rewritten(path)

    again = pq.read_table(io.BytesIO(made))
    assert texts == rows
    assert again.select(["text", "number"]).equals(table)
    assert again.schema.metadata[b"made"] == b"by hand"
    assert again.schema.names == ["text", "number", *ADDED]
    assert again["probability"].to_pylist() == [0.25] * len(rows)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz", "a.json.gz", "a.tsv.gz"])
def test_packed_files_are_read_as_the_plain_ones(tmp_path, name):
    content = b'{"text": "one"}\n' if "json" in name else b"text\none\n"

    plain, packed = (rewritten(written(tmp_path, file, content)) for file in (name.removesuffix(".gz"), name))

    assert packed == plain


def test_rows_are_held_some_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "WINDOW_ROWS", 4)
    monkeypatch.setattr(tables, "WINDOW_CHARACTERS", 100)
    path = written(tmp_path, "a.csv", ("text,n\n" + "a,1\n" * 9 + "b" * 200 + ",2\n" + "c,3\n").encode())

    table = open_table(path)
    windows = list(table.windows())
    table.close()

    assert [len(window) for window in windows] == [4, 4, 2, 1]
    assert windows[-1].position == path.stat().st_size


def test_a_long_field_is_read(tmp_path):
    _, texts = rewritten(written(tmp_path, "a.csv", b"text,n\n" + b"w " * 100_000 + b",1\n"))

    assert len(texts[0]) == 200_000


def test_a_header_may_have_columns_without_a_name_and_rows_may_end_before_them(tmp_path):
    made, _ = rewritten(written(tmp_path, "a.csv", b"v1,v2,,\nham,hi\nspam,buy,now,\n"))

    assert made == (b"v1,v2,,,label,probability,flagged\nham,hi,,,c2,0.250000,\nspam,buy,now,,c3,0.250000,\n")


def test_blanks_around_the_names_of_columns_do_not_matter(tmp_path):
    table = open_table(written(tmp_path, "a.csv", b" text , label\nx,1\n"))
    table.close()

    assert table.columns == ["text", "label"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_line_that_tells_excel_the_separator_stays_above_the_header(tmp_path, mark, end):
    made, texts = rewritten(written(tmp_path, "a.csv", mark + end.join([b"sep=;", b"text;n", b"a, b;1", b""])))

    assert texts == ["a, b"]
    header = b"text;n;label;probability;flagged"
    assert made == mark + end.join([b"sep=;", header, b"a, b;1;c3;0.250000;", b""])


def test_lines_may_end_in_returns_alone(tmp_path):
    made, texts = rewritten(written(tmp_path, "a.tsv", b"text\tn\rx\t1\rxy\t2\r"))

    assert texts == ["x", "xy"]
    assert made.startswith(b"text\tn\tlabel\tprobability\tflagged\rx\t1\tc1\t")


def test_blanks_before_quotation_marks_do_not_matter(tmp_path):
    _, texts = rewritten(written(tmp_path, "a.csv", b'text, n\nplain, "so, so"\n"a, b", 1\n'))

    assert texts == ["plain", "a, b"]


def test_a_file_without_header_gets_none(tmp_path):
    made, texts = rewritten(written(tmp_path, "a.csv", b"x,1\ny,2"), columns=["text", "n"])

    assert texts == ["x", "y"]
    assert made == b"x,1,c1,0.250000,\ny,2,c2,0.250000,"


def test_csv_as_json_lines_has_every_named_column_as_it_stands(tmp_path):
    made, _ = rewritten(written(tmp_path, "a.csv", b"text,id,\nx,007,\n"), as_json=True)

    assert made == b'{"text": "x", "id": "007", "label": "c2", "probability": 0.25, "flagged": null}\n'


def test_a_class_name_that_holds_the_separator_is_quoted(tmp_path):
    table = open_table(written(tmp_path, "a.csv", b"text\nx\n"))
    stream = io.BytesIO()
    writer = table.writer(stream, {"label": str})
    (window,) = table.windows()
    writer.write(window, {"label": ['so, "so"']})
    table.close()

    assert stream.getvalue() == b'text,label\nx,"so, ""so"""\n'


def test_arguments_come_out_as_tsv_that_pandas_reads():
    table, stream = texts_of(["a\tb", 'say "no"\n', ""]), io.BytesIO()
    writer = table.writer(stream, ADDED)
    for window in table.windows():
        writer.write(window, cells(window))

    rows = list(csv.reader(io.StringIO(stream.getvalue().decode(), newline=""), delimiter="\t"))
    assert rows[0] == [*ADDED, "text"]
    assert [row[-1] for row in rows[1:]] == ["a\tb", 'say "no"\n', ""]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"", "a.csv is empty"),
        ("a.tsv", b"\n\n", "a.tsv is empty"),
        ("a.json", b" \n", "a.json is empty"),
        ("a.csv", b"text,n\nx\n", "line 2 has 1 value, the file 2 columns"),
        (
            "a.csv",
            b"text\nfine, really\n",
            "line 2 has 2 values, the file 1 column: put texts that hold a comma in quot",
        ),
        ("a.csv", b'text,n\n\n"x,1\n', "line 3 is not valid CSV: unexpected end of data"),
        ("a.csv", b"text,n\nx,1\n\xff,2\n", "line 3 is not UTF-8"),
        ("a.tsv", b"text\tn\nx\n", "line 2 has 1 value,"),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', "line 2 is not valid JSON"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', "line 1 is not valid JSON"),
        ("a.jsonl", b'{"text": "a"}\n5\n', "line 2 must hold one JSON object"),
        ("a.jsonl", b'{"text": "a"}\n{"txt": "b"}\n', "line 2 has no text; it has txt"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n', "line 1 has label already; give the new columns other names"),
        ("a.json", b'[{"text": "a"},\n {"text": oh}]', "line 2 is not valid JSON"),
        ("a.json", b'[{"text": "a"}', "the array does not end with ]"),
        ("a.json", b'[{"text": "a"}] and more', "the array does not end with ], or something follows it"),
        ("a.json", b'[{"text": "a"}, 5]', "must hold one JSON object"),
        ("a.json", b'[{"text": "\xff"}]', "a.json is not UTF-8"),
        ("a.parquet", b"PAR1", "is not readable as Parquet"),
        ("a.txt", b"x", "must end in one of .tsv, .csv"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(tmp_path, name, content, expected):
    path = written(tmp_path, name, content)

    with pytest.raises(StudyError) as refused:
        rewritten(path)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"text\n" + b"x\n" * 999)[:-20]])
def test_a_damaged_packed_file_is_one_clear_line(tmp_path, content):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)

    with pytest.raises(StudyError, match=r"a\.csv\.gz is damaged, or not packed by gzip"):
        rewritten(path)


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(StudyError, match=r"none\.csv is missing"):
        open_table(tmp_path / "none.csv")


def test_columns_are_named_only_where_the_file_does_not(tmp_path):
    with pytest.raises(StudyError, match="--columns is for TSV and CSV files without a header"):
        open_table(written(tmp_path, "a.jsonl", b'{"text": "a"}\n'), ["text"])
