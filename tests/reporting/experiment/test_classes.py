import numpy as np

from stages.reporting.document import Prose, Table
from stages.reporting.experiment.classes import CONFUSIONS, class_blocks, confusion_blocks, quoted
from stages.reporting.numbers import NONE
from stages.scoring.classification import confusion_counts, score
from stages.scoring.tables import class_table, support_table


def measured(predicted, labels, names, training=None):
    """What evaluate would write of such predictions."""
    logits = np.eye(len(names), dtype=np.float32)[predicted]
    table = class_table(score(logits, np.array(labels), confidence_level=0.95), names)
    training = range(len(names)) if training is None else training
    return {"train": support_table(np.array(training), names), "test": table, "val": table}


def table_and_note(*made):
    table, *notes = class_blocks(measured(*made), confidence_level=0.95)
    assert isinstance(table, Table)
    assert all(isinstance(note, Prose) for note in notes)
    return table, " ".join(note.text for note in notes)


def test_every_class_has_its_scores_with_the_interval_of_its_recall():
    table, note = table_and_note([0, 0, 1, 1], [0, 1, 1, 1], ["ham", "spam"])

    assert table.head[4] == "recall [95\N{NARROW NO-BREAK SPACE}% interval]"
    assert table.rows == (
        ("ham", "1", "1", "0.500", "1.000 [0.207, 1.000]", "0.667"),
        ("spam", "1", "3", "1.000", "0.667 [0.208, 0.939]", "0.800"),
    )
    assert note == ""


def test_what_cannot_be_measured_is_a_dash_and_said():
    table, note = table_and_note([0, 0, 0], [0, 0, 1], ["bad", "good", "so so"])

    assert table.rows[1][3:] == (NONE, "0.000 [0.000, 0.793]", "0.000")
    assert table.rows[2][2:] == ("0", NONE, NONE, NONE)
    assert "No test row is of class “so so”: nothing here says how well that is recognised." in note
    assert "A class that is never predicted has no precision." in note


def test_unbalanced_training_rows_are_told_with_the_rarest_and_the_most_frequent_class():
    _, note = table_and_note([0, 1], [0, 1], ["ham", "spam"], [0] * 1200 + [1] * 8)

    assert note == "The training rows were unbalanced, from 8 (“spam”) to 1,200 (“ham”) of a class."


def test_of_many_classes_the_worst_come_first_and_those_without_any_score_last():
    names = [f"class {index}" for index in range(20)]
    labels = np.repeat(np.arange(19), 4)
    predicted = labels.copy()
    predicted[12:15] = 5  # class 3 loses most of its rows

    table, note = table_and_note(predicted, labels, names)

    assert [row[0] for row in table.rows[:2]] == ["class 3", "class 5"]
    assert table.rows[-1][0] == "class 19"
    assert "Classes with the lowest F1 come first." in note


def test_the_largest_confusions_of_many_classes_are_listed_largest_first():
    names = [f"class {index}" for index in range(12)]
    counts = 10 * np.eye(12, dtype=np.int64)
    counts[3, 7], counts[7, 3], counts[0, 1] = 5, 2, 1

    _, table = confusion_blocks(counts, names)

    assert table.rows[0] == ("class 3 → class 7", "5", "33.3\N{NARROW NO-BREAK SPACE}%")
    assert [row[0] for row in table.rows[1:]] == ["class 7 → class 3", "class 0 → class 1"]


def test_no_more_confusions_are_listed_than_one_reads():
    generator = np.random.default_rng(0)
    counts = confusion_counts(generator.integers(0, 77, 5000), generator.integers(0, 77, 5000), num_classes=77)

    _, table = confusion_blocks(counts, [f"class {index}" for index in range(77)])

    assert len(table.rows) == CONFUSIONS


def test_few_classes_have_no_such_list_for_the_matrix_has_the_numbers():
    assert confusion_blocks(np.array([[5, 3], [2, 9]]), ["ham", "spam"]) == ()


def test_many_classes_without_a_mistake_have_an_explained_matrix_and_no_empty_table():
    (block,) = confusion_blocks(np.eye(30, dtype=np.int64), [f"class {index}" for index in range(30)])

    assert block.text == "The darker a cell, the larger its share of the true class."


def test_a_long_list_of_names_is_counted_to_the_end():
    assert quoted(["a", "b"]) == "“a” and “b”"
    assert quoted([str(number) for number in range(30)]).endswith("“7”, and 22 more")
