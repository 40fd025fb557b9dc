"""Text with separators: which separator it is, what a quotation mark means, and the records."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from stages.corpus.sources.settings import SEPARATORS, FilesSettings
from stages.corpus.sources.table import NUMBER
from stages.foundation.errors import StudyError

NAMES = {separator: name for name, separator in SEPARATORS.items()}
RECORDS_LOOKED_AT = 1000  # of a file without a header
LONGEST_VALUE = 2**31 - 1  # characters; the csv module's own limit is 131,072
EXCEL_LINE = re.compile(r"sep=(.)[ \t]*(?=[\r\n])")  # above the header, where Excel looks for it
QUOTED_VALUE = re.compile(r'(?<![^\t\n])"((?:[^"]|"")*+)"(?![^\t\n])')  # a whole value in quotation marks

Record = tuple[int, list[str]]  # first line, values


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How values stand in a file."""

    separator: str
    quoted: bool  # as RFC 4180 says: in quotation marks a value may hold anything; else a mark means nothing
    spaced: bool = False  # blanks between a separator and a quotation mark belong to neither

    def told(self, text: str) -> str:
        """The layout in words."""
        words = f"{NAMES.get(self.separator, self.separator)}-separated"
        if '"' not in text or (self.quoted and self.separator != "\t"):
            return words
        return words + (", values in quotation marks" if self.quoted else ", quotation marks kept as part of the texts")


def find_layout(text: str, path: Path, settings: FilesSettings) -> Layout:
    """Find what dataset.yaml leaves open.

    Args:
        text: The file's content.
        path: Its name; the ending says which separator to expect.
        settings: May give separator and quoting; its columns or its label tell which separator fits.

    Raises:
        StudyError: If more than one separator fits.
    """
    said = EXCEL_LINE.match(text)
    text = without_excel_line(text)
    own = "\t" if ".tsv" in path.name.casefold() else ","
    candidates = [own, *(separator for separator in NAMES if separator != own)]
    if settings.delimiter is not None:
        return _layout(text, settings.delimiter, settings)
    if said:
        return _layout(text, said[1], settings)
    if settings.columns is not None:
        fitting = [
            separator
            for separator in candidates
            if _fits(text, path, _layout(text, separator, settings), len(settings.columns))
        ]
    else:
        fitting = _splitting_header(text, candidates, settings.label)
    if len(fitting) > 1:
        readings = " or ".join(f"`separator: {NAMES[separator]}`" for separator in fitting)
        raise StudyError(f"{path} can be read with more than one separator; say in dataset.yaml {readings}")
    return _layout(text, fitting[0] if fitting else own, settings)


def without_excel_line(text: str) -> str:
    """The text without a first line such as `sep=;`; the others keep their numbers."""
    said = EXCEL_LINE.match(text)
    return text[said.end() :] if said else text


def records(text: str, path: Path, layout: Layout) -> Iterator[Record]:
    """The rows of the file, a header among them, without empty lines.

    Raises:
        StudyError: If the quotation marks do not go together; names the line.
    """
    text = without_excel_line(text)
    if not layout.quoted:
        return ((number, line.split(layout.separator)) for number, line in lines(text))
    return _quoted_records(text, path, layout)


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, with their numbers."""
    return ((number, line) for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1) if line)


def _quoted_records(text: str, path: Path, layout: Layout) -> Iterator[Record]:
    """RFC 4180: a value in quotation marks may hold separators, doubled quotation marks and line ends."""
    csv.field_size_limit(LONGEST_VALUE)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=layout.separator, skipinitialspace=layout.spaced, strict=True
    )
    start = 1
    try:
        for values in reader:
            if values:
                yield start, values
            start = reader.line_num + 1
    except csv.Error as error:
        raise StudyError(f"{path}, line {start} is not valid CSV: {error}") from None


def _layout(text: str, separator: str, settings: FilesSettings) -> Layout:
    """Between tabs a quotation mark means nothing, as in GLUE, unless the whole file is quoted."""
    quoted = settings.quoting == "csv" or (settings.quoting is None and (separator != "\t" or _is_quoted(text)))
    return Layout(separator=separator, quoted=quoted, spaced=quoted and _is_spaced(text, separator))


def _is_spaced(text: str, separator: str) -> bool:
    """Whether values in quotation marks stand behind blanks, as in `good, "so far, so good"`, and all rows fit then."""
    beside = re.escape(separator)
    if separator.isspace() or not re.search(f'{beside} +"', text):
        return False
    rest = re.sub(f'(?<![^{beside}\r\n])"(?:[^"]|"")*+"(?![^{beside}\r\n])', "", text)  # what stands as it should
    if not re.search(f'{beside} +"', rest):
        return False
    layout = Layout(separator=separator, quoted=True, spaced=True)
    try:
        return len({len(values) for _, values in _quoted_records(text, Path(), layout)}) == 1
    except StudyError:
        return False


def _is_quoted(text: str) -> bool:
    """Whether all quotation marks of a file with tabs are those of a program that quotes values, such as pandas.

    Each then encloses a whole value or is doubled inside of one. A few texts may look so by chance; so one of them
    must show it: marks doubled inside, all values quoted but numbers, all names of the header, or rows that no longer
    fit without.
    """
    if '"' not in text:
        return False
    text = text.replace("\r\n", "\n")
    values, rest = QUOTED_VALUE.findall(text), QUOTED_VALUE.sub("", text)
    if not values or '"' in rest:
        return False
    if any('""' in value for value in values):
        return True
    if all(NUMBER.fullmatch(value) for value in re.split(r"[\t\n]", rest) if value):
        return True
    header = rest.lstrip("\n").partition("\n")[0]
    if header and not header.strip("\t"):
        return True
    return len({line.count("\t") for _, line in lines(text)}) > 1


def _splitting_header(text: str, candidates: list[str], label: str) -> list[str]:
    """The separators that part the header into columns; the one that gives a column of labels before others.

    The first candidate is the one that the file's ending promises. Where more than one is left, nothing tells.
    """
    header = next((line for line in re.split("[\r\n]", text) if line), "")
    csv.field_size_limit(LONGEST_VALUE)
    names = {separator: next(csv.reader([header], delimiter=separator), []) for separator in candidates}
    parting = [separator for separator in candidates if len(names[separator]) > 1]
    wanted = label.strip().casefold()
    labelled = [separator for separator in parting if wanted in (name.strip().casefold() for name in names[separator])]
    best = labelled or parting
    return best[:1] if candidates[0] in best else best


def _fits(text: str, path: Path, layout: Layout, num_columns: int) -> bool:
    """Whether the file's first records have as many values as there are columns."""
    try:
        found = islice(records(text, path, layout), RECORDS_LOOKED_AT)
        return all(len(values) == num_columns for _, values in found)
    except StudyError:
        return False
