"""Read the phrase banks: what a slot can be filled with, by polarity and by grammatical number.

A bank is a list, or lists under these keys:

    NAME: [a, b]                                  neutral
    NAME: {singular: [...], plural: [...]}        neutral, and its choice decides the number of the clause
    NAME: {either: [...], positive: [...], negative: [...]}

An entry is a line of tokens: words, `singular/plural` pairs and slots (`ADJ`, `-ADJ`, `ACT.base`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stages.foundation.errors import StudyError
from stages.foundation.files import read_yaml

HALVES = {"train": ("train_words.yaml", "train_frames.yaml"), "test": ("test_words.yaml", "test_frames.yaml")}
SHARED = "shared.yaml"
WORDS = "words"  # key of the words both halves may use

NEUTRAL = {"singular", "plural"}
POLAR = {"either", "positive", "negative"}
SLOT = re.compile(r"(-?)([A-Z][A-Z_]*)(\.base)?")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place another bank fills."""

    bank: str
    opposite: bool  # of the frame's own polarity
    base: bool  # the first word takes its plural form, which is the bare verb


Token = str | tuple[str, str] | Slot  # a word, its singular and plural forms, or a slot


@dataclass(frozen=True, slots=True)
class Frame:
    """One entry of a bank; an entry without slots is a plain phrase."""

    text: str  # as the file has it
    tokens: tuple[Token, ...]
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Bank:
    """Everything that can fill a slot of one name."""

    frames: dict[str, list[Frame]]  # "" or a number or a polarity -> entries
    is_polar: bool
    is_numbered: bool

    def choices(self, *, positive: bool, plural: bool) -> list[Frame]:
        """The entries that fit; a bank without plural entries answers with its singular ones."""
        if self.is_polar:
            return self.frames["positive" if positive else "negative"]
        if self.is_numbered:
            return self.frames["plural" if plural and "plural" in self.frames else "singular"]
        return self.frames[""]


Banks = dict[str, Bank]


def read_banks(folder: Path) -> tuple[Banks, Banks]:
    """Return the banks of the training and the test half, which share no word but those of shared.yaml."""
    shared = read_yaml(folder / SHARED)
    common = {frame.text for frame in _parse_entries(f"{folder / SHARED}: {WORDS}", shared.pop(WORDS, None))}
    shared_banks = _parse_file(folder / SHARED, shared)
    halves: dict[str, Banks] = {}
    for half, names in HALVES.items():
        halves[half] = dict(shared_banks)
        for name in names:
            halves[half] |= _parse_file(folder / name, read_yaml(folder / name))
        _check_slots(folder, half, halves[half])
    _check_apart(folder, halves["train"], halves["test"], common=common, shared=shared_banks)
    return halves["train"], halves["test"]


def vocabulary(banks: Banks) -> set[str]:
    """Every word in the banks, slots aside."""
    words: set[str] = set()
    for frame in all_frames(banks):
        for token in frame.tokens:
            if isinstance(token, str):
                words.add(token)
            elif isinstance(token, tuple):
                words.update(token)
    return words


def all_frames(banks: Banks) -> Iterable[Frame]:
    """Every entry of every bank."""
    return (frame for bank in banks.values() for frames in bank.frames.values() for frame in frames)


def _parse_file(path: Path, content: dict[str, object]) -> Banks:
    return {name: _parse_bank(f"{path}: {name}", value) for name, value in content.items()}


def _parse_bank(where: str, value: object) -> Bank:
    if not SLOT.fullmatch(where.rpartition(" ")[2]):
        raise StudyError(f"{where}: a bank's name is written in capitals")
    if isinstance(value, list):
        return Bank({"": _parse_entries(where, value)}, is_polar=False, is_numbered=False)
    if not isinstance(value, dict) or not value or not (set(value) <= POLAR or set(value) <= NEUTRAL):
        raise StudyError(f"{where}: must be a list, or lists under {sorted(NEUTRAL)} or under {sorted(POLAR)}")
    lists = {key: _parse_entries(f"{where}.{key}", entries) for key, entries in value.items()}
    if set(lists) <= NEUTRAL:
        return Bank(lists, is_polar=False, is_numbered=True)
    either = lists.get("either", [])
    polar = {key: either + lists.get(key, []) for key in ("positive", "negative")}
    if not all(polar.values()):
        raise StudyError(f"{where}: has no entry for one of the polarities")
    return Bank(polar, is_polar=True, is_numbered=False)


def _parse_entries(where: str, entries: object) -> list[Frame]:
    if not isinstance(entries, list) or not entries:
        raise StudyError(f"{where}: must be a list with at least one entry")
    for entry in entries:
        if not isinstance(entry, str) or not entry.strip():
            raise StudyError(f"{where}: must hold text only, found {entry!r}")
    return [_parse_entry(where, entry) for entry in entries]


def _parse_entry(where: str, entry: str) -> Frame:
    tokens = tuple(_parse_token(f"{where}: {entry!r}", word) for word in entry.split())
    return Frame(entry, tokens, tuple(token for token in tokens if isinstance(token, Slot)))


def _parse_token(where: str, word: str) -> Token:
    if match := SLOT.fullmatch(word):
        return Slot(match[2], opposite=bool(match[1]), base=bool(match[3]))
    if word != word.lower():
        raise StudyError(f"{where}: {word!r} is neither a slot nor lower-cased")
    if "/" in word:
        singular, _, plural = word.partition("/")
        return singular, plural
    return word


def _check_slots(folder: Path, half: str, banks: Banks) -> None:
    for frame in all_frames(banks):
        for slot in frame.slots:
            if slot.bank not in banks:
                raise StudyError(f"{folder}: {half} frame {frame.text!r} needs a bank {slot.bank}, which is missing")
            if slot.opposite and not banks[slot.bank].is_polar:
                raise StudyError(f"{folder}: {half} frame {frame.text!r} turns {slot.bank}, which has no polarity")
    if "SENTENCE" not in banks:
        raise StudyError(f"{folder}: the {half} banks have no bank SENTENCE")


def _check_apart(folder: Path, train: Banks, test: Banks, *, common: set[str], shared: Banks) -> None:
    """Refuse halves that share a word or a worded frame: the test would not measure transfer."""
    words = (vocabulary(train) & vocabulary(test)) - common - vocabulary(shared)
    if words:
        raise StudyError(f"{folder}: training and test banks share words: {', '.join(sorted(words))}")
    frames = (_worded_frames(train) & _worded_frames(test)) - _worded_frames(shared)
    if frames:
        raise StudyError(f"{folder}: training and test banks share frames: {'; '.join(sorted(frames))}")


def _worded_frames(banks: Banks) -> set[str]:
    """Frames with words of their own; a bare `ADV ADJ` is English and nobody's."""
    return {
        frame.text
        for frame in all_frames(banks)
        if frame.slots and not all(isinstance(token, Slot) or token == "," for token in frame.tokens)
    }
