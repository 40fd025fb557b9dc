"""What DVC keeps against what it says of it: the cache's objects by their names, outputs by dvc.lock.

    python -m stages.foundation.cache     hashes every object of the cache again and removes those that are damaged

DVC believes an object that is write-protected, as all of them are, whatever became of its bytes (treeverse/dvc#5978),
and restores it as if it were sound. What is removed here comes back by the command that made it, which DVC runs again
since it misses it, or by `dvc pull`.
"""

import hashlib
import json
import re
import subprocess
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path

from stages.foundation.errors import StudyError, can_be_mended, one_line
from stages.foundation.files import read_yaml
from stages.foundation.log import say

LOCK = Path("dvc.lock")
OBJECT = re.compile(r"([0-9a-f]{2})/([0-9a-f]{30})(\.dir)?")  # below files/md5 of the cache
COMMAND = "python -m stages.foundation.cache"


def require_as_recorded(inputs: Sequence[Path], *, is_copy: bool) -> None:
    """Refuse outputs of earlier stages that are not what dvc.lock says: DVC restores a damaged object as it is.

    Args:
        inputs: What a stage depends on; only what another stage wrote is looked at, and as a whole.
        is_copy: Whether this is DVC's copy of the workspace.

    Raises:
        StudyError: If one is another; says what brings the right one.
    """
    for path, digest in _recorded().items():
        if not any(given == path or path in given.parents for given in inputs):
            continue
        if path.exists() and md5_of(path) != digest:
            first = "" if is_copy else f"rm -r {path} && "
            raise StudyError(
                f"{path} is not what {LOCK} says that its stage wrote, so DVC's cache may be damaged: "
                f"`{first}{COMMAND}`, then give the same command again"
            )


def require_intact(content: bytes, md5: str | None, what: str) -> None:
    """Refuse bytes out of DVC's cache that are not those that were put there.

    Args:
        content: What was read.
        md5: Of what was put there, 32 hexadecimal digits; None: nobody knows.
        what: Names it, for the complaint.

    Raises:
        StudyError: If they are others.
    """
    if md5 is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise StudyError(f"{what} is damaged in DVC's cache: `{COMMAND}`, then give the same command again")


def md5_of(path: Path) -> str:
    """DVC's hash of a file, or of a folder: that of the list of its files' hashes, and `.dir`."""
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "md5").hexdigest()
    files = {file.relative_to(path).as_posix(): md5_of(file) for file in path.rglob("*") if file.is_file()}
    listed = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return f"{hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest()}.dir"


def damaged_objects(cache: Path) -> list[Path]:
    """The objects of a cache whose bytes are not those that their names tell."""
    objects = cache / "files/md5"
    found = [
        (file, match[1] + match[2])
        for file in sorted(objects.glob("*/*"))
        if (match := OBJECT.fullmatch(file.relative_to(objects).as_posix()))
    ]
    return [file for file, digest in found if md5_of(file) != digest]


def _recorded() -> dict[Path, str]:
    """The hash of each output that DVC wrote down."""
    if not LOCK.is_file():
        return {}
    outs = [out for stage in read_yaml(LOCK).get("stages", {}).values() for out in stage.get("outs", [])]
    return {Path(out["path"]): out["md5"] for out in outs if out.get("hash") == "md5"}


def _cache() -> Path:
    asked = subprocess.run([sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise StudyError(f"DVC does not say where its cache is: {' '.join(asked.stderr.split())}")
    return Path(asked.stdout.strip())


def main() -> None:
    """Hash all objects, remove those that are damaged, and tell."""
    ArgumentParser(COMMAND, description=__doc__, formatter_class=RawDescriptionHelpFormatter).parse_args()
    cache = _cache()
    damaged = damaged_objects(cache)
    for file in damaged:
        file.unlink()
        say(f"removed {file}: its bytes are not those that were put there")
    say(
        f"{len(damaged)} damaged objects in {cache}"
        + ("; the same command as before makes them again, or `dvc pull` fetches them" if damaged else "")
    )


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        if not can_be_mended(error):
            raise
        sys.exit(f"cache: {one_line(error)}")
