"""What was read, in words."""

import pytest

from stages.corpus.sources.source import read_source
from stages.foundation import paths


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def read(files):
    folder = paths.SOURCES / "mine"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return read_source("mine")


def facts(source):
    return {fact.term: fact.told for fact in source.found}


def test_what_was_read_is_told():
    source = read(
        {
            "dataset.yaml": "group: author",
            "train.csv": "id;text;label;author;;\n1;good one;Bad;kim\n2;bad;bad;lee;;\n"
            "3;so so;fair;kim;;\n4;ok;bad;lee;;\n",
            "val.jsonl": '{"text": "a", "label": "bad", "author": "ann"}',
            "test.tsv": 'text\tlabel\n"open\tBad\nb\tbad\n',
            "more.csv": "",
            "README.md": "",
        }
    )

    assert facts(source) == {
        "train split": "train.csv, semicolon-separated, 4 rows",
        "test split": "test.tsv, tab-separated, quotation marks kept as part of the texts, 2 rows",
        "validation split": "val.jsonl, JSON Lines, 1 rows",
        "texts": "column text",
        "labels": "column label, names as written",
        "groups": "column author",
        "classes, training rows": "Bad (1), bad (2), fair (1)",
        "classes without test rows": "fair",
        "class names that differ by case or blanks alone": "Bad and bad",
        "columns left unused": "id, 2 without a name",
        "files left unused": "more.csv",
    }


def test_a_pair_is_told_as_one():
    text = "question,sentence,label\nwho,he,1\nwhen,now,0\n"
    source = read({"dataset.yaml": "text: [question, sentence]", "train.csv": text, "test.csv": text})

    assert (source.train.sentences, source.train.second) == (["who", "when"], ["he", "now"])
    assert facts(source)["texts"] == "pairs of columns question and sentence"
    assert "columns left unused" not in facts(source)


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (["Bad", "bad", "GOOD", "Good", "good", "fair"], "Bad and bad; GOOD and Good and good"),
        (["so so", "so  so", "yes"], "so  so and so so"),
        (["caf\u00e9", "cafe\u0301", "no"], "cafe\u0301 and caf\u00e9"),
        (["bad", "badly"], None),
    ],
)
def test_names_that_are_nearly_one_are_pointed_at(names, alike):
    rows = "text,label\n" + "".join(f"row {at},{name}\n" for at, name in enumerate(names))
    found = facts(read({"train.csv": rows, "test.csv": rows}))

    assert found.get("class names that differ by case or blanks alone") == alike


def test_many_classes_stay_one_short_line():
    rows = "text,label\n" + "".join(f"row {at},class number {at % 77}\n" for at in range(300))
    found = facts(read({"train.csv": rows, "test.csv": rows.partition("row 40")[0]}))

    assert found["classes, training rows"].endswith(" (4), and 65 more")
    assert found["classes without test rows"].endswith(", and 25 more")
    assert all(len(told) < 400 for told in found.values())
