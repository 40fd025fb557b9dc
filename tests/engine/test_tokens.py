from itertools import chain

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from stages.engine.models.encoder import load_tokenizer
from stages.engine.tokens import shuffled_batches, sorted_batches, tokenize
from stages.foundation.errors import StudyError


def ids_of(texts, row):
    return texts.ids[texts.starts[row] : texts.starts[row] + texts.lengths[row]].tolist()


def test_the_flat_ids_are_the_tokenizers_own_text_by_text(tiny_classifier):
    sentences = ["Good film", "", "the plot is very very poor .", "unheard of"]

    texts = tokenize(tiny_classifier.tokenizer, sentences, 16)

    assert len(texts) == 4
    assert texts.lengths.sum() == len(texts.ids)
    for row, sentence in enumerate(sentences):
        assert ids_of(texts, row) == tiny_classifier.tokenizer(sentence)["input_ids"]


def test_tokenising_adds_special_tokens_and_cuts_long_texts(tiny_classifier):
    tokenizer = tiny_classifier.tokenizer

    texts = tokenize(tokenizer, ["Good film", "good " * 50], 6)

    assert tokenizer.convert_ids_to_tokens(ids_of(texts, 0)) == ["[CLS]", "good", "film", "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(ids_of(texts, 1)) == ["[CLS]", *["good"] * 4, "[SEP]"]


def test_a_tokenizer_that_comes_set_to_cut_and_to_pad_does_as_it_is_told(tiny_classifier, tmp_path):
    """As that of all-mpnet-base-v2: to 128 tokens, whatever the text."""
    file = tmp_path / "tokenizer.json"
    tiny_classifier.tokenizer.save_pretrained(tmp_path)
    set_to = Tokenizer.from_file(str(file))
    set_to.enable_padding(length=8, pad_id=0, pad_token="[PAD]")
    set_to.enable_truncation(8)
    set_to.save(str(file))
    tokenizer = load_tokenizer(tmp_path, "tiny")

    assert set_to.encode("good").ids[-1] == 0
    assert tokenize(tokenizer, ["good film", "good " * 50], 16).lengths.tolist() == [4, 16]


def own(tokenizer, max_tokens, **named):
    """What the tokenizer itself gives."""
    return tokenizer(**named, truncation=True, max_length=max_tokens, return_token_type_ids=True)


SENTENCES = st.lists(st.sampled_from(["good", "bad", "film", "é", "plots"]), max_size=20).map(" ".join)


@given(texts=st.lists(SENTENCES, min_size=1, max_size=8), max_tokens=st.integers(3, 24))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_are_cut_as_the_tokenizer_cuts_them_and_their_whole_lengths_are_known(tiny_classifier, texts, max_tokens):
    tokenizer = tiny_classifier.tokenizer
    read = tokenize(tokenizer, texts, max_tokens)

    assert [ids_of(read, row) for row in range(len(read))] == own(tokenizer, max_tokens, text=texts)["input_ids"]
    assert read.uncut.tolist() == [len(ids) for ids in tokenizer(texts)["input_ids"]]
    assert read.types is None


@given(texts=st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=8), max_tokens=st.integers(4, 40))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pairs_are_laid_out_and_cut_as_the_tokenizer_does_it(tiny_classifier, texts, max_tokens):
    first, second = (list(part) for part in zip(*texts, strict=True))
    tokenizer = tiny_classifier.tokenizer
    read = tokenize(tokenizer, first, max_tokens, second, with_types=True)
    expected = own(tokenizer, max_tokens, text=first, text_pair=second)

    assert [ids_of(read, row) for row in range(len(read))] == expected["input_ids"]
    assert read.types.tolist() == list(chain.from_iterable(expected["token_type_ids"]))
    assert read.uncut.tolist() == [len(ids) for ids in tokenizer(first, second)["input_ids"]]
    np.testing.assert_array_equal(tokenize(tokenizer, first, max_tokens, second).ids, read.ids)
    assert tokenize(tokenizer, first, max_tokens, second).types is None


def test_of_a_pair_the_longer_text_is_cut(tiny_classifier):
    tokenizer = tiny_classifier.tokenizer

    texts = tokenize(tokenizer, ["good film"], 10, ["bad " * 50])

    words = ["[CLS]", "good", "film", "[SEP]", *["bad"] * 5, "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(ids_of(texts, 0)) == words
    assert texts.uncut.tolist() == [55]


def test_a_limit_that_leaves_no_room_for_the_words_of_a_pair_is_refused(tiny_classifier):
    with pytest.raises(StudyError, match=r"^train\.max_tokens is 3, but each pair of texts has 3 special tokens$"):
        tokenize(tiny_classifier.tokenizer, ["good"], 3, ["bad"])


def test_blocks_of_rows_change_nothing(tiny_classifier, monkeypatch):
    tokenizer, sentences = tiny_classifier.tokenizer, [f"good {'film ' * (row % 9)}" for row in range(20)]
    whole = tokenize(tokenizer, sentences, 6, sentences[::-1], with_types=True)
    monkeypatch.setattr("stages.engine.tokens.BLOCK_ROWS", 7)
    parts = tokenize(tokenizer, sentences, 6, sentences[::-1], with_types=True)

    for name in ("ids", "starts", "lengths", "types", "uncut"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=300),
    batch_size=st.integers(1, 40),
    bucket_batches=st.integers(1, 8),
    seed=st.integers(0, 5),
)
@settings(deadline=None)
def test_an_epoch_holds_every_row_once_in_full_batches(lengths, batch_size, bucket_batches, seed):
    batches = shuffled_batches(
        np.array(lengths),
        batch_size=batch_size,
        bucket_batches=bucket_batches,
        generator=np.random.default_rng(seed),
    )

    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    sizes = sorted(map(len, batches), reverse=True)
    assert all(size == batch_size for size in sizes[:-1])


def test_epochs_differ_and_seeds_repeat():
    lengths = np.random.default_rng(0).integers(3, 50, size=640)

    def epochs(seed):
        generator = np.random.default_rng(seed)
        draw = [shuffled_batches(lengths, batch_size=32, bucket_batches=4, generator=generator) for _ in range(2)]
        return [np.concatenate(batches).tolist() for batches in draw]

    first, second = epochs(1)
    assert first != second
    assert epochs(1) == [first, second]
    assert epochs(2) != [first, second]


@pytest.mark.parametrize("bucket_batches", [4, 16])
def test_bucketing_brings_texts_of_like_length_together(bucket_batches):
    lengths = np.random.default_rng(0).integers(3, 50, size=4096)

    def padded_tokens(bucket):
        batches = shuffled_batches(lengths, batch_size=32, bucket_batches=bucket, generator=np.random.default_rng(0))
        return sum(lengths[batch].max() * len(batch) for batch in batches)

    waste_with, waste_without = (padded_tokens(size) - lengths.sum() for size in (bucket_batches, 1))
    assert waste_with < waste_without / 2


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=300), batch_tokens=st.integers(1, 200))
@settings(deadline=None)
def test_prediction_fills_batches_from_short_to_long_up_to_a_budget_of_padded_tokens(lengths, batch_tokens):
    batches = sorted_batches(np.array(lengths), batch_tokens)
    order = np.concatenate(batches).tolist()

    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[row] for row in order] == sorted(lengths)
    for batch, following in zip(batches, [*batches[1:], None], strict=True):
        assert len(batch) == 1 or len(batch) * lengths[batch[-1]] <= batch_tokens
        if following is not None:  # not one row more would have had room
            assert (len(batch) + 1) * lengths[following[0]] > batch_tokens


def test_a_text_longer_than_the_budget_is_alone():
    batches = sorted_batches(np.array([7, 2, 3, 2]), 6)

    assert [batch.tolist() for batch in batches] == [[1, 3], [2], [0]]
