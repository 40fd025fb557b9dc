from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from stages.corpus.cleaning import clean
from stages.corpus.overlap import count_sources, measure_overlap
from stages.corpus.params import PrepareParams
from stages.corpus.partition import partition
from stages.corpus.sources.source import read_source
from stages.foundation import paths
from stages.foundation.errors import ParamsError, StudyError
from tests.corpus.making import make_source, make_split, occurs_in
from tests.corpus.real_sst2 import FOLDER, needs_sst2

WORDS = st.lists(st.sampled_from("abcdE"), min_size=1, max_size=6).map(" ".join)
ROWS = st.dictionaries(WORDS, st.integers(0, 1), min_size=4, max_size=40).map(lambda rows: list(rows.items()))
SENTENCES = [
    (f"the {noun} is {word} and {more} number{at}", label)
    for at, (noun, word, more, label) in enumerate(
        [("plot", "dull", "slow", 0), ("cast", "warm", "wise", 1), ("score", "loud", "flat", 0)] * 20
        + [("tone", "sly", "dry", 1)] * 20
    )
]


def params(rows, kind="grouped", seed=0, ratio="balanced"):
    return PrepareParams(partition=kind, split_seed=seed, validation_rows=rows, validation_ratio=ratio)


def with_parts(sentences):
    """Each sentence, its first three words and its last two, all with its label; no text twice."""
    rows = {}
    for text, label in sentences:
        words = text.split()
        for part in (words, words[-3:], words[-2:]):
            rows.setdefault(" ".join(part), label)
    return list(rows.items())


def assert_half_of_each_class_is_left(pool, rows_of_class):
    left = Counter(pool.labels.tolist())
    assert all(2 * left[label] >= number for label, number in rows_of_class.items())


def unrelated(sizes):
    """Rows that share no word with each other, so many of each class."""
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    return [(f"word{at} another{at} third{at}", label) for at, label in enumerate(labels)]


def unrelated_source(sizes, **more):
    return make_source(unrelated(sizes), label_names=[f"class {at}" for at in range(len(sizes))], **more)


def overlapping(validation, pool):
    return [
        (text, other)
        for text in validation.sentences
        for other in pool.sentences
        if occurs_in(text, other) or occurs_in(other, text)
    ]


@given(rows=ROWS, seed=st.integers(0, 3), wanted=st.integers(2, 5))
@settings(deadline=None, max_examples=300)
def test_no_grouped_validation_row_overlaps_with_the_pool(rows, seed, wanted):
    assume(len({label for _, label in rows}) == 2)
    try:
        parts = partition(make_source(rows), params(wanted, seed=seed))
    except ParamsError:
        reject()

    assert overlapping(parts.validation, parts.pool) == []
    assert len(parts.validation) == wanted
    assert_half_of_each_class_is_left(parts.pool, Counter(label for _, label in rows))
    assert len(parts.pool) + len(parts.validation) + parts.rows_dropped == len(rows)
    assert set(parts.pool.sentences).isdisjoint(parts.validation.sentences)


@given(rows=ROWS, seed=st.integers(0, 3), kind=st.sampled_from(["grouped", "random"]))
@settings(deadline=None)
def test_a_refusal_says_how_many_rows_there_could_be(rows, seed, kind):
    assume(len({label for _, label in rows}) == 2)
    source = make_source(rows)
    with pytest.raises(ParamsError) as refusal:
        partition(source, params(1000, kind, seed))
    most = int(str(refusal.value).split("at most ")[1].split(" ")[0])

    if most:
        parts = partition(source, params(most, kind, seed))
        assert len(parts.validation) == most
        assert set(parts.pool.labels.tolist()) == {0, 1}
    with pytest.raises(ParamsError):
        partition(source, params(most + 1, kind, seed))


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=8),
    wanted=st.integers(2, 60),
    seed=st.integers(0, 3),
    kind=st.sampled_from(["grouped", "random"]),
)
@settings(deadline=None)
def test_of_unrelated_rows_none_is_lost_and_each_class_gives_what_it_can(sizes, wanted, seed, kind):
    assume(len(sizes) <= wanted <= sum(size // 2 for size in sizes))
    parts = partition(unrelated_source(sizes), params(wanted, kind, seed))

    assert parts.rows_dropped == 0
    assert len(parts.pool) == sum(sizes) - wanted
    assert_half_of_each_class_is_left(parts.pool, dict(enumerate(sizes)))
    given_by_class = np.bincount(parts.validation.labels, minlength=len(sizes))
    assert given_by_class.sum() == wanted
    for given_rows, size in zip(given_by_class, sizes, strict=True):  # fewer than others only where there are no more
        assert given_rows in (size // 2, given_by_class.max(), given_by_class.max() - 1)


@given(
    rows=st.lists(st.tuples(st.integers(0, 15), st.integers(0, 2)), min_size=18, max_size=80),
    wanted=st.integers(3, 12),
    seed=st.integers(0, 3),
)
@settings(deadline=None)
def test_every_row_whose_group_does_not_validate_stays_in_the_pool(rows, wanted, seed):
    groups, labels = (list(column) for column in zip(*rows, strict=True))
    assume(len(set(labels)) == 3)
    texts = [(f"the same words {at}", label) for at, label in enumerate(labels)]
    try:
        parts = partition(make_source(texts, groups=groups, label_names="abc"), params(wanted, seed=seed))
    except ParamsError:
        reject()
    validating = {groups[row] for row in parts.validation.row_ids}

    assert parts.pool.row_ids.tolist() == [row for row, group in enumerate(groups) if group not in validating]
    assert_half_of_each_class_is_left(parts.pool, Counter(labels))
    assert parts.sources_held_out == len(validating)


@given(
    sizes=st.lists(st.integers(4, 60), min_size=2, max_size=6),
    share=st.floats(0.1, 0.4),
    seed=st.integers(0, 3),
    kind=st.sampled_from(["grouped", "random"]),
)
@settings(deadline=None)
def test_natural_validation_rows_have_the_classes_as_the_pool_has_them(sizes, share, seed, kind):
    wanted = int(share * sum(sizes))
    assume(wanted >= 2 * len(sizes))
    parts = partition(unrelated_source(sizes), params(wanted, kind, seed, ratio="natural"))
    validating = np.bincount(parts.validation.labels, minlength=len(sizes))

    assert validating.sum() == wanted
    assert validating.min() >= 1
    assert parts.rows_dropped == 0
    exact = wanted * np.array(sizes) / sum(sizes)
    assert (np.abs(validating - exact) <= len(sizes) / 2 + 1).all()


@given(rows=ROWS, seed=st.integers(0, 3), wanted=st.integers(2, 5))
@settings(deadline=None)
def test_no_natural_validation_row_overlaps_with_the_pool(rows, seed, wanted):
    assume(len({label for _, label in rows}) == 2)
    try:
        parts = partition(make_source(rows), params(wanted, seed=seed, ratio="natural"))
    except ParamsError:
        reject()

    assert overlapping(parts.validation, parts.pool) == []
    assert len(parts.validation) == wanted


@pytest.mark.parametrize("kind", ["grouped", "random"])
def test_where_no_row_is_held_out_all_are_in_the_pool(kind):
    parts = partition(make_source(SENTENCES), params(0, kind))

    assert (len(parts.pool), len(parts.validation), parts.rows_dropped) == (len(SENTENCES), 0, 0)
    assert parts.validation_origin == "none: prepare.validation_rows is 0"


def test_groups_stay_with_the_rows_of_a_grouped_pool_alone():
    groups = [at // 4 for at in range(len(SENTENCES))]
    source = make_source(SENTENCES, groups=groups)
    parts = partition(source, params(10))

    assert parts.pool.groups.tolist() == [groups[row] for row in parts.pool.row_ids]
    assert partition(source, params(10, "random")).pool.groups is None


def test_a_rare_class_does_not_cost_rows_of_the_others():
    parts = partition(unrelated_source([2000, 40]), params(60))

    assert np.bincount(parts.validation.labels).tolist() == [40, 20]
    assert np.bincount(parts.pool.labels).tolist() == [1960, 20]
    assert parts.sources_held_out == 60


def test_a_rare_class_does_not_cost_rows_of_sentences_with_phrases():
    """Phrases that many sentences share join all of them, as in SST-2."""
    common = [f"of the {word}" for word in "abcdefghij"]
    sentences = [(f"{at} is {common[at % 10]} and {at} goes {common[at % 7]}", 0) for at in range(1500)]
    rare = [(f"{at} was {common[at % 10]}", 1) for at in range(30)]
    rows = [
        *sentences,
        *rare,
        *((f"{at} goes {common[at % 7]}", 0) for at in range(1500)),
        *((one, 0) for one in common),
    ]
    parts = partition(make_source(rows), params(60))

    assert np.bincount(parts.validation.labels).tolist() == [45, 15]
    assert overlapping(parts.validation, parts.pool) == []
    assert parts.rows_dropped < 100


@pytest.mark.parametrize(("rows_each", "num_classes", "wanted"), [(5, 24, 24), (5, 24, 48), (2, 50, 50), (10, 77, 154)])
def test_many_classes_of_few_rows_give_each_its_share_and_keep_the_rest(rows_each, num_classes, wanted):
    for seed in range(3):
        parts = partition(unrelated_source([rows_each] * num_classes), params(wanted, seed=seed))

        assert np.bincount(parts.validation.labels).tolist() == [wanted // num_classes] * num_classes
        assert len(parts.pool) == rows_each * num_classes - wanted


def test_a_class_of_a_single_row_is_trained_on_and_does_not_validate():
    parts = partition(unrelated_source([20, 1]), params(4))

    assert np.bincount(parts.validation.labels, minlength=2).tolist() == [4, 0]
    assert np.bincount(parts.pool.labels).tolist() == [16, 1]


def test_a_refusal_names_what_can_be_done():
    groups = [at % 6 for at in range(40)]
    with pytest.raises(ParamsError) as refusal:
        partition(make_source(unrelated([20, 20]), groups=groups), params(30))

    said = str(refusal.value)
    assert "asks for 30 rows, but at most 19 can be held out" in said
    assert "prepare.validation_rows: 19" in said
    assert "prepare.partition: random, which tears groups apart" in said
    assert "(at most 20)" in said
    assert "a validation file of your own" in said


def test_a_pair_of_texts_shares_a_source_by_either_but_not_by_a_second_text_of_few_words():
    first = [(f"what is number {at}", at % 2) for at in range(40)]
    source = make_source(first)
    second = [f"here is the passage {at // 4} of the book" for at in range(40)]
    parts = partition(replace(source, train=replace(source.train, second=second)), params(10))
    assert {row // 4 for row in parts.validation.row_ids}.isdisjoint(row // 4 for row in parts.pool.row_ids)

    parts = partition(replace(source, train=replace(source.train, second=["food", "price"] * 20)), params(10))
    assert parts.rows_dropped == 0


def test_no_more_sources_are_held_out_than_it_takes():
    sentences = [(f"w{at} only here", at % 2) for at in range(40)]  # each of them a source of its own
    rows = [*sentences, *((text.upper(), label) for text, label in sentences)]
    parts = partition(make_source(rows), params(2))
    spared = Counter(label for text, label in sentences if text not in parts.pool.sentences)

    assert parts.sources_held_out == sum(spared.values())
    assert min(spared.values()) == 1


@pytest.mark.parametrize("kind", ["grouped", "random"])
def test_the_same_seed_gives_the_same_split_and_another_seed_another(kind):
    source = make_source(with_parts(SENTENCES))
    first, again, other = (partition(source, params(20, kind, seed)) for seed in (1, 1, 2))

    assert first.validation.row_ids.tolist() == again.validation.row_ids.tolist()
    assert first.pool.row_ids.tolist() == again.pool.row_ids.tolist()
    assert first.validation.row_ids.tolist() != other.validation.row_ids.tolist()


def test_letter_case_does_not_hide_a_source():
    rows = with_parts(SENTENCES) + [(text.upper(), label) for text, label in SENTENCES]
    parts = partition(make_source(rows), params(20))

    assert overlapping(parts.validation, parts.pool) == []


def test_a_random_carve_leaves_parts_of_validation_rows_in_the_pool():
    parts = partition(make_source(with_parts(SENTENCES)), params(20, "random"))

    assert overlapping(parts.validation, parts.pool)
    assert parts.rows_dropped == parts.sources_held_out == 0
    assert Counter(parts.validation.labels.tolist()) == {0: 10, 1: 10}


def test_a_group_column_decides_instead_of_the_words():
    rows = with_parts(SENTENCES)
    groups = [at // 3 for at in range(len(rows))]
    parts = partition(make_source(rows, groups=groups), params(10))
    held = {groups[row] for row in parts.validation.row_ids}

    assert held.isdisjoint(groups[row] for row in parts.pool.row_ids)
    assert parts.validation_origin.endswith("groups held out of the training rows")
    assert len(held) <= parts.sources_held_out == len(set(groups)) - len({groups[row] for row in parts.pool.row_ids})


def test_fewer_validation_rows_than_classes_are_refused():
    with pytest.raises(ParamsError, match="validation_rows must be at least 2, one for each class, got 1"):
        partition(make_source(SENTENCES), params(1))


class TestGivenValidation:
    """The source brings its own validation split."""

    TRAIN = (
        ("so good", 1),
        ("good", 1),
        ("Good", 1),
        ("a film so good it hurts", 1),
        ("bad", 0),
        ("other", 0),
        ("fine", 1),
        ("dull", 0),
    )
    VALIDATION = (("So  good", 1), ("other people are bad", 0))

    def test_it_is_kept_as_it_is(self):
        source, *_ = clean(make_source(self.TRAIN, validation=self.VALIDATION))
        parts = partition(source, params(1000))

        assert parts.validation.sentences == ["So good", "other people are bad"]
        assert parts.validation_origin == "given by the source"

    def test_grouped_drops_every_training_row_that_overlaps(self):
        source, *_ = clean(make_source(self.TRAIN, validation=self.VALIDATION))
        parts = partition(source, params(1000))

        assert parts.pool.sentences == ["fine", "dull"]
        assert parts.rows_dropped == 6

    def test_grouped_drops_the_groups_of_the_validation_split(self):
        train = (("a", 0), ("b", 1), ("c", 0), ("d", 1))
        source = make_source(train, validation=[("x", 0)], groups=[0, 0, 1, 1], validation_groups=[0])

        assert partition(source, params(1000)).pool.sentences == ["c", "d"]

    def test_random_drops_nothing(self):
        source, *_ = clean(make_source(self.TRAIN, validation=self.VALIDATION))
        parts = partition(source, params(1000, "random"))

        assert len(parts.pool) == len(self.TRAIN)
        assert parts.rows_dropped == 0

    def test_a_class_that_is_lost_to_the_overlap_is_refused(self):
        source, *_ = clean(make_source(self.TRAIN, validation=[*self.VALIDATION, ("dull and boring", 0)]))

        with pytest.raises(StudyError, match="a class is left without any"):
            partition(source, params(1000))


@pytest.fixture(scope="module")
def sst2(tmp_path_factory):
    """SST-2 after cleaning, and the counts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("sst2"))
        paths.SOURCES.mkdir(parents=True)
        (paths.SOURCES / "sst2-files").symlink_to(FOLDER)
        return clean(read_source("sst2-files"))


@needs_sst2
def test_sst2_has_the_rows_that_are_known_of_it(sst2):
    _, counts, _ = sst2

    assert (counts.rows_read, counts.kept, counts.contradictory) == (67_349, 66_973, 10)


@needs_sst2
@pytest.mark.parametrize("seed", [13, 14])
def test_a_grouped_sst2_does_not_leak_and_leaves_56_000_balanced_rows(sst2, seed):
    source, *_ = sst2
    parts = partition(source, params(1000, seed=seed))
    leaks = measure_overlap([parts.validation], parts.pool)[0]

    assert (leaks.equal, leaks.part_of, leaks.contains) == (0, 0, 0)
    assert np.bincount(parts.validation.labels).tolist() == [500, 500]
    assert np.bincount(parts.pool.labels).min() >= 28_000


@needs_sst2
def test_a_random_carve_of_sst2_leaks_nearly_all_validation_rows(sst2):
    source, *_ = sst2
    parts = partition(source, params(1000, "random"))

    assert measure_overlap([parts.validation], parts.pool)[0].any > 980


def test_of_pairs_no_validation_row_is_a_training_row_in_both_texts():
    rows = [(f"question {at % 40} of many", at % 2) for at in range(160)]
    train = replace(make_split(rows), second=[f"answer {at} of many" for at in range(160)])
    source = replace(make_source([("a", 0)]), train=train)
    parts = partition(source, params(20))
    held = set(zip(parts.validation.sentences, parts.validation.second, strict=True))

    assert len(held) == 20
    assert held.isdisjoint(zip(parts.pool.sentences, parts.pool.second, strict=True))
    assert len(parts.pool) + parts.rows_dropped == 140


@given(ROWS)
def test_source_sentences_are_the_rows_that_are_part_of_no_longer_one(rows):
    texts = [text for text, _ in rows]
    expected = sum(
        not any(len(other.split()) > len(text.split()) and occurs_in(text, other) for other in texts) for text in texts
    )
    assert count_sources(make_split(rows)) == expected


def test_equal_texts_are_one_source():
    assert count_sources(make_split([("a good film", 1), ("a good film", 0), ("good film", 1)])) == 1
