from contextlib import chdir
from dataclasses import replace

import numpy as np
import pytest

from stages import prepare
from stages.foundation import paths
from stages.foundation.errors import StudyError
from stages.foundation.files import read_json
from stages.study.pool import Pool, find_pool, fit
from tests.pages.workspace import copy_project
from tests.study.made_results import STUDY


def pool(*sizes, ratio="balanced", **more):
    rows = {name: np.array(counts) for name, counts in ({"grouped": sizes} | more).items()}
    return Pool(rows=rows, class_ratio=ratio, num_test_rows=9)


def grid(*sizes):
    return replace(STUDY, sizes=list(sizes))


def test_sizes_that_the_pool_gives_stay_as_they_are_without_a_word(capsys):
    study = grid(1000, 8000, 56000)

    assert fit(study, pool(28_684, 36_722), asked=False) is study
    assert capsys.readouterr().out == ""


def test_sizes_of_params_beyond_the_pool_become_its_largest_and_this_is_said(capsys):
    fitted = fit(grid(1000, 8000, 56000), pool(527, 1305), asked=False)

    assert fitted.sizes == [1000, 1054]
    said = capsys.readouterr().out
    assert said.startswith("sizes 1,000, 1,054 instead of 1,000, 8,000, 56,000 (study.sizes in params.yaml): 8000 is ")
    assert "at most 1054 in balanced class ratio" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("ratio", "sizes"), [("balanced", [240, 252]), ("natural", [244, 4_452])], ids=["balanced", "natural"]
)
def test_sizes_that_do_not_go_evenly_become_the_next_below(ratio, sizes):
    found = pool(42, 1000, 1000, 1000, 1000, 410, ratio=ratio)

    assert fit(grid(244, 9000), found, asked=False).sizes == sizes


def test_a_contrast_with_a_pool_of_its_own_must_give_the_sizes_too():
    found = pool(600, 600, random=(500, 700))

    assert fit(grid(1100), found, asked=False).sizes == [1000]


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ((250, 8000), "8000 is more than there are: .* What can be done: --sizes 250,1054$"),
        ((251,), "251 cannot be balanced over 2 classes; the nearest .* 250 or 252. What can be done: --sizes 250$"),
        ((1,), "samples must be at least 2, one for each class, got 1. What can be done: --sizes 2$"),
    ],
)
def test_a_size_that_was_asked_for_is_refused_with_what_can_be_done(sizes, complaint):
    with pytest.raises(StudyError, match=complaint):
        fit(grid(*sizes), pool(527, 1305), asked=True)


def test_where_validation_lies_inside_the_samples_the_smallest_size_is_larger():
    found = replace(pool(600, 600), validation_share=0.2)

    assert fit(grid(2, 4, 6, 100), found, asked=False).sizes == [6, 100]
    with pytest.raises(StudyError, match=r"samples must be at least 6, so that .* What can be done: --sizes 6$"):
        fit(grid(4), found, asked=True)


def test_the_pool_is_the_one_that_prepare_would_make(tmp_path):
    copy_project(tmp_path, {"dataset": "mine", "prepare.validation_rows": 20})
    with chdir(tmp_path):
        prepare.main()
        made = read_json(paths.POOL_METRICS)

    found = find_pool(tmp_path, "mine", ["fixed_steps", "random"])

    assert list(found.rows) == ["grouped", "random"]
    assert found.rows["grouped"].sum() == made["pool_rows"]
    assert 2 * found.rows["grouped"].min() == made["pool_balanced_max"]
    assert found.rows["random"].sum() > made["pool_rows"]
    assert found.num_test_rows == 60
    assert found.largest == made["pool_balanced_max"]
    assert found.validation_share == 0
    assert find_pool(tmp_path, "mine", ["inside"], inside_share=0.25).validation_share == 0.25
    assert f"grouped: {made['pool_rows']} rows" in str(found)


def test_validation_rows_that_cannot_be_held_out_are_refused_with_a_proposal(tmp_path):
    copy_project(tmp_path, {"dataset": "mine", "prepare.validation_rows": 1000})

    with pytest.raises(
        StudyError, match=r"asks for 1000 rows, but at most \d+ .*What can be done: prepare.validation_rows: "
    ):
        find_pool(tmp_path, "mine", [])


def test_without_its_source_nothing_is_known(tmp_path):
    assert find_pool(tmp_path, "nowhere", []) is None
