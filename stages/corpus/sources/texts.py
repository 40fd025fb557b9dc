"""Which columns hold the texts, and the texts."""

import re

from stages.corpus.sources.table import NUMBER, Table, shortened
from stages.foundation.errors import StudyError

USUAL = ("sentence", "text")  # names that a column of texts has where dataset.yaml names none
PROSE_WORDS = 3  # with letters, in at least half of the values
SENTENCE_WORDS = 5  # likewise
ROWS_PER_VALUE = 20  # at most, on average: what repeats more and is no sentence is a name of something
WORD = re.compile(r"(?<!\S)\S*[^\W\d_]{2}\S*")
UNPARTED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]{2}"
)  # no blanks between words
READINGS_SHOWN = 4


def find_text_columns(table: Table, named: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """The column of the texts, or the two of pairs.

    Args:
        table: The training rows.
        named: What dataset.yaml names, if it does.
        others: Columns that hold something else: labels, and perhaps groups.

    Raises:
        StudyError: If a column is not there, or dataset.yaml names none and not one alone may be meant.
    """
    if named:
        return named
    taken = {table.find(column) for column in others}
    usual = [table.find(column) for column in USUAL if table.has(column)]
    labels = table.first_values(others[0])
    prose = [name for name in _names_once(table) if name not in taken and _is_prose(table.first_values(name), labels)]
    candidates = [name for name in table.frame if name in usual or name in prose]
    if not usual:
        raise StudyError(_none_is_usual(table, prose))
    if len(candidates) > 1:
        pair = [name for name in candidates if _holding(table, name) == "texts"]
        readings = _readings(candidates, pair)
        raise StudyError(f"{_told(table, candidates)}; say in dataset.yaml which to read: {readings}")
    if _holding(table, usual[0]) == "numbers":
        readings = f"`text: {usual[0]}` if these are the texts, or another column"
        raise StudyError(f"{_told(table, candidates)}; say in dataset.yaml which to read: {readings}")
    return (usual[0],)


def read_texts(table: Table, column: str) -> list[str]:
    """A column's texts; what is missing is an empty one.

    Raises:
        StudyError: If a value is no text; names the row.
    """
    texts = ["" if value is None else value for value in table.values(column)]
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise StudyError(f"{table.place(position)}: column {column} must hold texts, found {shortened(repr(text))}")
    return texts


def _names_once(table: Table) -> list[str]:
    """The columns that can be asked for: a name stands for one of them."""
    names = list(table.frame)
    return [name for name in names if isinstance(name, str) and name and names.count(name) == 1]


def _is_prose(values: list[object], labels: list[object]) -> bool:
    """Whether a column looks like texts, not like numbers, dates, names, classes in other words or the like."""
    rows = [
        (value, str(label))
        for value, label in zip(values, labels, strict=True)
        if isinstance(value, str) and value.strip()
    ]
    texts = {value for value, _ in rows}
    words = sorted(_num_words(value) for value, _ in rows)
    usual = words[len(words) // 2] if rows else 0
    if ROWS_PER_VALUE * len(texts) > len(rows):
        return usual >= PROSE_WORDS
    names_classes = len(set(rows)) == len(texts) == len({label for _, label in rows})
    return usual >= SENTENCE_WORDS and len(texts) > 1 and not names_classes


def _num_words(text: str) -> int:
    return max(len(WORD.findall(text)), len(UNPARTED.findall(text)))


def _holding(table: Table, column: str) -> str:
    told = [str(value).strip() for value in table.first_values(column) if value is not None]
    if not any(told):
        return "nothing"
    return "numbers" if all(NUMBER.fullmatch(value) for value in told) else "texts"


def _told(table: Table, candidates: list[str]) -> str:
    """What each of the columns holds."""
    holding = [f"{name} holds {_holding(table, name)}" for name in candidates]
    return f"{table.name}: {', '.join(f'column {told}' for told in holding[:READINGS_SHOWN])}"


def _readings(candidates: list[str], pair: list[str]) -> str:
    """The line of dataset.yaml for each reading."""
    single = " or ".join(f"`text: {name}`" for name in candidates[:READINGS_SHOWN])
    return f"{single}, or both of a pair: `text: [{pair[0]}, {pair[1]}]`" if len(pair) > 1 else single


def _none_is_usual(table: Table, prose: list[str]) -> str:
    readings = _readings(prose, prose) if len(prose) > 1 else f"for instance `text: {(*prose, 'review')[0]}`"
    return (
        f"{table.name} has no column {' or '.join(USUAL)}; it has {table.column_names()}: "
        f"say in dataset.yaml which holds the texts, {readings}"
    )
