"""dataset.yaml, from the file to the settings of its kind."""

import json
from dataclasses import asdict

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stages.corpus.sources.settings import (
    FilesSettings,
    HubSettings,
    PhraseBankSettings,
    SplitNames,
    positive_class,
    read_settings,
)
from stages.foundation.errors import StudyError

WORD = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=9)
MAYBE = st.none() | WORD
SPLITS = st.builds(SplitNames, train=WORD, test=WORD, validation=MAYBE)
COLUMNS = {
    "text": MAYBE | st.lists(WORD, min_size=1, max_size=2, unique=True),
    "label": WORD,
    "group": MAYBE,
    "label_names": st.none() | st.lists(st.one_of(WORD, st.integers(-9, 9), st.booleans()), max_size=4),
    "label_values": st.none() | st.sampled_from(["names", "indices", "indices_from_1"]),
    "positive": st.none() | st.one_of(WORD, st.integers(-9, 9), st.booleans()),
    "splits": st.none() | SPLITS,
}
EVEN = st.integers(1, 500).map(lambda half: 2 * half)
KINDS = st.one_of(
    st.builds(
        FilesSettings,
        columns=st.none() | st.lists(WORD, min_size=2, max_size=4),
        separator=st.none() | st.sampled_from(["comma", "semicolon", "tab", "pipe", ",", ";", "\t", "|", "\\t", "~"]),
        quoting=st.none() | st.sampled_from(["csv", "none"]),
        **COLUMNS,
    ),
    st.builds(HubSettings, kind=st.just("hub"), repo=WORD, config=MAYBE, revision=MAYBE, **COLUMNS),
    st.builds(
        PhraseBankSettings,
        kind=st.just("phrase_banks"),
        label_names=st.lists(WORD, min_size=2, max_size=2, unique=True),
        seed=st.integers(0, 2**40),
        train_rows=EVEN,
        test_rows=EVEN,
        positive=MAYBE,
    ),
)
BANKS = {"kind": "phrase_banks", "label_names": ["no", "yes"], "seed": 0, "train_rows": 2, "test_rows": 2}


def write(folder, tree):
    """As JSON, which is YAML with every text in quotes: ruamel leaves `?0` bare, which it reads as a mapping."""
    (folder / "dataset.yaml").write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    return folder


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(wanted=KINDS)
@example(wanted=PhraseBankSettings(**BANKS | {"label_names": ["", "?0"]}))
def test_whatever_is_written_is_what_is_read(tmp_path, wanted):
    assert read_settings(write(tmp_path, asdict(wanted))) == wanted


def test_without_a_file_it_is_files_with_the_columns_of_glue(tmp_path):
    found = read_settings(tmp_path)

    assert found == FilesSettings()
    assert (found.kind, found.text, found.label, found.splits) == ("files", None, "label", None)


def test_what_is_left_out_is_as_without_a_file(tmp_path):
    assert read_settings(write(tmp_path, {"label": "stars"})) == FilesSettings(label="stars")


@pytest.mark.parametrize(
    ("splits", "names"),
    [
        (SplitNames(train="a", test="b"), {"train": "a", "test": "b"}),
        (SplitNames(train="a", test="b", validation="c"), {"train": "a", "test": "b", "validation": "c"}),
    ],
)
def test_a_validation_split_is_given_only_where_it_is_named(splits, names):
    assert splits.given() == names


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"label_names": ["no", "no"]}, "label_names must hold two names, got ['no', 'no']"),
        ({"label_names": ["no", "so so", "yes"]}, "label_names must hold two names, got ['no', 'so so', 'yes']"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"train_rows": 0}, "train_rows must be an even number of 2 or more, got 0"),
        ({"test_rows": 7}, "test_rows must be an even number of 2 or more, got 7"),
        ({"text": "review"}, "unknown key text ('review'); kind phrase_banks knows"),
    ],
)
def test_phrase_banks_that_cannot_be_are_refused_in_one_line(tmp_path, change, complaint):
    with pytest.raises(StudyError) as refused:
        read_settings(write(tmp_path, BANKS | change))

    assert str(refused.value).startswith(f"{tmp_path}/dataset.yaml: {complaint}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("tree", "complaint"),
    [
        ({"text": ["a", "b", "c"]}, "text must name one column or two, got ['a', 'b', 'c']"),
        ({"text": ["a", "a"]}, "text must name one column or two, got ['a', 'a']"),
        ({"text": []}, "text must name one column or two, got []"),
        ({"text": 5}, "text must be text or a list, got 5"),
        ({"text": ["a", 5]}, "text[1] must be text, got 5"),
        ({"columns": ["text"]}, "columns must name two or more, got ['text']"),
        ({"separator": "colon"}, "separator must be comma, semicolon, tab, pipe or any one character, got 'colon'"),
        ({"separator": '"'}, "separator must be comma, semicolon, tab, pipe or any one character, got '\"'"),
        ({"quoting": "some"}, "quoting must be csv or none, got 'some'"),
        ({"label_values": "from_2"}, "label_values must be names or indices or indices_from_1, got 'from_2'"),
    ],
)
def test_keys_that_mean_nothing_are_refused_in_one_line(tmp_path, tree, complaint):
    with pytest.raises(StudyError) as refused:
        read_settings(write(tmp_path, tree))

    assert str(refused.value).startswith(f"{tmp_path}/dataset.yaml: {complaint}")


@pytest.mark.parametrize(
    ("written", "separator"), [("tab", "\t"), ("\t", "\t"), ("\\t", "\t"), ("pipe", "|"), (";", ";"), (None, None)]
)
def test_a_separator_has_a_name_or_is_itself(written, separator):
    assert FilesSettings(separator=written).delimiter == separator


@pytest.mark.parametrize(("text", "columns"), [(None, ()), ("a", ("a",)), (["a"], ("a",)), (["a", "b"], ("a", "b"))])
def test_text_names_no_column_one_or_two(text, columns):
    assert FilesSettings(text=text).text_columns == columns


@pytest.mark.parametrize(
    ("names", "wanted", "positive"),
    [
        (("ham", "spam"), None, "spam"),
        (("ham", "spam"), "ham", "ham"),
        (("0", "1"), 0, "0"),
        (("false", "true"), False, "false"),
        (("a", "b", "c"), None, None),
    ],
)
def test_the_positive_class_is_class_1_of_two_or_the_one_that_is_named(names, wanted, positive):
    assert positive_class(names, wanted=wanted) == positive


@pytest.mark.parametrize(
    ("names", "wanted", "complaint"),
    [
        (("ham", "spam"), "eggs", "dataset.yaml: positive must be ham or spam, got eggs"),
        (("a", "b", "c"), "b", "dataset.yaml: positive (b) chooses between two classes, and there are 3, whose"),
    ],
)
def test_a_positive_class_that_cannot_be_is_refused_in_one_line(names, wanted, complaint):
    with pytest.raises(StudyError) as refused:
        positive_class(names, wanted=wanted)

    assert str(refused.value).startswith(complaint)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["", "\n", "# nothing differs\n\n  # text: review\n"])
def test_a_file_that_says_nothing_is_as_none(tmp_path, content):
    (tmp_path / "dataset.yaml").write_text(content)

    assert read_settings(tmp_path) == FilesSettings()
