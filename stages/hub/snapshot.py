"""The Hugging Face Hub: one pinned snapshot, from the cache or the network, or one line that says why not.

What huggingface_hub 2.4 does by itself, and why it is held back here: it retries a refused connection for
some twenty seconds, sets no time limit on some requests, and fetches a long file that a proxy cuts at the same
byte hundreds of times, until Python's stack is full. So the Hub is asked once, briefly, which commit is meant;
only when it has answered does the download begin, and that gives up after a few broken attempts.
"""

import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx2
from huggingface_hub import (
    HfApi,
    constants,
    get_cached_repo_tree,
    get_session,
    is_offline_mode,
    snapshot_download,
)
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils.tqdm import disable_progress_bars

from stages.foundation.errors import StudyError

Kind = Literal["model", "dataset"]

NEEDS_NO_NETWORK: dict[Kind, str] = {"model": "`model: minilm`", "dataset": "`dataset: reviews`"}
ANSWER_SECONDS = 5.0  # for the first answer, and for each file's size
STALL_SECONDS = 10.0  # without a byte, where huggingface_hub itself sets no limit
ATTEMPTS = 5  # requests for the same address
COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Some files of a Hub repository as they were at one commit."""

    folder: Path
    commit: str  # 40 hexadecimal digits


def fetch_snapshot(kind: Kind, repo: str, revision: str | None, patterns: Sequence[str]) -> Snapshot:
    """Files of a Hub repository, in the cache that all Hugging Face libraries share.

    A full commit whose files are cached is used without any network access. A branch, a tag or no revision
    at all is asked for each time: an older cached state is never taken in silence.

    Args:
        kind: What the repository holds.
        repo: `owner/name`.
        revision: Commit, tag or branch; None is the main branch.
        patterns: Names of the wanted files, `*` matches anything.

    Raises:
        StudyError: One line: not found, gated, not reachable, broken off, or offline and not cached.
    """
    what = f"{kind} {repo}" + (f" at {revision}" if revision else "")
    with _one_clear_line(kind, what):
        if revision is not None and COMMIT.fullmatch(revision):
            snapshot = _cached(kind, repo, revision, patterns)
            if snapshot is not None:
                return snapshot
        if is_offline_mode():
            raise StudyError(
                f"{what} is not in the cache as a pinned commit, and HF_HUB_OFFLINE forbids the network; "
                f"{NEEDS_NO_NETWORK[kind]} needs none"
            )
        with _no_endless_attempts(what):
            return _download(kind, repo, revision, patterns)


def _cached(kind: Kind, repo: str, commit: str, patterns: Sequence[str]) -> Snapshot | None:
    """The snapshot if the cache holds all of it."""
    try:
        if not is_offline_mode():  # only the list of files can tell whether all are there
            get_cached_repo_tree(repo, repo_type=kind, revision=commit)
        folder = snapshot_download(
            repo, repo_type=kind, revision=commit, allow_patterns=list(patterns), local_files_only=True
        )
    except (CachedRepoTreeNotFoundError, LocalEntryNotFoundError):
        return None
    return Snapshot(folder=Path(folder), commit=commit)


def _download(kind: Kind, repo: str, revision: str | None, patterns: Sequence[str]) -> Snapshot:
    commit = HfApi().repo_info(repo, repo_type=kind, revision=revision, timeout=ANSWER_SECONDS).sha
    with nullcontext() if sys.stderr.isatty() else disable_progress_bars():
        folder = snapshot_download(
            repo,
            repo_type=kind,
            revision=commit,
            allow_patterns=list(patterns),
            etag_timeout=ANSWER_SECONDS,
        )
    return Snapshot(folder=Path(folder), commit=Path(folder).name)


@contextmanager
def _no_endless_attempts(what: str) -> Iterator[None]:
    """Bound the retries and the waiting of huggingface_hub, and keep its retries off the screen."""
    requests: Counter[tuple[str, str]] = Counter()

    def count(request: httpx2.Request) -> None:
        timeouts = request.extensions["timeout"]
        request.extensions["timeout"] = {name: limit or STALL_SECONDS for name, limit in timeouts.items()}
        requests[request.method, str(request.url)] += 1
        if requests[request.method, str(request.url)] > ATTEMPTS:
            raise StudyError(_broken_off(what, f"{ATTEMPTS} attempts at {request.url.path}"))

    hooks = get_session().event_hooks["request"]
    verbosity = hub_logging.get_verbosity()
    hooks.append(count)
    hub_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        hooks.remove(count)
        hub_logging.set_verbosity(verbosity)


@contextmanager
def _one_clear_line(kind: Kind, what: str) -> Iterator[None]:
    """Turn the many ways in which the Hub fails into one line each."""
    hub = f"the Hugging Face Hub at {constants.ENDPOINT}"
    way_out = f"{NEEDS_NO_NETWORK[kind]} needs no network"
    try:
        yield
    except HFValidationError as error:
        raise StudyError(f"{what} is not the id of a Hub {kind}, which reads owner/name") from error
    except GatedRepoError as error:
        raise StudyError(f"{what} is gated: ask for access at {hub}, then run `hf auth login`") from error
    except RevisionNotFoundError as error:
        raise StudyError(f"{hub} has no such revision: {what}") from error
    except HfHubHTTPError as error:
        raise StudyError(f"{hub} {_refusal(error.response.status_code, what)}") from error
    except (httpx2.HTTPError, LocalEntryNotFoundError) as error:
        reason = innermost_reason(error)
        raise StudyError(f"{hub} could not be reached for {what} ({reason}); {way_out}") from error
    except json.JSONDecodeError as error:
        raise StudyError(f"{hub} gave no sensible answer for {what} (a login page?); {way_out}") from error
    except OSError as error:
        if error.errno is not None:  # the disk's fault, not the Hub's
            raise
        raise StudyError(_broken_off(what, innermost_reason(error))) from error


def _refusal(status: int, what: str) -> str:
    if status in (401, 403, 404):
        return f"has no {what} (answer {status}): check the spelling, or `hf auth login` if it is private"
    return f"answered {status} for {what}; try again later"


def _broken_off(what: str, reason: str) -> str:
    return f"{what}: a file arrived cut short and was not kept ({reason}); run again, or check the proxy"


def innermost_reason(error: BaseException) -> str:
    """First line of the innermost cause, e.g. `[Errno 111] Connection refused`."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).splitlines() or [""])[0] or type(error).__name__
