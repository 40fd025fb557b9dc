"""Separators, quotation marks and files without a header: how people write tables."""

import csv
import gzip
import io

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stages.corpus.sources.formats import read_file
from stages.corpus.sources.settings import FilesSettings
from stages.foundation.errors import StudyError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
WORDS = st.text(st.sampled_from("ab ,;|\t\n\"'é"), max_size=12)
SAME_FOLDER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(rows, separator=",", **how):
    """As Python's csv module writes them, which is as pandas does."""
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator, lineterminator="\n", **how).writerows(rows)
    return file.getvalue()


def write(path, content):
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(raw) if path.name.endswith(".gz") else raw)
    return path


def read(path, **keys):
    """The rows and the format in words."""
    table = read_file(path, FilesSettings(**keys))
    return list(table.frame.itertuples(index=False, name=None)), table.told


def complaint(path, **keys):
    with pytest.raises(StudyError) as caught:
        read(path, **keys)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text.replace(str(path), path.name)


@SAME_FOLDER
@given(
    rows=st.lists(st.tuples(WORDS, st.sampled_from(["0", "1"])), min_size=1, max_size=6),
    separator=st.sampled_from([",", ";", "|"]),
    ending=st.sampled_from(["csv", "tsv", "csv.gz", "tsv.gz"]),
    mark=st.sampled_from(["", "\ufeff"]),
)
def test_the_separator_is_found_whatever_the_texts_hold(tmp_path, rows, separator, ending, mark):
    path = write(tmp_path / f"a.{ending}", mark + written([("text", "label"), *rows], separator))

    assert read(path)[0] == rows
    assert read(path)[1].startswith(f"{SEPARATORS[separator]}-separated")
    assert read(path, separator=SEPARATORS[separator])[0] == read(path, separator=separator)[0] == rows


@SAME_FOLDER
@given(
    texts=st.lists(st.text(st.sampled_from("ab \"'\t\né"), max_size=9), min_size=1, max_size=6),
    every=st.booleans(),
)
def test_a_tsv_that_a_program_quoted_is_read_as_it_was_written(tmp_path, texts, every):
    rows = [("text", "label"), ('a "big" lamp', "1"), *((text, "0") for text in texts)]
    path = write(tmp_path / "a.tsv", written(rows, "\t", quoting=csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL))

    assert read(path) == (rows[1:], "tab-separated, values in quotation marks")


def test_pandas_writes_what_is_read(tmp_path):
    frame = pd.DataFrame({"text": ['The "big" lamp', "a\ttab", 'all "quoted"', "plain"], "label": ["0", "1", "0", "1"]})
    for name, separator in (("a.tsv", "\t"), ("a.tsv.gz", "\t"), ("a.csv", ","), ("b.csv", ";"), ("c.csv.gz", "\t")):
        frame.to_csv(tmp_path / name, sep=separator, index=False)

        assert read(tmp_path / name)[0] == list(frame.itertuples(index=False, name=None))


@pytest.mark.parametrize(
    "text",
    ['" so-called " fun', '"open', 'close"', '"brilliant"', 'a "big" lamp', '"a" and "b"', '""', '"', '"good, bad"'],
)
def test_stray_quotation_marks_of_a_tsv_stay(tmp_path, text):
    path = write(tmp_path / "a.tsv", f"sentence\tlabel\n{text}\t1\nplain\t0\n")

    assert read(path) == ([(text, "1"), ("plain", "0")], "tab-separated, quotation marks kept as part of the texts")


def test_one_stray_mark_tells_that_no_program_quoted_the_file(tmp_path):
    path = write(tmp_path / "a.tsv", 'text\tlabel\n"a ""big"" lamp"\t1\nnot "so\t0\n')

    assert read(path)[0] == [('"a ""big"" lamp"', "1"), ('not "so', "0")]


def test_dataset_yaml_says_what_quotation_marks_mean(tmp_path):
    path = write(tmp_path / "a.tsv", 'text\tlabel\n"brilliant"\t1\n')
    stray = write(tmp_path / "a.csv", 'text;label\n"open;1\n')

    assert read(path, quoting="csv")[0] == [("brilliant", "1")]
    assert read(path, quoting="none")[0] == [('"brilliant"', "1")]
    assert read(stray, quoting="none")[0] == [('"open', "1")]
    assert complaint(stray).startswith("a.csv, line 2 is not valid CSV")


def test_the_label_tells_which_separator_is_meant(tmp_path):
    path = write(tmp_path / "a.csv", "id, of the shop;text;label\n5;a, b;1\n")

    assert read(path)[0] == [("5", "a, b", "1")]


@pytest.mark.parametrize("separator", list(SEPARATORS))
@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz"])
def test_columns_may_be_named_where_no_line_does(tmp_path, separator, ending):
    rows = [("The lamp, it works", "1"), ("The cable; broken", "0"), ("plain", "1")]
    path = write(tmp_path / f"a.{ending}", written(rows, separator))

    found, told = read(path, columns=["text", "label"])
    assert found == rows
    assert told.startswith(f"{SEPARATORS[separator]}-separated")
    assert told.partition(", gzip")[0].endswith("no header")


def test_columns_that_a_line_names_already_are_refused(tmp_path):
    path = write(tmp_path / "a.csv", "Text, label\na,1\n")

    expected = "a.csv, line 1 names the columns itself; leave `columns` out of dataset.yaml"
    assert complaint(path, columns=["text", "label"]) == expected


def test_two_separators_that_fit_are_refused_with_the_lines_that_settle_it(tmp_path):
    path = write(tmp_path / "a.csv", "so; good,1\nso; bad,0\n")

    expected = "a.csv can be read with more than one separator; say in dataset.yaml `separator: comma` or "
    assert complaint(path, columns=["text", "label"]) == expected + "`separator: semicolon`"
    assert read(path, columns=["text", "label"], separator=";")[0] == [("so", " good,1"), ("so", " bad,0")]


@SAME_FOLDER
@given(
    rows=st.lists(st.tuples(WORDS, st.sampled_from(["0", "1"])), min_size=1, max_size=6),
    separator=st.sampled_from(list(SEPARATORS)),
    end=st.sampled_from(["\n", "\r\n"]),
    ending=st.sampled_from(["csv", "tsv", "csv.gz"]),
)
def test_a_line_for_excel_tells_the_separator(tmp_path, rows, separator, end, ending):
    content = written([("text", "label"), ('a "big" lamp', "1"), *rows], separator)
    path = write(tmp_path / f"a.{ending}", f"\ufeffsep={separator}{end}{content}")

    assert read(path)[0] == [('a "big" lamp', "1"), *rows]
    assert read_file(path).frame.index[0] == 3
    assert read(path)[1].startswith(f"{SEPARATORS[separator]}-separated")


@pytest.mark.parametrize(("separator", "ending"), [(",", "csv"), ("\t", "tsv"), (";", "csv.gz")])
def test_lines_may_end_in_returns_alone(tmp_path, separator, ending):
    rows = [("so good", "1"), ("so bad", "0")]
    path = write(tmp_path / f"a.{ending}", written([("text", "label"), *rows], separator).replace("\n", "\r"))

    assert read(path)[0] == rows


def test_blanks_before_quotation_marks_do_not_matter(tmp_path):
    path = write(tmp_path / "a.csv", 'label, text\nbad, "so far, so ""good"""\n"good", plain\n')

    assert read(path)[0] == [("bad", 'so far, so "good"'), ("good", "plain")]


def test_a_quotation_mark_within_a_value_is_part_of_it_where_blanks_stand_before(tmp_path):
    path = write(tmp_path / "a.csv", 'label, text\nbad, "big" lamp\ngood, plain\n')

    assert read(path)[0] == [("bad", ' "big" lamp'), ("good", " plain")]


@pytest.mark.parametrize(
    ("content", "columns", "told"),
    [
        ("text,label\n1,so good,0\n2,so bad,1\n", None, "the header, which is the first line, must name each of them"),
        ("Export of May\ntext,label\nso good,0\n", None, "the header, which is the first line, must name each of them"),
        ("1,so good,0\n2,so bad,1\n", ["text", "label"], "`columns` must name each of them"),
    ],
)
def test_rows_that_all_hold_more_than_is_named_are_told_so(tmp_path, content, columns, told):
    assert complaint(write(tmp_path / "a.csv", content), columns=columns).endswith(f": {told}")


def test_a_width_that_does_not_fit_names_the_line(tmp_path):
    unquoted = write(tmp_path / "a.csv", "text,label\nso good,1\nso good, so far,1\n")
    unnamed = write(tmp_path / "b.tsv", "a\t1\nb\t0\t7\n")

    assert complaint(unquoted).startswith("a.csv, line 3 has 3 values, the header has 2 columns: a value that holds")
    assert complaint(unnamed, columns=["text", "label"]).startswith("b.tsv, line 2 has 3 values, `columns` names 2")


def test_a_row_may_end_before_columns_without_a_name(tmp_path):
    path = write(tmp_path / "a.csv", "v1,v2,,,\nham,hi\nspam,win,,,\nham,yo,x\n")

    assert read(path)[0] == [("ham", "hi", "", "", ""), ("spam", "win", "", "", ""), ("ham", "yo", "x", "", "")]


def test_names_of_a_header_are_trimmed_and_may_repeat(tmp_path):
    path = write(tmp_path / "a.csv", ' text , label,note,note\n"a, b", 1,x,y\n')

    assert read_file(path).frame.columns.tolist() == ["text", "label", "note", "note"]


@given(length=st.integers(131_000, 140_000), ending=st.sampled_from(["csv", "tsv"]), first=st.booleans())
@settings(SAME_FOLDER, max_examples=5)
def test_a_value_may_be_long(tmp_path, length, ending, first):
    text = "a, b " * (length // 5)
    rows = [(text, "1"), ("short", "0")][:: 1 if first else -1]
    path = write(tmp_path / f"a.{ending}", written([("text", "label"), *rows], "," if ending == "csv" else "\t"))

    assert read(path)[0] == rows


@SAME_FOLDER
@given(content=st.text(st.sampled_from('a1,;|\t\n"'), min_size=1, max_size=40), columns=st.booleans())
def test_whatever_stands_there_is_read_or_refused_in_one_short_line(tmp_path, content, columns):
    path = write(tmp_path / "a.csv", content)
    refusal = ""
    try:
        read(path, columns=["text", "label"] if columns else None)
    except StudyError as error:
        refusal = str(error)

    assert "\n" not in refusal
    assert len(refusal) < 400


@pytest.mark.parametrize("content", [b"text,label\na,1\n", b"\x1f\x8b\x08broken"])
def test_what_is_no_gzip_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)

    assert complaint(path).startswith("a.csv.gz is not readable as gzip: ")


@pytest.mark.parametrize("label", ['"1"', "1", "bad"])
def test_a_header_in_quotation_marks_tells_that_a_program_quoted_the_file(tmp_path, label):
    path = write(tmp_path / "a.tsv", f'"text"\t"label"\n"so good"\t{label}\n"so bad"\t{label}\n')

    assert [text for text, _ in read(path)[0]] == ["so good", "so bad"]
