import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stages.corpus.subsets import nested_subset
from stages.foundation.errors import ParamsError

LABELS = np.repeat([0, 1, 2], [30, 50, 40])


def subset(samples, *, labels=LABELS, seed=0, ratio="balanced"):
    return nested_subset(labels, samples=samples, seed=seed, class_ratio=ratio)


@pytest.mark.parametrize("ratio", ["balanced", "natural"])
@given(seed=st.integers(0, 5), smaller=st.integers(1, 30), larger=st.integers(1, 30))
def test_a_smaller_subset_is_the_beginning_of_a_larger_one(ratio, seed, smaller, larger):
    smaller, larger = sorted((3 * smaller, 3 * larger))

    first, second = (subset(samples, seed=seed, ratio=ratio) for samples in (smaller, larger))

    assert first.tolist() == second[:smaller].tolist()
    assert len(set(second.tolist())) == larger


@pytest.mark.parametrize("samples", [3, 30, 90])
def test_a_balanced_subset_has_as_many_rows_of_each_class(samples):
    assert np.bincount(LABELS[subset(samples)]).tolist() == [samples // 3] * 3


@given(samples=st.integers(3, 120))
def test_a_natural_subset_follows_the_pool_within_a_row(samples):
    counts = np.bincount(LABELS[subset(samples, ratio="natural")])

    assert np.abs(counts - samples * np.array([30, 50, 40]) / 120).max() <= 1


def test_every_row_can_be_drawn():
    assert sorted(subset(120, ratio="natural").tolist()) == list(range(120))


def test_the_seed_decides_which_rows():
    assert subset(30, seed=1).tolist() == subset(30, seed=1).tolist()
    assert set(subset(30, seed=1).tolist()) != set(subset(30, seed=2).tolist())


def test_samples_that_cannot_be_balanced_name_their_neighbours():
    with pytest.raises(ParamsError, match=r"samples 31 cannot be balanced over 3 classes.* 30 or 33$"):
        subset(31)


@pytest.mark.parametrize(("samples", "nearest"), [(5, "3 or 6"), (4, "3 or 6"), (8, "6 or 9")])
def test_only_what_the_pool_can_give_is_named(samples, nearest):
    with pytest.raises(ParamsError, match=f"is {nearest}$"):
        subset(samples, labels=np.repeat([0, 1, 2], 3))


@pytest.mark.parametrize(("ratio", "most"), [("balanced", 90), ("natural", 120)])
def test_more_than_there_are_says_how_many_there_are(ratio, most):
    with pytest.raises(ParamsError, match=f"at most {most} in {ratio} class ratio"):
        subset(most + 3, ratio=ratio)


def test_fewer_samples_than_classes_are_refused():
    with pytest.raises(ParamsError, match="at least 3, one for each class, got 2"):
        subset(2)


@given(
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=6),
    samples=st.integers(2, 200),
    more=st.integers(0, 50),
    seed=st.integers(0, 3),
)
def test_a_natural_subset_has_a_row_of_each_class_and_is_part_of_every_larger_one(sizes, samples, more, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    larger = min(samples + more, len(labels))
    samples = min(max(samples, len(sizes)), larger)
    larger = max(larger, samples)
    assume(len(sizes) <= samples)

    first, second = (subset(number, labels=labels, seed=seed, ratio="natural") for number in (samples, larger))

    assert len(set(first.tolist())) == samples
    assert set(labels[first]) == set(range(len(sizes)))
    assert set(first.tolist()) <= set(second.tolist())


def test_a_rare_class_takes_the_last_place_of_a_natural_subset():
    labels = np.array([0] * 99 + [1])
    drawn = subset(10, labels=labels, ratio="natural")

    assert np.bincount(labels[drawn]).tolist() == [9, 1]
    assert drawn[:9].tolist() == subset(60, labels=labels, ratio="natural")[:9].tolist()


def test_a_size_beyond_the_smallest_class_names_what_each_ratio_gives():
    with pytest.raises(
        ParamsError, match=r"smallest class has 30 rows.*`subsample.class_ratio: natural` .* up to 120$"
    ):
        subset(93)
