"""Which column holds the texts: one alone may be meant, or dataset.yaml says."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.corpus.sources.table import Table
from stages.corpus.sources.texts import find_text_columns
from stages.foundation.errors import StudyError

PROSE = [f"the {word} number {at} is here" for at, word in enumerate(["lamp", "cable", "tent", "box"] * 5)]
OTHER = [f"it was {word} on day {at}" for at, word in enumerate(["fine", "dull"] * 10)]
NUMBERS = [str(6000 + at) for at in range(20)]


def table(**columns):
    return Table("train.csv", pd.DataFrame(columns | {"label": ["0", "1"] * 10}, dtype=object))


def found(*named, **columns):
    return find_text_columns(table(**columns), named, ("label",))


def complaint(**columns):
    with pytest.raises(StudyError) as caught:
        found(**columns)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return str(caught.value)


@pytest.mark.parametrize("name", ["sentence", "text", "Text", " SENTENCE "])
@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"id": NUMBERS},
        {"author": ["Jane Doe", "Kim"] * 10},
        {"date": [f"{day} March 2024" for day in range(1, 21)]},
        {"source": ["The New York Times"] * 20},
        {"url": [f"https://example.org/a/{at}" for at in range(20)]},
        {"empty": [None] * 20, "blank": [""] * 20},
        {"numbers": list(range(20))},
    ],
)
def test_a_usual_name_is_enough_beside_columns_that_hold_no_texts(name, beside):
    assert found(**{name: PROSE}, **beside) == (name,)


@pytest.mark.parametrize(
    ("first", "second"), [("question", "sentence"), ("text", "title"), ("sentence", "text"), ("text", "reply")]
)
def test_two_columns_of_texts_are_refused_with_the_lines_that_settle_it(first, second):
    assert complaint(**{first: PROSE, second: OTHER}) == (
        f"train.csv: column {first} holds texts, column {second} holds texts; say in dataset.yaml which to read: "
        f"`text: {first}` or `text: {second}`, or both of a pair: `text: [{first}, {second}]`"
    )
    assert found(first, **{first: PROSE, second: OTHER}) == (first,)
    assert found(first, second, **{first: PROSE, second: OTHER}) == (first, second)


@pytest.mark.parametrize(("numbered", "texts"), [("sentence", "text"), ("text", "sentence"), ("sentence", "review")])
def test_a_usual_name_above_numbers_beside_texts_is_asked_about(numbered, texts):
    told = complaint(**{numbered: NUMBERS, texts: PROSE})

    assert f"column {numbered} holds numbers, column {texts} holds texts" in told
    assert f"`text: {texts}`" in told


QUESTIONS = ["what did they say of the lamp ?", "was it worth all the money ?"] * 10


def test_a_few_long_texts_that_repeat_are_texts_unless_they_name_the_classes():
    many = {"text": PROSE * 5, "label": ["0", "1", "1"] * 33 + ["0"]}
    table = Table("train.csv", pd.DataFrame(many | {"question": QUESTIONS * 5}, dtype=object))
    with pytest.raises(StudyError, match="column text holds texts, column question holds texts"):
        find_text_columns(table, (), ("label",))
    names = [f"customers who want their money {('back', 'now')[int(label)]}" for label in many["label"]]
    one = ["what did they say of the lamp ?"] * 100
    told = Table("train.csv", pd.DataFrame(many | {"label_text": names, "prompt": one}, dtype=object))
    assert find_text_columns(told, (), ("label",)) == ("text",)


@pytest.mark.parametrize(
    "text",
    [
        "\u8fd9\u4e2a\u4ea7\u54c1\u5f88\u597d\u7528",
        "\u0e2a\u0e34\u0e19\u0e04\u0e49\u0e32\u0e14\u0e35\u0e21\u0e32\u0e01",
    ],
)
def test_texts_without_blanks_between_words_are_texts(text):
    assert "column text holds texts, column title holds texts" in complaint(
        text=[f"{text}{at}" for at in range(20)], title=[f"{at}{text}" for at in range(20)]
    )


def test_a_key_that_some_rows_leave_out_does_not_matter_where_nobody_asks_for_it():
    rows = pd.DataFrame({"text": PROSE, "label": ["0", "1"] * 10, "id": [*NUMBERS[1:], None]}, dtype=object)
    read = Table("train.jsonl", rows, "JSON Lines", lacking={"id": 19})

    assert find_text_columns(read, (), ("label",)) == ("text",)


def test_an_empty_column_of_a_usual_name_is_told_as_such():
    assert "column sentence holds nothing, column text holds texts" in complaint(sentence=[""] * 20, text=PROSE)


def test_numbers_alone_are_asked_about():
    told = "train.csv: column sentence holds numbers; say in dataset.yaml which to read: `text: sentence` if these are"

    assert complaint(sentence=NUMBERS).startswith(told)
    assert found("sentence", sentence=NUMBERS) == ("sentence",)


def test_without_a_usual_name_the_columns_of_texts_are_proposed():
    assert complaint(review=PROSE, id=NUMBERS).endswith("which holds the texts, for instance `text: review`")
    assert complaint(premise=PROSE, hypothesis=OTHER).endswith("both of a pair: `text: [premise, hypothesis]`")
    assert complaint(id=NUMBERS).endswith("for instance `text: review`")


def test_names_that_fit_only_by_case_must_be_one():
    assert "has 2 columns of the name text: Text, TEXT" in complaint(Text=PROSE, TEXT=OTHER)
    assert found(text=PROSE, TEXT=NUMBERS) == ("text",)


@given(st.lists(st.sampled_from(["", "text", "label", "a long name of a column", "0"]), max_size=8))
def test_names_that_nobody_asks_for_do_not_matter(names):
    frame = pd.DataFrame([["so good", "1", *names], ["so bad", "0", *names]], dtype=object)
    frame.columns = pd.Index(["review", "stars", *names], dtype=object)
    read = Table("train.csv", frame, "comma-separated")

    assert read.values("review") == ["so good", "so bad"]
    assert find_text_columns(read, ("review",), ("stars",)) == ("review",)
    if names.count("text") > 1:
        with pytest.raises(StudyError, match="columns of the name text"):
            read.values("text")


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (["The lamp with the lid arrived", "0"], "[text, label]"),
        (["3", "Shop closes", "The shop in the town closes at noon"], "[label, column2, text]"),
        (["good", "so"], "[text, label]"),
    ],
)
def test_a_header_that_looks_like_a_row_is_answered_with_the_line_that_names_the_columns(header, columns):
    rows = [["x"] * len(header), header]
    read = Table("train.csv", pd.DataFrame(rows, columns=header, dtype=object), "comma-separated")

    with pytest.raises(StudyError, match="its first line looks like a row; if it is one, name the columns") as caught:
        read.find("label")
    assert str(caught.value).endswith(f"in dataset.yaml: `columns: {columns}`")


def test_the_label_is_guessed_by_how_often_it_repeats():
    rows = [[str(at), f"the lamp number {at}", "good"] for at in range(1, 9)]
    read = Table("train.csv", pd.DataFrame(rows, columns=["0", "the lamp number 0", "good"]), "semicolon-separated")

    with pytest.raises(StudyError, match=r"`columns: \[column1, text, label\]`$"):
        read.find("label")


def test_a_header_of_one_column_is_answered_with_the_separator():
    read = Table("train.csv", pd.DataFrame([["1:so good"]], columns=["label:text"]), "comma-separated")

    with pytest.raises(StudyError, match=r"has no column label; it has label:text: if another .* `separator: ':'`$"):
        read.find("label")


def test_a_header_that_is_one_is_answered_with_its_names():
    read = Table("train.csv", pd.DataFrame([["good", "1"]], columns=["review", "stars"]), "comma-separated")

    with pytest.raises(StudyError, match=r"has no column label; it has review, stars: say in dataset\.yaml which is"):
        read.find("label")
