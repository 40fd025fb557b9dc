"""A data set from the Hugging Face Hub, as frames.

The files are fetched first and read from the disk then. `datasets.load_dataset("owner/name", revision=...)`
would do both at once, but it takes whatever version it cached last when the Hub is away, pinned or not, and
prefers a local folder that happens to bear the same name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import datasets
import pandas as pd
from huggingface_hub import DatasetCard

from stages.foundation.errors import StudyError
from stages.hub.snapshot import fetch_snapshot, innermost_reason

CARD = "README.md"
DATA_FILES = ["*.parquet", "*.csv", "*.tsv", "*.json", "*.jsonl"]  # no scripts, whatever the repository holds
DEFAULT_SPLITS = {"train": "train", "validation": "validation", "test": "test"}


@dataclass(frozen=True, kw_only=True, slots=True)
class HubData:
    """The splits of a Hub data set, with all their columns."""

    frames: dict[str, pd.DataFrame]  # by the study's names: train, test and perhaps validation
    class_names: dict[str, list[str]]  # by column, for columns that hold class indices
    revision: str  # commit that the data come from


def read_hub_frames(repo: str, *, config: str | None, revision: str | None, splits: dict[str, str]) -> HubData:
    """Read a data set of the Hub; never runs code from there.

    Args:
        repo: `owner/name`, e.g. `nyu-mll/glue`.
        config: Which of the repository's data sets, e.g. `sst2`; None is its only or its default one.
        revision: Commit, tag or branch; None is the main branch. A cached commit needs no network.
        splits: The Hub's name for each of our splits, e.g. `{"train": "train", "test": "validation"}`; empty
            takes train, test and, where there is one, validation under their own names.

    Raises:
        StudyError: One line: the Hub fails, or has no such config or split, or the files hold no table.
    """
    card = fetch_snapshot("dataset", repo, revision, [CARD])
    metadata = _card_metadata(card.folder / CARD)
    configs = metadata.get("configs") or []
    chosen = _choose_config(repo, configs, config)
    patterns, options = _plan(repo, configs, chosen, metadata)
    snapshot = fetch_snapshot("dataset", repo, card.commit, [CARD, *patterns])
    tables = _load(repo, snapshot.folder, options)
    names = _choose_splits(repo, splits, list(tables))
    features = tables[names["train"]].features
    return HubData(
        frames={ours: tables[theirs].to_pandas() for ours, theirs in names.items()},
        class_names={
            name: list(kind.names) for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)
        },
        revision=snapshot.commit,
    )


def _card_metadata(card: Path) -> dict[str, Any]:
    """The YAML header of the repository's card, which lists its data sets and their files."""
    return dict(DatasetCard.load(card).data.to_dict()) if card.is_file() else {}


def _choose_config(repo: str, configs: list[dict[str, Any]], name: str | None) -> dict[str, Any]:
    """The entry of the card for a config; empty where the card lists none."""
    known = {str(entry["config_name"]): entry for entry in configs}
    if name is None and not known:
        return {}
    if name is None:
        defaults = [entry for key, entry in known.items() if key == "default" or entry.get("default")]
        candidates = defaults or list(known.values())
        if len(candidates) == 1:
            return candidates[0]
        raise StudyError(f"dataset {repo} needs a `config`: one of {', '.join(known)}")
    if name not in known:
        there = f"it has {', '.join(known)}" if known else "it lists none, so leave `config` out"
        raise StudyError(f"dataset {repo} has no config {name}; {there}")
    return known[name]


def _plan(
    repo: str, configs: list[dict[str, Any]], chosen: dict[str, Any], metadata: dict[str, Any]
) -> tuple[list[str], dict[str, Any]]:
    """Patterns of the files to fetch, and how `datasets.load_dataset` is to read them.

    Where each config lists its files, only those of the chosen one are fetched (GLUE holds twelve). Then
    `load_dataset` cannot be given its name, because it looks for the files of all configs first.
    """
    if configs and all("data_files" in entry and "data_dir" not in entry for entry in configs):
        # A card's `**/` also means the top folder; in a Hub pattern `*` already means any depth.
        patterns = [pattern.replace("**/", "*") for pattern in _named_files(repo, [chosen])]
        return patterns, _reading_options(chosen, metadata)
    _named_files(repo, configs)
    return DATA_FILES, {"name": chosen.get("config_name")}


def _named_files(repo: str, configs: list[dict[str, Any]]) -> list[str]:
    """Patterns of the files and folders that the card names for these configs."""
    patterns = [pattern for entry in configs for pattern in _leaves([entry.get("data_files"), entry.get("data_dir")])]
    for pattern in patterns:
        path = PurePosixPath(pattern)
        if "://" in pattern or path.is_absolute() or ".." in path.parts:
            raise StudyError(f"dataset {repo} names data outside of its repository, which is not read: {pattern}")
    return patterns


def _leaves(data_files: Any) -> Iterator[str]:
    """All patterns of a card's `data_files`: text, a list, or a list of {split, path}."""
    if isinstance(data_files, str):
        yield data_files
    elif isinstance(data_files, dict):
        yield from _leaves(data_files.get("path"))
    elif isinstance(data_files, list):
        for entry in data_files:
            yield from _leaves(entry)


def _reading_options(chosen: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """What the card says about reading a config: its files, its columns, its separator and the like."""
    infos = datasets.info.DatasetInfosDict.from_dataset_card_data(metadata)
    info = infos.get(chosen["config_name"])
    options = {key: value for key, value in chosen.items() if key not in ("config_name", "default", "features")}
    return options | ({"features": info.features} if info else {})


def _load(repo: str, folder: Path, options: dict[str, Any]) -> dict[str, datasets.Dataset]:
    """The tables of all splits, by the Hub's names."""
    datasets.disable_progress_bars()  # the files are here; reading them is quick
    try:
        return dict(datasets.load_dataset(str(folder), **options))
    except (datasets.exceptions.DatasetsError, FileNotFoundError, ValueError) as error:
        raise StudyError(
            f"dataset {repo} could not be read: {innermost_reason(error)}; "
            f"if a cached file is damaged, remove {folder.parents[1]} and run again"
        ) from error


def _choose_splits(repo: str, splits: dict[str, str], there: list[str]) -> dict[str, str]:
    """The Hub's name for each of our splits, all of them there."""
    names = splits or {
        ours: theirs for ours, theirs in DEFAULT_SPLITS.items() if ours != "validation" or theirs in there
    }
    for ours in ("train", "test", *names):
        if names.get(ours) not in there:
            raise StudyError(
                f"dataset {repo} has no split {names.get(ours, 'given')} for `{ours}`; it has {', '.join(there)}: "
                "say which to take under `splits`"
            )
    return names
