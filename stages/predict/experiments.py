"""What an experiment left: copied from its commit and from DVC's cache, by its name."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from stages.foundation.cache import require_intact
from stages.foundation.errors import StudyError


@contextmanager
def fetched(experiment: str, needed: Sequence[Path], *, perhaps: Sequence[Path] = ()) -> Iterator[Path]:
    """A folder with what an experiment, a commit, a branch or a tag left, laid out as in the workspace.

    Args:
        experiment: Its name.
        needed: Files and folders.
        perhaps: Those that may not be there.

    Raises:
        StudyError: If there is no such experiment, or what is needed of it is no longer kept, or damaged.
    """
    from dvc.api import DVCFileSystem  # a second to import, which other ways to a model can do without
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError

    with TemporaryDirectory(prefix="experiment-") as temporary:
        place = Path(temporary)
        try:
            system = DVCFileSystem(".", rev=experiment)
            there = [path for path in perhaps if system.exists(path.as_posix())]
            for path in (*needed, *there):
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                system.get(path.as_posix(), str(place / path), recursive=True)
            for file in (one for one in place.rglob("*") if one.is_file()):
                name = file.relative_to(place).as_posix()
                require_intact(file.read_bytes(), system.info(name).get("md5"), f"{name} of {experiment}")
        except (FileNotFoundError, DataIndexDirError) as error:
            raise StudyError(
                f"the cache no longer holds all of {experiment} ({_line(error)}): `dvc pull` fetches it from a remote, "
                "or run the experiment again"
            ) from None
        except DvcException as error:
            raise StudyError(
                f"no experiment, branch or commit is called {experiment}; `dvc exp list -A` names experiments (of "
                f"several of one name, give the commit): {_line(error)}"
            ) from None
        yield place


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
