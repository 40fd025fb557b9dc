from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from stages.corpus.cleaning import clean
from stages.corpus.overlap import measure_overlap
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


def params(rows, kind="grouped", seed=0):
    return PrepareParams(partition=kind, split_seed=seed, validation_rows=rows)


def with_parts(sentences):
    """Each sentence, its first three words and its last two, all with its label; no text twice."""
    rows = {}
    for text, label in sentences:
        words = text.split()
        for part in (words, words[-3:], words[-2:]):
            rows.setdefault(" ".join(part), label)
    return list(rows.items())


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
    assert sorted(Counter(parts.validation.labels.tolist()).values()) == [wanted // 2, wanted - wanted // 2]
    assert set(parts.pool.labels.tolist()) == {0, 1}
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
