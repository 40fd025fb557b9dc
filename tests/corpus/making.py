"""Small splits and sources, made in one line, and small phrase banks."""

from pathlib import Path

import numpy as np

from stages.corpus.sources.source import Source
from stages.foundation.split import Split

REPOSITORY = Path(__file__).resolve().parents[2]
REVIEWS = REPOSITORY / "data/sources/reviews"


def make_split(rows, label_names=("no", "yes")):
    """A split of (text, class index) pairs."""
    return Split(
        row_ids=np.arange(len(rows)),
        sentences=[text for text, _ in rows],
        labels=np.array([label for _, label in rows], dtype=np.int64),
        label_names=tuple(label_names),
    )


def make_source(
    train,
    test=(("a test", 0),),
    validation=None,
    groups=None,
    validation_groups=None,
    label_names=("no", "yes"),
):
    """A source, with two classes where nothing else is said."""
    return Source(
        train=make_split(train, label_names),
        test=make_split(test),
        validation=None if validation is None else make_split(validation),
        train_groups=None if groups is None else np.array(groups),
        validation_groups=None if validation_groups is None else np.array(validation_groups),
        kind="files",
        revision="",
        synthetic=False,
        test_origin="test.tsv",
    )


def occurs_in(part, whole):
    """The definition, word by word."""
    part, whole = part.casefold().split(), whole.casefold().split()
    return bool(part) and any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))


def write_small_banks(folder):
    """A grammar of a few words: what it writes can be checked by hand."""
    files = {
        "shared.yaml": "words: [is, not, '.']\n",
        "train_words.yaml": "ADJ: {positive: [good], negative: [dull]}\nPART: {singular: [plot], plural: [jokes]}\n",
        "train_frames.yaml": "SENTENCE: {either: [the PART is/are not -ADJ .]}\n",
        "test_words.yaml": "ADJ: {positive: [apt], negative: [odd]}\n",
        "test_frames.yaml": "SENTENCE: {either: [what a ADJ film .]}\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder
