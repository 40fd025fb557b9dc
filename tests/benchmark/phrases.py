"""Synthetic sentences and phrases of them, as many as one likes, nested and as long as SST-2's training rows.

A row has 9.2 words on average, where SST-2's have 9.4.
"""

import random
import zlib
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from stages.foundation.files import write_text

NUM_WORDS = 20_000  # of the vocabulary; the n-th comes 1 / n times as often as the first
SENTENCE_WORDS = (6, 32)  # fewest and most
SMALLEST_SPLIT = 8  # words; a shorter phrase is not cut again, or most rows would be repeated
LONGEST_HEAD = 9  # words of the first part: English branches to the right, so the rest is often long
NUM_TEST_ROWS = 872
HEADER = "sentence\tlabel"


def write_source(folder: Path, num_rows: int) -> None:
    """A data set of one's own: train.tsv of so many rows and dev.tsv."""
    folder.mkdir(parents=True)
    write_text(folder / "dataset.yaml", "label_names: ['0', '1']\n")
    _write_rows(folder / "train.tsv", phrases(seed=0), num_rows)
    _write_rows(folder / "dev.tsv", phrases(seed=1), NUM_TEST_ROWS)


def _write_rows(path: Path, texts: Iterator[str], num_rows: int) -> None:
    """Row by row: the parent's memory counts as its children's, see worker.py."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write(HEADER + "\n")
        for _, text in zip(range(num_rows), texts, strict=False):
            stream.write(f"{text}\t{zlib.crc32(text.encode()) % 2}\n")  # a text always has the same label


def phrases(seed: int) -> Iterator[str]:
    """Sentences without end, each followed by the phrases it is cut into, parts of parts."""
    generator = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(NUM_WORDS)]
    weights = list(accumulate(1 / (number + 1) for number in range(NUM_WORDS)))
    while True:
        length = generator.randint(*SENTENCE_WORDS)
        yield from _cut(generator.choices(vocabulary, cum_weights=weights, k=length), generator)


def _cut(words: list[str], generator: random.Random) -> Iterator[str]:
    """A phrase and all that it is cut into."""
    yield " ".join(words)
    if len(words) >= SMALLEST_SPLIT:
        middle = generator.randint(2, min(LONGEST_HEAD, len(words) - 2))
        yield from _cut(words[:middle], generator)
        yield from _cut(words[middle:], generator)
