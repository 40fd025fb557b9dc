"""Reviews that are put together: the data set as it is configured, and the writer."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from stages.corpus.sources.phrase_banks import read_banks
from stages.corpus.sources.settings import read_settings
from stages.corpus.sources.synthetic import Writer, generate
from stages.foundation.errors import StudyError
from tests.corpus.making import REPOSITORY, REVIEWS, write_small_banks

FEW = {"seed": 5, "train_rows": 3_000, "test_rows": 400}


@pytest.fixture(scope="module")
def rows():
    wanted = read_settings(REVIEWS)
    return generate(REVIEWS, seed=wanted.seed, train_rows=wanted.train_rows, test_rows=wanted.test_rows)


@pytest.fixture(scope="module")
def train(rows):
    return rows[0]


@pytest.fixture(scope="module")
def test(rows):
    return rows[1]


@pytest.fixture
def generator():
    return np.random.default_rng(0)


@pytest.fixture
def small_banks(tmp_path):
    return write_small_banks(tmp_path)


def test_the_data_set_has_at_least_sixty_thousand_training_and_a_thousand_test_rows(train, test):
    assert len(train) >= 60_000
    assert len(test) >= 1_000


def test_no_text_occurs_twice(train, test):
    texts = [text for text, _ in train + test]
    assert len(set(texts)) == len(texts)


def test_half_of_each_split_is_positive(train, test):
    for split in (train, test):
        assert Counter(label for _, label in split) == {0: len(split) // 2, 1: len(split) // 2}


def test_training_rows_are_phrases_and_sentences_of_the_lengths_of_sst2(train):
    lengths = sorted(len(text.split()) for text, _ in train)
    assert 8 <= sum(lengths) / len(lengths) <= 11
    assert 0.2 <= sum(length <= 3 for length in lengths) / len(lengths) <= 0.35
    assert lengths[0] == 1


def test_most_training_rows_are_contiguous_parts_of_another(train):
    sentences = [text for text, _ in train if text.endswith(" .")]
    whole = "\n".join(f" {text} " for text in sentences)
    phrases = [text for text, _ in train if not text.endswith(" .")][::50]
    inside = sum(f" {text} " in whole for text in phrases)
    assert inside > 0.95 * len(phrases)


def test_test_rows_are_whole_sentences(test):
    lengths = [len(text.split()) for text, _ in test]
    assert 16 <= sum(lengths) / len(lengths) <= 22
    assert all(text.endswith((" .", " ?", " !")) for text, _ in test)


def test_text_is_lower_cased_and_tokenised_like_sst2(train, test):
    word = re.compile(r"[^\W_]+(-[^\W_]+)*|n't|'(s|re|ll|ve|d)|[,.;!?]|--|\.\.\.")
    for text, _ in train + test:
        assert text == text.lower()
        assert all(word.fullmatch(token) for token in text.split(" ")), text


def test_articles_agree_with_the_word_they_stand_before(train, test):
    for text, _ in train + test:
        assert not re.search(r"\ba [aeio]|\ban [bcdfgjklmnpqrstvwxyz]", text.replace("a one-", "")), text


def test_negation_turns_a_word_around(train):
    labels = dict(train)
    for negation in ("not", "hardly", "far from", "anything but"):
        pairs = [
            (labels[text], labels[text.removeprefix(f"{negation} ")])
            for text in labels
            if text.startswith(f"{negation} ") and text.removeprefix(f"{negation} ") in labels
        ]
        assert len(pairs) > 10
        assert all(whole != part for whole, part in pairs)


def test_the_clause_after_but_decides(train):
    labels = dict(train)
    halves = [(label, text.removesuffix(" .").split(" , but ")) for text, label in train if text.count(" , but ") == 1]
    known = [(label, labels[after]) for label, (_, after) in halves if after in labels]
    assert len(known) > 200
    assert sum(whole == after for whole, after in known) > 0.99 * len(known)


def test_counting_words_of_praise_and_blame_is_far_from_enough(test):
    _, banks = read_banks(REVIEWS)
    score = {}
    for name in ("ADJ", "NOUN", "QUALITY", "MANNER", "MOOD"):
        for sense, sign in (("positive", 1), ("negative", -1)):
            score |= {frame.text: sign for frame in banks[name].frames[sense]}
    totals = [(sum(score.get(word, 0) for word in text.split()), label) for text, label in test]
    right = sum(0.5 if total == 0 else (total > 0) == label for total, label in totals)
    assert 0.6 < right / len(test) < 0.8


def test_equal_arguments_make_equal_rows_in_another_process_with_another_hash_seed():
    expected = hashlib.sha256(repr(generate(REVIEWS, **FEW)).encode()).hexdigest()
    program = (
        "import hashlib; from pathlib import Path; from stages.corpus.sources.synthetic import generate;"
        f"print(hashlib.sha256(repr(generate(Path({str(REVIEWS)!r}), **{FEW!r})).encode()).hexdigest())"
    )
    for hash_seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=REPOSITORY, env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert run.stdout.strip() == expected


def test_another_seed_makes_other_rows():
    assert generate(REVIEWS, **FEW) != generate(REVIEWS, **FEW | {"seed": 6})


def test_more_rows_begin_with_the_same_sentences():
    few, _ = generate(REVIEWS, **FEW)
    more, _ = generate(REVIEWS, **FEW | {"train_rows": 4_000})
    assert few[:1_000] == more[:1_000]


def test_every_labelled_part_is_a_contiguous_part_of_its_sentence(generator):
    banks, _ = read_banks(REVIEWS)
    writer = Writer(banks, generator)
    for label in [0, 1] * 100:
        *parts, (sentence, sentence_label) = writer.sentence(label)
        assert sentence_label == label
        assert all(f" {part} " in f" {sentence} " for part, _ in parts)


def test_a_sentence_follows_its_frame(small_banks, generator):
    banks, _ = read_banks(small_banks)
    writer = Writer(banks, generator)
    written = {tuple(writer.sentence(1)) for _ in range(50)}
    assert written == {
        (("dull", 0), ("the plot is not dull .", 1)),
        (("dull", 0), ("the jokes are not dull .", 1)),
    }


def test_too_small_banks_are_refused(small_banks):
    with pytest.raises(StudyError, match="too small for 1,000 distinct rows"):
        generate(small_banks, seed=0, train_rows=1_000, test_rows=2)


def test_a_text_that_came_with_both_labels_is_left_out_for_good(small_banks, monkeypatch):
    script = iter([("either", 0), ("either", 1), ("either", 0), ("dull", 0), ("good", 1), ("odd", 0), ("apt", 1)])
    monkeypatch.setattr(Writer, "sentence", lambda *_, **__: [next(script)])

    train, test = generate(small_banks, seed=0, train_rows=2, test_rows=2)

    assert (train, test) == ([("dull", 0), ("good", 1)], [("odd", 0), ("apt", 1)])


def test_training_rows_are_all_parts_of_a_sentence_and_test_rows_the_whole_ones(small_banks):
    train, test = generate(small_banks, seed=0, train_rows=4, test_rows=2)

    assert {text for text, _ in train} <= {"good", "dull"} | {
        f"the {part} {word} ." for part in ("plot is not", "jokes are not") for word in ("good", "dull")
    }
    assert {"good", "dull"} & {text for text, _ in train}
    assert sorted(test) == [("what an apt film .", 1), ("what an odd film .", 0)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a apt film", "an apt film"),
        ("an good film", "a good film"),
        ("a hour of a unique one", "an hour of a unique one"),
        ("what a", "what a"),
    ],
)
def test_an_article_agrees_with_the_word_behind_it(small_banks, generator, words, expected):
    (small_banks / "shared.yaml").write_text(f"words: [is, not, '.', {', '.join(words.split())}, an]\n")
    (small_banks / "train_frames.yaml").write_text(f"SENTENCE: {{either: [{words}]}}\n")
    banks, _ = read_banks(small_banks)

    assert Writer(banks, generator).sentence(1) == [(expected, 1)]
