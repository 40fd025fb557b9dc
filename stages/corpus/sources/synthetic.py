"""Write film reviews from banks of words and frames, made the way SST-2 is made.

A frame such as `the PART is/are hardly -ADJ` has slots in capitals. A slot takes the polarity of its frame, or with
`-` the opposite one, and is filled from the bank of its name, often by another frame. So each part of a sentence
knows its own label, and training rows are sentences together with the labelled parts they contain:

    the jokes are hardly dull , but it drags .      negative
    the jokes are hardly dull                       positive
    are hardly dull                                 positive
    hardly dull                                     positive
    dull                                            negative
    it drags                                        negative

Test rows are whole sentences, from other frames with other words.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stages.corpus.sources.phrase_banks import Banks, Frame, Slot, read_banks
from stages.foundation.errors import StudyError

PLURAL_SHARE = 0.35  # of the subjects that can be either
MAX_REDRAWS = 8  # of a phrase the sentence already has, before it may stand twice
MAX_FRUITLESS = 2_000  # sentences in a row that bring nothing new, before the banks count as too small
VOWEL_SOUND = re.compile(r"(?!uni|use|usu|eu|one|once)[aeiou]|hour|honest|honour|heir")

Row = tuple[str, int]  # text, class index: 0 negative, 1 positive


def generate(folder: Path, *, seed: int, train_rows: int, test_rows: int) -> tuple[list[Row], list[Row]]:
    """Return (train, test): half of each positive, no text twice. Equal arguments make equal rows."""
    train_banks, test_banks = read_banks(folder)
    train_generator, test_generator = np.random.default_rng(seed).spawn(2)
    train = _collect(Writer(train_banks, train_generator), train_rows, whole_sentences=False)
    test = _collect(Writer(test_banks, test_generator), test_rows, whole_sentences=True)
    return train, test


def _collect(writer: "Writer", num_rows: int, *, whole_sentences: bool) -> list[Row]:
    """Write sentences until each class has half of the rows."""
    quota = num_rows // 2
    labels: dict[str, int] = {}
    contradicted: set[str] = set()  # texts that came with both labels
    counts = [0, 0]
    fruitless = 0
    while min(counts) < quota:
        before = len(labels)
        parts = writer.sentence(label=int(counts[1] < counts[0]))
        for text, label in parts[-1:] if whole_sentences else parts:
            if text in labels and labels[text] != label:
                counts[labels.pop(text)] -= 1
                contradicted.add(text)
            elif text not in labels and text not in contradicted and counts[label] < quota:
                labels[text] = label
                counts[label] += 1
        fruitless = 0 if len(labels) > before else fruitless + 1
        if fruitless > MAX_FRUITLESS:
            raise StudyError(f"the phrase banks are too small for {num_rows:,} distinct rows")
    return list(labels.items())


@dataclass(slots=True)
class Writer:
    """Writes sentences from the banks of one half."""

    banks: Banks
    generator: np.random.Generator
    used: set[str] = field(default_factory=set)  # plain phrases of the sentence being written

    def sentence(self, label: int) -> list[Row]:
        """Write one sentence and return its labelled parts, the sentence itself last."""
        self.used.clear()
        parts: list[Row] = []
        self._fill(Slot("SENTENCE", opposite=False, base=False), positive=bool(label), plural=False, parts=parts)
        return parts

    def _fill(self, slot: Slot, *, positive: bool, plural: bool, parts: list[Row]) -> list[str]:
        """Write one slot as words; add the text to the labelled parts, after the parts it contains."""
        bank = self.banks[slot.bank]
        positive = positive != slot.opposite
        frame = self._choose(bank.choices(positive=positive, plural=plural))
        if not bank.is_numbered:
            plural = self._number(frame, plural=plural)
        words: list[str] = []
        for token in frame.tokens:
            if isinstance(token, Slot):
                words += self._fill(token, positive=positive, plural=plural, parts=parts)
            elif isinstance(token, tuple):
                words.append(token[plural or (slot.base and not words)])
            else:
                words.append(token)
        _choose_articles(words)
        if bank.is_polar:
            parts.append((" ".join(words), int(positive)))
        return words

    def _choose(self, frames: list[Frame]) -> Frame:
        """Draw a frame, and redraw a plain phrase which the sentence already has."""
        for _ in range(MAX_REDRAWS):
            frame = frames[int(self.generator.random() * len(frames))]
            if frame.text not in self.used:
                break
        if not frame.slots:
            self.used.add(frame.text)
        return frame

    def _number(self, frame: Frame, *, plural: bool) -> bool:
        """A frame with a subject of its own draws a number; any other keeps that of the frame around it."""
        subjects = [self.banks[slot.bank] for slot in frame.slots if self.banks[slot.bank].is_numbered]
        if not subjects:
            return plural
        if not all("plural" in subject.frames for subject in subjects):
            return False
        return bool(self.generator.random() < PLURAL_SHARE)


def _choose_articles(words: list[str]) -> None:
    """Turn `a` into `an` where the next word asks for it, and back."""
    for place in range(len(words) - 1):
        if words[place] in ("a", "an"):
            words[place] = "an" if VOWEL_SOUND.match(words[place + 1]) else "a"
