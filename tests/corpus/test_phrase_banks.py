"""The files of words and frames: what those of the repository promise, and which faults are named."""

import re
import shutil

import pytest
from ruamel.yaml import YAML

from stages.corpus.sources.phrase_banks import all_frames, read_banks, vocabulary
from stages.foundation.errors import StudyError
from tests.corpus.making import REVIEWS, write_small_banks

VERDICTS = ("ADJ", "NOUN", "QUALITY", "MANNER", "ACT", "MOOD", "FIGURE")


def entries(banks, name):
    return {frame.text for frames in banks[name].frames.values() for frame in frames}


@pytest.fixture
def small_banks(tmp_path):
    return write_small_banks(tmp_path)


def test_test_words_and_frames_never_occur_in_training():
    shared = YAML(typ="safe").load(REVIEWS / "shared.yaml")
    common = {*shared["words"], *shared["FILM"], *shared["WHOLE"]["singular"]}
    train_banks, test_banks = read_banks(REVIEWS)
    assert vocabulary(train_banks) & vocabulary(test_banks) <= common | {"the", "this", "whole", "it"}

    def worded(banks):
        return {frame.text for frame in all_frames(banks) if frame.slots and re.search(r"[a-z]", frame.text)}

    assert worded(train_banks) & worded(test_banks) <= common


def test_the_words_both_halves_share_carry_no_verdict():
    train_banks, test_banks = read_banks(REVIEWS)
    for name in VERDICTS:
        assert not entries(train_banks, name) & entries(test_banks, name)


def test_no_word_is_both_praise_and_blame():
    for banks in read_banks(REVIEWS):
        for name in VERDICTS:
            frames = banks[name].frames
            assert not {f.text for f in frames["positive"]} & {f.text for f in frames["negative"]}


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
