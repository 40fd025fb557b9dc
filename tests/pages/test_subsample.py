import numpy as np
import pytest

from stages import prepare, subsample
from stages.foundation import paths
from stages.foundation.files import read_json, write_text
from stages.foundation.split import read_split
from tests.pages.workspace import complaint, run_as_program, write_own_data, write_params

OWN_DATA = {"dataset": "mine", "prepare.validation_rows": 20}


@pytest.fixture(autouse=True)
def prepared(empty_folder):
    """Small data of one's own after prepare."""
    write_own_data()
    write_params(OWN_DATA)
    prepare.main()


@pytest.fixture
def draw():
    """Write params.yaml with changes, run the page, return the subset."""

    def run(**changes):
        write_params(OWN_DATA | changes)
        subsample.main()
        return read_split(paths.SUBSET)

    return run


def test_a_subset_is_balanced_and_the_beginning_of_larger_ones(draw):
    smaller, larger = draw(samples=40), draw(samples=100)

    assert np.bincount(smaller.labels).tolist() == [20, 20]
    assert larger.row_ids[:40].tolist() == smaller.row_ids.tolist()
    assert larger.sentences[:40] == smaller.sentences


def test_a_subset_is_part_of_the_pool(draw):
    pool, subset = read_split(paths.POOL), draw(samples=40)
    rows = dict(zip(pool.row_ids.tolist(), zip(pool.sentences, pool.labels.tolist(), strict=True), strict=True))

    drawn = zip(subset.sentences, subset.labels.tolist(), strict=True)
    assert [rows[row] for row in subset.row_ids.tolist()] == list(drawn)
    assert subset.label_names == pool.label_names


def test_the_seed_draws_other_rows_and_the_same_seed_the_same_bytes(draw):
    draw(samples=40, seed=1)
    first = paths.SUBSET.read_bytes()
    draw(samples=40, seed=2)
    assert paths.SUBSET.read_bytes() != first

    draw(samples=40, seed=1)
    assert paths.SUBSET.read_bytes() == first


def test_leaks_are_counted_against_the_subset_alone(draw):
    write_params(OWN_DATA | {"prepare.partition": "random"})
    prepare.main()
    pool = read_json(paths.POOL_METRICS)

    draw(samples=4)
    few = read_json(paths.SUBSET_METRICS)
    draw(samples=pool["pool_balanced_max"])
    many = read_json(paths.SUBSET_METRICS)

    kinds = [f"{split}_{kind}" for split in ("val", "test") for kind in ("equal", "part_of", "contains", "any")]
    assert set(few) == {f"subset_{kind}" for kind in kinds}
    assert few["subset_val_any"] < many["subset_val_any"] <= pool["pool_val_any"]


def test_the_validation_split_chooses_where_no_share_does(draw):
    draw(samples=40)

    assert read_split(paths.VALIDATION).row_ids.tolist() == read_split(paths.HELD_OUT).row_ids.tolist()


def test_a_share_of_the_samples_chooses_and_shares_no_text_with_the_rest(draw, capsys):
    share = {"subsample.validation_share": 0.2}
    smaller, chosen = draw(samples=30, **share), read_split(paths.VALIDATION)
    larger, more = draw(samples=60, **share), read_split(paths.VALIDATION)
    metrics, pool = read_json(paths.SUBSET_METRICS), read_split(paths.POOL)

    assert [np.bincount(part.labels).tolist() for part in (smaller, chosen)] == [[12, 12], [3, 3]]
    assert larger.row_ids[:24].tolist() == smaller.row_ids.tolist()
    assert more.row_ids[:6].tolist() == chosen.row_ids.tolist()
    assert {*larger.row_ids, *more.row_ids} <= set(pool.row_ids)
    assert set(larger.row_ids).isdisjoint(more.row_ids)
    assert metrics["subset_val_any"] == 0
    assert "12 more of the 60 samples validate; the validation split is left aside" in capsys.readouterr().out


def test_groups_are_kept_together_by_a_share_and_torn_by_a_random_partition(draw):
    lines = [f"row {at} alone\t{at % 2}\tauthor {at % 31}" for at in range(200)]
    write_text(paths.SOURCES / "mine/train.tsv", "\n".join(["sentence\tlabel\twho", *lines]) + "\n")
    write_text(paths.SOURCES / "mine/dataset.yaml", "group: who\n")
    write_text(paths.SOURCES / "mine/dev.tsv", "sentence\tlabel\twho\nnew one\t0\tx\nnew two\t1\ty\n")
    shared = {}
    for kind in ("grouped", "random"):
        write_params(OWN_DATA | {"prepare.partition": kind})
        prepare.main()
        train = draw(samples=60, **{"prepare.partition": kind, "subsample.validation_share": 0.2})
        rows = (train.row_ids, read_split(paths.VALIDATION).row_ids)
        shared[kind] = set.intersection(*({row % 31 for row in part.tolist()} for part in rows))

    assert not shared["grouped"]
    assert shared["random"]


def test_without_validation_rows_a_share_is_asked_for(draw):
    changes = {"prepare.validation_rows": 0}
    write_params(OWN_DATA | changes)
    prepare.main()

    assert "leaves no row to choose the epoch by" in complaint("subsample", subsample.main)
    assert len(draw(samples=40, **changes, **{"subsample.validation_share": 0.2})) == 32


def test_a_natural_class_ratio_may_take_the_whole_pool(draw):
    pool = read_split(paths.POOL)

    assert sorted(draw(samples=len(pool), **{"subsample.class_ratio": "natural"}).row_ids) == sorted(pool.row_ids)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"samples": 0}, "samples must be at least 1, got 0"),
        ({"samples": -8}, "samples must be at least 1, got -8"),
        ({"samples": 41}, "samples 41 cannot be balanced over 2 classes; the nearest that can is 40 or 42"),
        ({"samples": "many"}, "samples must be a whole number, got 'many'"),
        ({"samples": 10**9}, "samples 1000000000 is more than there are: the pool gives at most "),
        ({"seed": -1}, "seed must be in [0, 2^32), got -1"),
        ({"subsample.validation_share": 0.6}, "subsample.validation_share must be in [0, 0.5], got 0.6"),
        ({"samples": 4, "subsample.validation_share": 0.2}, "samples must be at least 6, so that each class"),
        ({"subsample.class_ratio": "odd"}, "subsample.class_ratio must be balanced or natural, got 'odd'"),
    ],
)
def test_a_bad_param_gets_one_line_and_keeps_the_last_subset(draw, changes, expected):
    draw(samples=40)
    before = paths.SUBSET.read_bytes()
    write_params(OWN_DATA | changes)

    assert complaint("subsample", subsample.main).startswith(f"subsample: params.yaml: {expected}")
    assert paths.SUBSET.read_bytes() == before


def test_a_missing_pool_says_what_to_run():
    paths.POOL.unlink()

    assert complaint("subsample", subsample.main) == "subsample: data/prepared/pool.parquet is missing; run `dvc repro`"


def test_the_program_imports_nothing_heavy():
    write_params(OWN_DATA | {"samples": 40})
    ended = run_as_program("subsample")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("\n[]\n")
