"""Small text files, read with a clear complaint and written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.foundation.errors import StudyError


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML 1.2 mapping with the reader that DVC uses, so that both see the same numbers.

    (PyYAML follows YAML 1.1, where `3e-05`, which is how DVC writes a learning rate, is text.)

    Raises:
        StudyError: If the file is missing, is no YAML or no mapping.
    """
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(
            f"{path} is missing in {Path.cwd()}; give the command in the repository's own folder"
        ) from None
    except (YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"{path} is not valid YAML: {reason}") from None
    if not isinstance(content, dict):
        raise StudyError(f"{path} must hold keys and values, found {type(content).__name__}")
    return content


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote.

    Raises:
        StudyError: If it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"{path} is missing; run `dvc repro`") from None
    except json.JSONDecodeError as error:
        raise StudyError(f"{path} is not valid JSON, remove it and run `dvc repro`: {error}") from None


def write_json(path: Path, content: Mapping[str, Any] | list[Any]) -> None:
    """Write JSON in the order given, with a final newline."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file through a neighbour and a rename, so that no half-written file is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        os.replace(partial, path)  # noqa: PTH105 - atomic by contract
    finally:
        partial.unlink(missing_ok=True)
