import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.foundation.errors import StudyError
from stages.foundation.split import Split
from stages.study.store import (
    FOLDER,
    Results,
    RowFacts,
    files_of,
    read_results,
    relative,
    require_same_record,
    write_results,
)
from tests.study.made_results import a_cell, made_coverage, made_result, made_rows, rising

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_was_recorded_is_read_back_to_the_last_bit():
    cells = rising("lora") | {a_cell(contrast="fixed_steps", max_steps=40): 0.7, a_cell(contrast="random"): 0.8}
    cells |= {a_cell(contrast="inside", validation_share=0.2): 0.75}
    written = made_coverage(cells).results

    write_results("mine", written)
    read = read_results("mine")

    assert set(read.by_key) == set(written.by_key)
    for key, result in written.by_key.items():
        assert read.by_key[key].cell == result.cell
        assert dict(read.by_key[key].numbers) == dict(result.numbers)
        np.testing.assert_array_equal(read.by_key[key].logits, result.logits)
    for name in ("row_ids", "labels", "num_words", "negates", "label_names"):
        np.testing.assert_array_equal(getattr(read.rows, name), getattr(written.rows, name))


def test_a_record_of_before_validation_could_lie_inside_the_samples_is_read():
    write_results("mine", made_coverage(rising("lora")).results)
    table, _ = files_of("mine")
    columns = pd.read_csv(table, dtype=str, keep_default_na=False)
    columns.drop(columns="validation_share").to_csv(table, index=False)

    assert {result.cell for result in read_results("mine").by_key.values()} == set(rising("lora"))


def test_several_classes_are_read_back_as_well():
    rows = made_rows(5)
    logits = relative(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32))
    result = made_result(a_cell(), rows, 0.5)
    rows = RowFacts(
        row_ids=rows.row_ids,
        labels=rows.labels,
        num_words=rows.num_words,
        negates=rows.negates,
        label_names=("a", "b", "c", "d"),
    )
    four = type(result)(cell=result.cell, key=result.key, numbers=result.numbers, logits=logits)

    write_results("mine", Results(rows=rows, by_key={four.key: four}))

    np.testing.assert_array_equal(read_results("mine").by_key[four.key].logits, logits)


def test_recording_twice_gives_the_same_bytes_whatever_the_order():
    results = made_coverage(rising("lora") | rising("tfidf")).results
    turned = Results(rows=results.rows, by_key=dict(reversed(list(results.by_key.items()))))

    write_results("mine", results)
    first = [file.read_bytes() for file in files_of("mine")]
    write_results("mine", turned)

    assert [file.read_bytes() for file in files_of("mine")] == first


def test_without_a_record_there_is_nothing_and_no_complaint():
    assert read_results("mine") == Results(rows=None, by_key={})


def test_a_cell_that_was_tested_on_other_rows_is_refused():
    results = made_coverage({a_cell(): 0.7}).results
    other = made_rows(10)

    with pytest.raises(StudyError, match="tested on other rows"):
        results.join(other, made_result(a_cell(seed=2), other, 0.7))


def test_relative_logits_keep_the_class_and_the_probabilities():
    logits = np.random.default_rng(3).normal(size=(500, 2)).astype(np.float32)

    kept = relative(logits)

    np.testing.assert_array_equal(kept.argmax(axis=1), logits.argmax(axis=1))
    assert (kept[:, 0] == 0).all()
    np.testing.assert_allclose(kept[:, 1], logits[:, 1] - logits[:, 0])


@pytest.mark.parametrize(
    ("text", "negates"),
    [
        ("it is not good", True),
        ("it isn't good", True),
        ("does n't work", True),
        ("Never again", True),
        ("a notable cast", False),
        ("nowhere near another", False),
        ("", False),
    ],
)
def test_a_negation_is_a_word_and_no_part_of_one(text, negates):
    split = Split(row_ids=np.array([0]), sentences=[text], labels=np.array([0]), label_names=("a", "b"))

    rows = RowFacts.of(split)

    assert rows.negates.tolist() == [negates]
    assert rows.num_words.tolist() == [len(text.split())]


def test_words_and_negation_are_those_of_both_texts_of_a_pair():
    split = Split(
        row_ids=np.array([0]), sentences=["a film"], labels=np.array([0]), label_names=("a", "b"), second=["it is not"]
    )

    rows = RowFacts.of(split)

    assert (rows.num_words.tolist(), rows.negates.tolist()) == ([5], [True])


def test_a_cell_that_was_tested_on_other_labels_is_refused():
    results = made_coverage({a_cell(): 0.7}).results
    rows = made_rows()
    turned = replace(rows, labels=1 - rows.labels)

    with pytest.raises(StudyError, match="tested on other rows"):
        results.join(turned, made_result(a_cell(seed=2), turned, 0.7))


def test_a_record_out_of_step_is_refused_with_a_line_that_helps():
    write_results("mine", made_coverage({a_cell(): 0.7, a_cell(seed=2): 0.7}).results)
    table, _ = files_of("mine")
    kept = table.read_text()
    write_results("mine", made_coverage({a_cell(): 0.7}).results)
    table.write_text(kept)

    with pytest.raises(StudyError, match=r"mine.parquet has no predictions of mine-minilm-lora-n1000-s2 bf16"):
        read_results("mine")


def test_a_record_of_other_data_is_not_lost_to_a_report():
    write_results("mine", made_coverage({a_cell(): 0.7, a_cell(seed=2): 0.7}).results)
    with_more = made_coverage({a_cell(): 0.7, a_cell(seed=2): 0.7, a_cell(seed=3): 0.7}).results

    require_same_record("mine", with_more)
    with pytest.raises(StudyError, match=r"1 cells of other data are recorded in .*mine.csv and .*would be lost"):
        require_same_record("mine", made_coverage({a_cell(): 0.7}).results)


@pytest.mark.parametrize("table", sorted(path.name for path in (REPOSITORY / FOLDER).glob("*.csv")))
def test_every_column_of_the_record_is_described_beside_it(table):
    told = set(re.findall(r"`([^`]+)`", (REPOSITORY / FOLDER / "README.md").read_text()))
    columns = (REPOSITORY / FOLDER / table).read_text().splitlines()[0].split(",")

    assert not set(columns) - told
