"""A place to run stages in: the repository's params and pipeline, a tiny model, a few rows."""

import shutil
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

REPOSITORY = Path(__file__).resolve().parents[2]


def make_workspace(folder: Path) -> Path:
    """Copy params.yaml and dvc.yaml, which tell the stages what to do."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


def set_params(folder: Path, changes: dict[str, Any]) -> None:
    """Change params.yaml there, keys dotted, as `dvc exp run -S` does."""
    yaml = YAML()
    tree = yaml.load(folder / "params.yaml")
    for key, value in changes.items():
        *sections, name = key.split(".")
        section = tree
        for part in sections:
            section = section[part]
        section[name] = value
    yaml.dump(tree, folder / "params.yaml")
