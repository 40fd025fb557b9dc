"""A folder onto the Hugging Face Hub, as one commit, or one line that says why not.

The token is the one of `hf auth login` or HF_TOKEN; huggingface_hub sends it, and nothing here reads or prints it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, constants, is_offline_mode
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils.tqdm import disable_progress_bars

from stages.foundation.errors import StudyError
from stages.hub.snapshot import innermost_reason


def push_folder(folder: Path, repo: str, *, private: bool) -> str:
    """Upload every file of a folder to a model repository, which is made where there is none.

    Args:
        folder: Holds README.md with the card's metadata, which the Hub checks before anything is uploaded.
        repo: `owner/name`.
        private: Of a repository that is made; one that is there stays as it is.

    Returns:
        The address of the commit.

    Raises:
        StudyError: One line: offline, not reachable, not allowed, or refused by the Hub.
    """
    if is_offline_mode():
        raise StudyError("HF_HUB_OFFLINE forbids the network, which a push needs")
    with _one_clear_line(repo), nullcontext() if sys.stderr.isatty() else disable_progress_bars():
        api = HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        return str(
            api.upload_folder(repo_id=repo, folder_path=folder, commit_message="A trained classifier").commit_url
        )


@contextmanager
def _one_clear_line(repo: str) -> Iterator[None]:
    hub = f"the Hugging Face Hub at {constants.ENDPOINT}"
    try:
        yield
    except HFValidationError as error:
        raise StudyError(f"{repo} is not the id of a Hub model, which reads owner/name") from error
    except HfHubHTTPError as error:
        raise StudyError(f"{hub} {_refusal(error.response.status_code, repo)}") from error
    except httpx2.HTTPError as error:
        raise StudyError(f"{hub} could not be reached for {repo} ({innermost_reason(error)})") from error
    except ValueError as error:  # metadata that it refuses, or an answer that is none
        raise StudyError(f"{hub} refused {repo}: {' '.join(str(error).split())}") from error


def _refusal(status: int, repo: str) -> str:
    if status in (401, 403):
        return f"lets nobody write to {repo} without leave (answer {status}): `hf auth login` with a token that may"
    return f"answered {status} for {repo}; nothing was committed"
