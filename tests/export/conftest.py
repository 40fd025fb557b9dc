"""A finished experiment on a tiny model, as the stages leave it, to be exported."""

import json

import pytest

from stages import evaluate, train
from stages.export.trained import LOCK, _folder_md5, _md5
from stages.foundation import paths
from stages.foundation.files import read_yaml, write_json
from stages.foundation.split import Split, write_split
from tests.engine.conftest import opinions
from tests.pages.workspace import write_params
from tests.tiny_models import save_tiny_bert

NAMES = ("<script>alert(1)</script>", "a|b *c* [d](e)")  # of classes, made to break a table and a page
PARAMS = {
    "dataset": "mine",
    "model": "./tiny",
    "samples": 120,
    "train.epochs": 3,
    "train.precision": "fp32",
    "train.lora.learning_rate": 0.01,
    "train.device": "cpu",
    "evaluate.device": "cpu",
}
OVERLAPS = {
    f"{kind}_{split}_{how}": 0
    for kind in ("pool", "subset")
    for split in ("val", "test")
    for how in ("equal", "part_of", "contains", "any")
}


def rows(number, seed) -> Split:
    """Opinions under other class names."""
    split = opinions(number, seed=seed)
    return Split(row_ids=split.row_ids, sentences=split.sentences, labels=split.labels, label_names=NAMES)


def write_lock() -> None:
    """dvc.lock as DVC would leave it: what the stages read of params.yaml, and what they wrote."""
    tree, stages = read_yaml(paths.PARAMS), read_yaml(paths.PIPELINE)["stages"]

    def value(key):
        found = tree
        for name in key.split("."):
            found = found[name]
        return found

    outputs = [paths.POOL_METRICS, paths.SUBSET_METRICS, paths.SCORES, paths.PROVENANCE_METRICS]
    listed = [{"path": path.as_posix(), "md5": _md5(path.read_bytes())} for path in outputs]
    listed.append({"path": paths.MODEL.as_posix(), "md5": _folder_md5(paths.MODEL)})
    lock = {
        name: {"params": {"params.yaml": {key: value(key) for key in stage.get("params", [])}}, "outs": listed}
        for name, stage in stages.items()
    }
    LOCK.write_text(json.dumps({"stages": lock}))  # JSON is YAML


def finish_experiment(method: str, **changes) -> None:
    """Train and evaluate in the current folder, and write down what the other stages would."""
    save_tiny_bert(paths.MODEL.parent.parent / "tiny")
    write_params(PARAMS | {"method": method} | changes)
    write_split(paths.SUBSET, rows(120, 0))
    write_split(paths.VALIDATION, rows(41, 1))
    write_split(paths.TEST, rows(61, 2))
    card = {
        "dataset": "mine | ours",
        "kind": "files",
        "revision": None,
        "synthetic": False,
        "label_names": list(NAMES),
        "partition": "grouped",
        "validation": "held out of the training rows",
        "test": "the file dev.tsv",
        "positive": None,
    }
    write_json(paths.DATA_CARD, card)
    write_json(
        paths.POOL_METRICS, OVERLAPS | {"rows_read": 700, "pool_rows": 600, "pool_val_part_of": 3, "pool_val_any": 3}
    )
    write_json(paths.SUBSET_METRICS, OVERLAPS)
    train.main()
    evaluate.main()
    write_lock()


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Folders of finished experiments by method; nothing in them is to be changed."""
    made = {}

    def of(method):
        if method not in made:
            folder = tmp_path_factory.mktemp(method)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                finish_experiment(method)
            made[method] = folder
        return made[method]

    return of


@pytest.fixture
def experiment(finished, monkeypatch):
    """Work in the folder of a finished experiment."""

    def enter(method="lora"):
        monkeypatch.chdir(finished(method))
        return finished(method)

    return enter
