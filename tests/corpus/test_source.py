import json
import subprocess
import sys

import pandas as pd
import pytest

from stages.corpus.sources.source import read_source
from stages.foundation import paths
from stages.foundation.errors import StudyError
from tests.hub_server import HubServer, use_hub

TRAIN = "sentence\tlabel\nso good\t1\nbad\t0\nfine\t1\n"
DEV = "sentence\tlabel\nnice\t1\n"
BANKS = "kind: phrase_banks\nlabel_names: [no, yes]\ntrain_rows: 70\ntest_rows: 8\n"
GLUE_TEST = "index\tsentence\n0\tsecret\n"


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(files, name="mine"):
    folder = paths.SOURCES / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file).write_text(content, encoding="utf-8")


def read(files):
    write(files)
    return read_source("mine")


def complaint(files):
    with pytest.raises(StudyError) as caught:
        read(files)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace("data/sources/mine/", "").replace("data/sources/mine", "FOLDER")


def facts(source):
    return {fact.term: fact.told for fact in source.found}


def rows(split):
    return [
        (text, split.label_names[label]) for text, label in zip(split.sentences, split.labels.tolist(), strict=True)
    ]


def test_glues_folder_needs_no_dataset_yaml_and_dev_is_its_test_split():
    source = read({"train.tsv": TRAIN, "dev.tsv": DEV, "test.tsv": GLUE_TEST})

    assert rows(source.train) == [("so good", "1"), ("bad", "0"), ("fine", "1")]
    assert rows(source.test) == [("nice", "1")]
    assert source.validation is None
    assert source.test_origin == "dev.tsv (test.tsv has no labels)"
    assert (source.kind, source.revision, source.synthetic) == ("files", "", False)


def test_every_format_may_be_mixed():
    write({"test.jsonl": '{"text": "y", "label": "b"}\n', "validation.csv": "text,label\nz,b\n"})
    pd.DataFrame({"text": ["x", "w"], "label": ["a", "b"]}).to_parquet(paths.SOURCES / "mine/train.parquet")
    source = read_source("mine")

    assert rows(source.train) == [("x", "a"), ("w", "b")]
    assert rows(source.test) == [("y", "b")]
    assert rows(source.validation) == [("z", "b")]
    assert source.test_origin == "test.jsonl"


def test_other_columns_and_files_are_two_lines_of_dataset_yaml():
    source = read(
        {
            "dataset.yaml": "text: review\nlabel: stars\nsplits: {train: a.csv, test: new.csv, validation: val.csv}\n",
            "a.csv": "id,stars,review\n1,5,great\n2,1,poor\n",
            "new.csv": "stars,review\n5,wow\n",
            "val.csv": "stars,review\n1,meh\n",
        }
    )

    assert rows(source.train) == [("great", "5"), ("poor", "1")]
    assert rows(source.test) == [("wow", "5")]
    assert rows(source.validation) == [("meh", "1")]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["pos", "neg", "neutral"], ("neg", "neutral", "pos")),
        (["10", "9", "b"], ("10", "9", "b")),
        ([" yes ", "no", "yes"], ("no", "yes")),
    ],
)
def test_classes_are_numbered_in_order(labels, names):
    text = "text\tlabel\n" + "".join(f"row {label}\t{label}\n" for label in labels)
    source = read({"train.tsv": text, "test.tsv": text})

    assert source.train.label_names == names
    assert [names[label] for label in source.train.labels] == [label.strip() for label in labels]


def test_booleans_and_whole_floats_are_labels():
    write({"test.jsonl": '{"text": "y", "label": true}\n'})
    pd.DataFrame({"text": ["x", "w"], "label": [False, True]}).to_parquet(paths.SOURCES / "mine/train.parquet")
    assert read_source("mine").test.label_names == ("false", "true")

    write({"test.jsonl": '{"text": "y", "label": 1}\n'})
    pd.DataFrame({"text": ["x", "w"], "label": [0.0, 1.0]}).to_parquet(paths.SOURCES / "mine/train.parquet")
    assert rows(read_source("mine").test) == [("y", "1")]


@pytest.mark.parametrize("label_names", ["[bad, good]", "[good, bad]"])
def test_label_names_name_indices(label_names):
    source = read({"dataset.yaml": f"label_names: {label_names}", "train.tsv": TRAIN, "test.tsv": DEV})

    assert source.train.labels.tolist() == [1, 0, 1]
    assert source.train.label_names == tuple(label_names.strip("[]").split(", "))


def test_label_names_order_the_names_in_the_data():
    text = "text\tlabel\na\tgood\nb\tbad\n"
    source = read({"dataset.yaml": "label_names: [good, bad]", "train.tsv": text, "test.tsv": text})

    assert source.train.labels.tolist() == [0, 1]


def test_label_names_that_are_numbers_themselves_are_names():
    text = "text\tlabel\na\t1\nb\t2\n"
    source = read({"dataset.yaml": "label_names: [2, 1]", "train.tsv": text, "test.tsv": text})

    assert source.train.labels.tolist() == [1, 0]


def test_a_group_column_gets_the_same_numbers_in_train_and_validation():
    source = read(
        {
            "dataset.yaml": "group: author",
            "train.csv": "text,label,author\na,0,kim\nb,1,lee\nc,1,kim\n",
            "validation.csv": "text,label,author\nd,0,lee\n",
            "test.csv": "text,label\ne,0\n",
        }
    )

    assert source.train_groups.tolist() == [0, 1, 0]
    assert source.validation_groups.tolist() == [1]


def test_a_missing_text_is_an_empty_one():
    source = read(
        {"train.jsonl": '{"text": "a", "label": 0}\n{"text": null, "label": 1}\n', "test.csv": "text,label\nb,0\n"}
    )

    assert source.train.sentences == ["a", ""]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"test.tsv": DEV}, "FOLDER has no train file; call it train with one of .tsv, .csv"),
        ({"train.tsv": TRAIN}, "FOLDER has no test file; call it test (or dev) with one of .tsv, .csv"),
        ({"train.tsv": TRAIN, "train.csv": "", "test.tsv": DEV}, "FOLDER has train.tsv and train.csv: keep one"),
        (
            {"train.tsv": TRAIN, "test.tsv": GLUE_TEST},
            "test.tsv has no column of labels; it has index, sentence, and no dev file",
        ),
        (
            {"train.tsv": TRAIN, "test.tsv": DEV, "dev.tsv": DEV, "val.csv": ""},
            "FOLDER: val.csv and dev.tsv may each be the one to take; say in dataset.yaml which is which: `splits: "
            "{train: train.tsv, validation: val.csv, test: test.tsv}` or `splits: {train: train.tsv, validation: dev",
        ),
        (
            {"train.tsv": TRAIN, "val.tsv": DEV, "valid.tsv": DEV},
            "FOLDER: there is no test file, and valid.tsv and val.tsv may each be the one to take; say in dataset.yaml",
        ),
        (
            {"train.csv": "review,label\na,1\n", "test.tsv": DEV},
            "train.csv has no column sentence or text; it has review, label: say in dataset.yaml",
        ),
        ({"train.csv": "text,class\na,1\n", "test.tsv": DEV}, "train.csv has no column label; it has text, class"),
        (
            {"train.tsv": TRAIN, "test.csv": "text,label\na,1\n"},
            "test.csv has no column sentence; it has text, label",
        ),
        ({"train.tsv": TRAIN + "ugh\t\n", "test.tsv": DEV}, "train.tsv, line 5 has no label: column label must hold"),
        (
            {"train.jsonl": '{"sentence": "a", "label": 0.5}\n{"sentence": "b", "label": 1}', "test.tsv": DEV},
            "train.jsonl, line 1: column label holds numbers such as 0.5, 2 different ones, not classes",
        ),
        (
            {"train.jsonl": '{"text": "a", "label": 1}\n{"text": 5, "label": 0}', "test.csv": "text,label\na,1"},
            "train.jsonl, line 2: column text must hold texts, found 5",
        ),
        ({"train.tsv": TRAIN, "test.tsv": DEV + "hm\t2\n"}, "test.tsv, line 3: unknown label '2'; the classes are"),
        (
            {"train.tsv": TRAIN, "test.tsv": DEV + "hm\t-1\n"},
            "test.tsv, line 3: unknown label '-1'; the classes are 0, 1. If",
        ),
        (
            {"train.tsv": TRAIN, "test.tsv": DEV.replace("1", "-1")},
            "test.tsv hides its labels, and no dev file replaces",
        ),
        (
            {
                "dataset.yaml": "splits: {train: train.tsv, test: test.tsv, validation: d.tsv}",
                "train.tsv": TRAIN,
                "test.tsv": DEV.replace("1", "-1"),
                "d.tsv": DEV,
            },
            "test.tsv hides its labels; name another test split in dataset.yaml: `splits: {train: train.tsv, test: d.",
        ),
        ({"train.tsv": "text\tlabel\na\t1\nb\t1\n", "test.tsv": DEV}, "the training rows have one class only (1)"),
        (
            {"dataset.yaml": "label_names: [no, yes]", "train.tsv": TRAIN + "x\t2\n", "test.tsv": DEV},
            "train.tsv, line 5: unknown label '2'; the classes are 0, 1",
        ),
        (
            {"dataset.yaml": "label_names: [no, yes]", "train.tsv": TRAIN, "test.tsv": DEV + "hm\tmaybe\n"},
            "test.tsv, line 3: unknown label 'maybe'; the classes are 0, 1",
        ),
        ({"dataset.yaml": "label_names: [no, no]", "train.tsv": TRAIN, "test.tsv": DEV}, "label_names must hold"),
        ({"dataset.yaml": "group: by", "train.tsv": TRAIN, "test.tsv": DEV}, "train.tsv has no column by; it has"),
        (
            {
                "dataset.yaml": "group: by",
                "train.jsonl": '{"text": "a", "label": 0, "by": 1}\n{"text": "b", "label": 1}',
                "test.csv": "text,label\nc,0",
            },
            "train.jsonl, line 2 has no key by, which other rows have",
        ),
        ({"dataset.yaml": "kind: magic"}, "dataset.yaml: kind must be files or hub or phrase_banks, got 'magic'"),
        ({"dataset.yaml": "txet: a"}, "dataset.yaml: unknown key txet ('a'); kind files knows text, label, group"),
        ({"dataset.yaml": "kind: hub\nconfig: a"}, "dataset.yaml: missing key repo, which kind hub needs"),
        ({"dataset.yaml": "label_names: yes, no"}, "dataset.yaml: label_names must be a list, got 'yes, no'"),
        (
            {"dataset.yaml": "kind: hub\nrepo: a/b\nrevision: 123"},
            "dataset.yaml: revision must be text, got 123; put it",
        ),
        (
            {"dataset.yaml": "splits: {train: a.tsv, dev: b.tsv}"},
            "dataset.yaml: unknown key splits.dev ('b.tsv'); splits knows train, test, validation",
        ),
        ({"dataset.yaml": "splits: {train: a.tsv}"}, "dataset.yaml: missing key splits.test"),
        ({"dataset.yaml": "splits: {train: 1, test: b.tsv}"}, "dataset.yaml: splits.train must be text, got 1"),
        ({"dataset.yaml": "splits: a.tsv"}, "dataset.yaml: splits must be a section with keys, got 'a.tsv'"),
        ({"dataset.yaml": "label_names: [no, {yes: 1}]"}, "dataset.yaml: label_names[1] must be text or a whole"),
        (
            {"dataset.yaml": "kind: phrase_banks"},
            "dataset.yaml: missing key label_names, which kind phrase_banks needs",
        ),
        ({"dataset.yaml": BANKS + "seed: -1"}, "dataset.yaml: seed must be 0 or more, got -1"),
        ({"dataset.yaml": BANKS + "seed: 0.5"}, "dataset.yaml: seed must be a whole number, got 0.5"),
        ({"dataset.yaml": BANKS.replace("70", "7") + "seed: 0"}, "dataset.yaml: train_rows must be an even number"),
        ({"dataset.yaml": BANKS.replace("no, yes", "no") + "seed: 0"}, "dataset.yaml: label_names must hold two"),
        (
            {"dataset.yaml": "splits: {train: ../a.tsv, test: b.tsv}", "b.tsv": DEV},
            "FOLDER: splits must name files in this folder, got ../a.tsv",
        ),
        ({"dataset.yaml": "splits: {train: a.tsv, test: b.tsv}", "b.tsv": DEV}, "a.tsv is missing"),
    ],
)
def test_bad_input_gets_one_clear_line(files, expected):
    assert complaint(files).startswith(expected)


@pytest.mark.parametrize("name", ["absent", "..", "", "mine/inner", "a-file"])
def test_an_unknown_data_set_is_refused_with_those_there_are(name):
    write({"train.tsv": TRAIN})
    write({}, name="other")
    (paths.SOURCES / "a-file").touch()

    with pytest.raises(StudyError, match=r"no folder in data/sources, which has mine, other .*`dvc add`"):
        read_source(name)


def test_a_file_that_is_a_link_into_a_cache_is_read():
    write({"elsewhere": TRAIN}, name="cache")
    write({"test.tsv": DEV})
    (paths.SOURCES / "mine/train.tsv").symlink_to((paths.SOURCES / "cache/elsewhere").resolve())

    assert len(read_source("mine").train) == 3


def test_columns_and_separator_need_a_file_that_has_them():
    row = '[{"text": "a", "label": 1}, {"text": "b", "label": 0}]'
    expected = "FOLDER: `columns` and `separator` are of TSV and CSV, and no such file was read; leave them out"

    assert complaint({"dataset.yaml": "separator: tab", "train.json": row, "test.json": row}) == expected


def test_phrase_banks_make_the_embedded_data(repository, monkeypatch):
    monkeypatch.chdir(repository)
    settings = (repository / "data/sources/reviews/dataset.yaml").read_text(encoding="utf-8")
    source = read_source("reviews")

    assert f"train_rows: {len(source.train)}" in settings
    assert source.train.label_names == ("negative", "positive")
    assert (source.kind, source.synthetic) == ("phrase_banks", True)
    assert facts(source) == {
        "texts": "made up by the program",
        "classes, training rows": "negative (35,000), positive (35,000)",
    }


class TestHub:
    """The kind `hub`, against a server on this machine."""

    COMMIT = "a" * 40

    @pytest.fixture
    def hub(self, tmp_path, monkeypatch):
        with HubServer() as server:
            use_hub(server.url, tmp_path / "home", monkeypatch)
            yield server

    def publish(self, hub, *, test_labels=(0, 1), with_validation=False):
        card = (
            "---\ndataset_info:\n  features:\n  - {name: sentence, dtype: string}\n"
            "  - {name: sentence2, dtype: string}\n"
            "  - name: label\n    dtype: {class_label: {names: {'0': negative, '1': positive}}}\n"
            "configs:\n- config_name: default\n  data_files:\n  - {split: train, path: train.parquet}\n"
            "  - {split: test, path: test.parquet}\n---\n"
        )
        frames = {
            "train": pd.DataFrame({"sentence": ["a", "b"], "sentence2": ["x", "y"], "label": [0, 1]}),
            "test": pd.DataFrame({"sentence": ["c", "d"], "sentence2": ["x", "y"], "label": list(test_labels)}),
        }
        if with_validation:
            frames["validation"] = pd.DataFrame({"sentence": ["e"], "sentence2": ["x"], "label": [1]})
            card = card.removesuffix("---\n") + "  - {split: validation, path: validation.parquet}\n---\n"
        files = {f"{name}.parquet": frame.to_parquet() for name, frame in frames.items()}
        hub.publish("datasets", "owner/name", self.COMMIT, {"README.md": card.encode(), **files}, branch="main")
        write({"dataset.yaml": "kind: hub\nrepo: owner/name\n"})

    def test_two_lines_name_a_data_set_and_its_classes_have_the_hubs_names(self, hub):
        self.publish(hub)
        source = read_source("mine")

        assert rows(source.train) == [("a", "negative"), ("b", "positive")]
        assert rows(source.test) == [("c", "negative"), ("d", "positive")]
        assert (source.kind, source.revision) == ("hub", self.COMMIT)
        assert source.test_origin == "split test of owner/name"

    def test_a_test_split_that_hides_its_labels_gives_way_to_validation(self, hub):
        self.publish(hub, test_labels=(-1, -1), with_validation=True)
        source = read_source("mine")

        assert rows(source.test) == [("e", "positive")]
        assert source.validation is None
        assert source.test_origin == "split validation of owner/name (split test hides its labels)"

    def test_a_pair_of_columns_is_read(self, hub):
        self.publish(hub)
        write({"dataset.yaml": "kind: hub\nrepo: owner/name\ntext: [sentence, sentence2]\n"})
        source = read_source("mine")

        assert (source.train.sentences, source.train.second) == (["a", "b"], ["x", "y"])

    def test_hidden_test_labels_are_refused(self, hub):
        self.publish(hub, test_labels=(-1, -1))

        with pytest.raises(StudyError, match=r"owner/name, split test, row 0: the labels are hidden"):
            read_source("mine")


def test_reading_imports_neither_torch_nor_datasets_unless_the_hub_is_asked(repository):
    command = (
        "import json, sys\nimport stages.corpus.sources.source\nbefore = 'datasets' in sys.modules\n"
        "import stages.corpus.sources.hub_tables\nprint(json.dumps([before, 'torch' in sys.modules]))"
    )
    answer = subprocess.run([sys.executable, "-c", command], cwd=repository, capture_output=True, text=True, check=True)

    assert json.loads(answer.stdout) == [False, False]
