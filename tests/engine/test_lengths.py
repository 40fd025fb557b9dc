"""How long texts are, and what is said of those that are cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.engine.lengths import READ_WHOLE, TextLengths, cut_table, read_lengths, say_cut, way_out, write_lengths


def lengths_of(*lengths, most_read=10, most_readable=512):
    return TextLengths.of(np.array(lengths), most_read=most_read, most_readable=most_readable)


@given(lengths=st.lists(st.integers(2, 40), min_size=1, max_size=60), most_read=st.integers(3, 45))
def test_rows_and_tokens_that_are_not_read_are_counted(lengths, most_read):
    told = lengths_of(*lengths, most_read=most_read)

    assert told.num_rows == len(lengths)
    assert told.rows_cut == sum(length > most_read for length in lengths)
    assert told.tokens_cut == sum(lengths) - sum(min(length, most_read) for length in lengths)
    assert told.tokens == sorted(set(lengths))


def test_the_metrics_have_both_counts_of_each_split():
    assert cut_table({"train": lengths_of(9, 12, 13), "val": lengths_of(10), "test": READ_WHOLE}) == {
        "train_rows_cut": 2,
        "train_tokens_cut": 5,
        "val_rows_cut": 0,
        "val_tokens_cut": 0,
        "test_rows_cut": 0,
        "test_tokens_cut": 0,
    }


def test_what_is_written_is_read_again(tmp_path):
    lengths = {"train": lengths_of(9, 12, 13, 13), "test": READ_WHOLE}
    write_lengths(tmp_path / "lengths.json", lengths)

    assert read_lengths(tmp_path / "lengths.json") == lengths


def test_nothing_is_said_where_nothing_is_cut(capsys):
    say_cut({"train": lengths_of(9, 10), "val": READ_WHOLE})

    assert capsys.readouterr().out == ""


def test_a_few_rows_are_told_and_many_are_a_warning_that_names_the_way_out(capsys):
    few, many = lengths_of(*[5] * 999, 14), lengths_of(5, 5, 5, 14)
    say_cut({"train": few, "val": lengths_of(5)})
    say_cut({"train": few, "val": many})

    assert capsys.readouterr().out.splitlines() == [
        "texts cut at 10 tokens: train 1 of 1,000 rows (4 tokens lost)",
        "warning: texts cut at 10 tokens: train 1 of 1,000 rows (4 tokens lost), val 1 of 4 rows (4 tokens lost); "
        "if what is lost should count, raise train.max_tokens: the model reads up to 512",
    ]


@pytest.mark.parametrize(
    ("most_readable", "told"),
    [
        (512, "raise train.max_tokens: the model reads up to 512"),
        (10, "take another model: this one reads no more than train.max_tokens, 10"),
        (None, "raise train.max_tokens: the model has no limit of its own"),
    ],
)
def test_the_way_out_is_one_that_the_model_has(most_readable, told):
    assert way_out(lengths_of(12, most_readable=most_readable)) == told
