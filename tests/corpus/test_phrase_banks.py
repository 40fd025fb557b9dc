import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from stages.corpus.sources.phrase_banks import all_frames, read_banks, vocabulary
from stages.corpus.sources.synthetic import Writer, generate
from stages.foundation.errors import StudyError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "data" / "sources" / "reviews"
FEW = {"seed": 5, "train_rows": 3_000, "test_rows": 400}


VERDICTS = ("ADJ", "NOUN", "QUALITY", "MANNER", "ACT", "MOOD", "FIGURE")


def entries(banks, name):
    return {frame.text for frames in banks[name].frames.values() for frame in frames}


@pytest.fixture(scope="module")
def rows():
    settings = YAML(typ="safe").load(FOLDER / "dataset.yaml")
    sizes = {key: settings[key] for key in ("seed", "train_rows", "test_rows")}
    return generate(FOLDER, **sizes)


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
    """A grammar of a few words: what it writes can be checked by hand."""
    files = {
        "shared.yaml": "words: [is, not, '.']\n",
        "train_words.yaml": "ADJ: {positive: [good], negative: [dull]}\nPART: {singular: [plot], plural: [jokes]}\n",
        "train_frames.yaml": "SENTENCE: {either: [the PART is/are not -ADJ .]}\n",
        "test_words.yaml": "ADJ: {positive: [apt], negative: [odd]}\n",
        "test_frames.yaml": "SENTENCE: {either: [what a ADJ film .]}\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


# ---- the data set as configured -----------------------------------------------------------------


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


def test_test_words_and_frames_never_occur_in_training():
    shared = YAML(typ="safe").load(FOLDER / "shared.yaml")
    common = {*shared["words"], *shared["FILM"], *shared["WHOLE"]["singular"]}
    train_banks, test_banks = read_banks(FOLDER)
    assert vocabulary(train_banks) & vocabulary(test_banks) <= common | {"the", "this", "whole", "it"}

    def worded(banks):
        return {frame.text for frame in all_frames(banks) if frame.slots and re.search(r"[a-z]", frame.text)}

    assert worded(train_banks) & worded(test_banks) <= common


def test_the_words_both_halves_share_carry_no_verdict():
    train_banks, test_banks = read_banks(FOLDER)
    for name in VERDICTS:
        assert not entries(train_banks, name) & entries(test_banks, name)


def test_no_word_is_both_praise_and_blame():
    for banks in read_banks(FOLDER):
        for name in VERDICTS:
            frames = banks[name].frames
            assert not {f.text for f in frames["positive"]} & {f.text for f in frames["negative"]}


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
    _, banks = read_banks(FOLDER)
    score = {}
    for name in ("ADJ", "NOUN", "QUALITY", "MANNER", "MOOD"):
        for sense, sign in (("positive", 1), ("negative", -1)):
            score |= {frame.text: sign for frame in banks[name].frames[sense]}
    totals = [(sum(score.get(word, 0) for word in text.split()), label) for text, label in test]
    right = sum(0.5 if total == 0 else (total > 0) == label for total, label in totals)
    assert 0.6 < right / len(test) < 0.8


# ---- the writer ---------------------------------------------------------------------------------


def test_equal_arguments_make_equal_rows_in_another_process_with_another_hash_seed():
    expected = hashlib.sha256(repr(generate(FOLDER, **FEW)).encode()).hexdigest()
    program = (
        "import hashlib; from pathlib import Path; from stages.corpus.sources.synthetic import generate;"
        f"print(hashlib.sha256(repr(generate(Path({str(FOLDER)!r}), **{FEW!r})).encode()).hexdigest())"
    )
    for hash_seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert run.stdout.strip() == expected


def test_another_seed_makes_other_rows():
    assert generate(FOLDER, **FEW) != generate(FOLDER, **FEW | {"seed": 6})


def test_more_rows_begin_with_the_same_sentences():
    few, _ = generate(FOLDER, **FEW)
    more, _ = generate(FOLDER, **FEW | {"train_rows": 4_000})
    assert few[:1_000] == more[:1_000]


def test_every_labelled_part_is_a_contiguous_part_of_its_sentence(generator):
    banks, _ = read_banks(FOLDER)
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


# ---- faults in the files ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shared.yaml", "train_words.yaml", "test_frames.yaml"])
def test_a_missing_bank_is_named(small_banks, name):
    (small_banks / name).unlink()
    with pytest.raises(StudyError, match=rf"{name} is missing"):
        read_banks(small_banks)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ADJ: [", r"train_words.yaml is not valid YAML"),
        ("[good]", r"train_words.yaml must hold keys and values"),
        ("adj: [good]", r"train_words.yaml: adj: a bank's name is written in capitals"),
        ("ADJ: good", r"train_words.yaml: ADJ: must be a list"),
        ("ADJ: {positive: [good]}", r"train_words.yaml: ADJ: has no entry for one of the polarities"),
        ("ADJ: {positive: [good], bad: [dull]}", r"train_words.yaml: ADJ: must be a list, or lists under"),
        ("ADJ: {positive: [good], negative: []}", r"train_words.yaml: ADJ.negative: must be a list with at least"),
        ("ADJ: {positive: [1], negative: [dull]}", r"train_words.yaml: ADJ.positive: must hold text only, found 1"),
        ("ADJ: {positive: [Good], negative: [dull]}", r"ADJ.positive: 'Good': 'Good' is neither a slot nor lower"),
        ("ADJ: {positive: [good], negative: [dull]}", r"needs a bank PART, which is missing"),
        ("ADJ: [good]\nPART: {singular: [plot]}", r"turns ADJ, which has no polarity"),
        ("ADJ: {positive: [apt], negative: [dull]}\nPART: {singular: [plot]}", r"share words: apt"),
    ],
)
def test_a_fault_in_a_bank_is_named(small_banks, text, complaint):
    (small_banks / "train_words.yaml").write_text(text)
    with pytest.raises(StudyError, match=complaint):
        read_banks(small_banks)


def test_a_frame_of_both_halves_is_refused(small_banks):
    shutil.copy(small_banks / "train_frames.yaml", small_banks / "test_frames.yaml")
    (small_banks / "shared.yaml").write_text("words: [the, is, are, not, plot, jokes, '.']\n")
    (small_banks / "test_words.yaml").write_text(
        "ADJ: {positive: [apt], negative: [odd]}\nPART: {singular: [plot], plural: [jokes]}\n"
    )
    with pytest.raises(StudyError, match=r"share frames: the PART is/are not -ADJ \."):
        read_banks(small_banks)


def test_banks_without_sentences_are_refused(small_banks):
    (small_banks / "train_frames.yaml").write_text("PHRASE: {either: [not -ADJ]}\n")
    with pytest.raises(StudyError, match="train banks have no bank SENTENCE"):
        read_banks(small_banks)
