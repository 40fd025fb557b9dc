import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from stages.corpus.carve import Sources, find_sources
from stages.corpus.subsets import impossible, nested_subset, shared_subset, smallest
from stages.foundation.errors import ParamsError
from tests.corpus.making import make_split, occurs_in

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


def shared(samples, *, labels=LABELS, sources=None, seed=0, ratio="balanced", share=0.2):
    return shared_subset(labels, sources, samples=samples, seed=seed, class_ratio=ratio, validation_share=share)


def sources_of(labels, groups):
    return Sources.of_pairs(groups, np.arange(len(labels)), num_sources=int(groups.max()) + 1)


@st.composite
def grouped_rows(draw):
    """Labels of three classes and a group for each row."""
    labels = draw(st.lists(st.integers(0, 2), min_size=30, max_size=150))
    assume(len(set(labels)) == 3)
    groups = draw(st.lists(st.integers(0, 60), min_size=len(labels), max_size=len(labels)))
    return np.array(labels), np.array(groups)


@given(
    rows=grouped_rows(),
    ratio=st.sampled_from(["balanced", "natural"]),
    share=st.sampled_from([0.1, 0.2, 0.5]),
    seed=st.integers(0, 3),
    samples=st.integers(6, 120),
    more=st.integers(0, 40),
)
@settings(deadline=None, max_examples=300)
def test_a_share_that_validates_is_nested_and_shares_no_source(rows, ratio, share, seed, samples, more):
    labels, groups = rows
    step = 3 if ratio == "balanced" else 1
    try:
        small, large = (
            shared(
                size - size % step,
                labels=labels,
                sources=sources_of(labels, groups),
                seed=seed,
                ratio=ratio,
                share=share,
            )
            for size in (samples, samples + more)
        )
    except ParamsError:
        reject()

    for one, other in ((small.train, large.train), (small.validation, large.validation)):
        assert one.tolist() == other[: len(one)].tolist()
    assert len({*large.train.tolist(), *large.validation.tolist()}) == samples + more - (samples + more) % step
    assert set(groups[large.train]).isdisjoint(groups[large.validation])
    drawn, validating = (
        np.bincount(labels[part], minlength=3)
        for part in (np.concatenate([large.train, large.validation]), large.validation)
    )
    assert (np.abs(validating - share * drawn) <= 0.5 + 1e-9).all()
    assert validating.min() >= 1
    assert (drawn - validating).min() >= 1


@given(
    texts=st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5).map(" ".join), min_size=12, unique=True),
    seed=st.integers(0, 3),
)
@settings(deadline=None)
def test_no_row_that_validates_is_part_of_one_that_trains_or_the_other_way_round(texts, seed):
    split = make_split([(text, at % 2) for at, text in enumerate(texts)])
    sources, _ = find_sources(split, np.random.default_rng(0))
    try:
        drawn = shared(6, labels=split.labels, sources=sources, seed=seed)
    except ParamsError:
        reject()
    train, validation = ([texts[row] for row in part] for part in (drawn.train, drawn.validation))

    assert (len(train), len(validation)) == (4, 2)
    assert not [(a, b) for a in train for b in validation if occurs_in(a, b) or occurs_in(b, a)]


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_where_no_source_is_torn_the_rows_are_those_of_the_plain_subset(share, seed):
    drawn = shared(60, seed=seed, share=share)

    assert sorted([*drawn.train, *drawn.validation]) == sorted(subset(60, seed=seed))
    assert np.bincount(LABELS[drawn.validation]).tolist() == [round(20 * share)] * 3
    assert np.bincount(LABELS[drawn.train]).tolist() == [20 - round(20 * share)] * 3


@pytest.mark.parametrize("ratio", ["balanced", "natural"])
def test_all_rows_of_the_pool_can_be_shared_out(ratio):
    labels = np.repeat([0, 1], [40, 40])
    drawn = shared(80, labels=labels, ratio=ratio)

    assert sorted([*drawn.train, *drawn.validation]) == list(range(80))


def test_the_seed_decides_which_rows_validate():
    assert shared(30, seed=1).validation.tolist() == shared(30, seed=1).validation.tolist()
    assert set(shared(30, seed=1).validation) != set(shared(30, seed=2).validation)


@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    ratio=st.sampled_from(["balanced", "natural"]),
    share=st.sampled_from([0.05, 0.2, 0.5]),
)
@settings(deadline=None)
def test_the_smallest_size_with_a_row_of_each_class_on_either_side_is_known_beforehand(sizes, ratio, share):
    labels, counts = np.repeat(np.arange(len(sizes)), sizes), np.array(sizes)
    least = smallest(counts, ratio, share)
    if impossible(least, counts, ratio, share):
        assert least > sum(sizes)
        with pytest.raises(ParamsError):
            shared(len(sizes) * min(sizes), labels=labels, ratio=ratio, share=share)
        return

    drawn = shared(least, labels=labels, ratio=ratio, share=share)
    assert set(labels[drawn.train]) == set(labels[drawn.validation]) == set(range(len(sizes)))
    with pytest.raises(ParamsError):
        shared(least - (len(sizes) if ratio == "balanced" else 1), labels=labels, ratio=ratio, share=share)


def test_too_few_samples_for_a_share_are_refused_with_the_fewest_that_do():
    with pytest.raises(ParamsError, match=r"samples must be at least 9, so that each class .* a share of 0.2, got 6$"):
        shared(6)
    with pytest.raises(ParamsError, match=r"samples cannot be 12: the smallest class has 2 rows, too few so that"):
        shared(12, labels=np.array([0] * 30 + [1] * 2), ratio="natural")


def test_sources_that_would_be_torn_are_refused_with_what_can_be():
    groups = np.where(np.arange(120) < 114, 0, np.arange(120))  # all of two classes, and most of the third, are one
    with pytest.raises(ParamsError, match=r"samples 30 cannot have a share of 0.2 .*: no size can, with this seed;"):
        shared(30, sources=sources_of(LABELS, groups))

    labels, groups = np.tile([0, 1], 40), np.arange(80) // 2
    groups[10:] = 99  # of the other 10 rows no 16 validate
    for seed in range(5):
        with pytest.raises(ParamsError) as refusal:
            shared(80, labels=labels, sources=sources_of(labels, groups), seed=seed)
        most = int(str(refusal.value).split("at most ")[1].split(" ")[0])
        assert len(shared(most, labels=labels, sources=sources_of(labels, groups), seed=seed).train) < most
        with pytest.raises(ParamsError):
            shared(most + 2, labels=labels, sources=sources_of(labels, groups), seed=seed)
