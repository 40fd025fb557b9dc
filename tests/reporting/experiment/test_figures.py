import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from stages.reporting.experiment.figures import draw_accuracy, draw_confusion, draw_lengths, draw_loss
from stages.reporting.style import save_figure, svg_drawing
from tests.reporting.finished_experiment import history, make_lengths

LENGTHS = {"train": make_lengths([9, 30, 128, 129, 140]), "test": make_lengths([15, 16, 17, 600])}
COUNTS = np.array([[421, 77], [99, 403]])
FIGURES = {
    "loss": lambda: draw_loss(history(), 2),
    "accuracy": lambda: draw_accuracy(history(), 2),
    "confusion": lambda: draw_confusion(COUNTS, ("negative", "positive")),
    "lengths": lambda: draw_lengths(LENGTHS),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("ending", ["pdf", "png"])
def test_a_figure_drawn_twice_has_the_same_bytes(name, ending, tmp_path):
    first, second = tmp_path / f"first.{ending}", tmp_path / f"second.{ending}"
    save_figure(first, FIGURES[name]())
    save_figure(second, FIGURES[name]())
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_on_a_page_is_the_same_each_time(name):
    assert svg_drawing(FIGURES[name]()) == svg_drawing(FIGURES[name]())


@pytest.mark.parametrize("ending", ["pdf", "png"])
def test_no_file_tells_when_it_was_drawn(ending, tmp_path):
    save_figure(tmp_path / f"figure.{ending}", FIGURES["loss"]())
    content = (tmp_path / f"figure.{ending}").read_bytes()
    assert b"CreationDate" not in content
    assert b"Software" not in content


def test_both_curves_are_named_and_the_kept_epoch_is_marked():
    svg = svg_drawing(draw_loss(history(), 2)).content
    assert ">training<" in svg
    assert ">validation<" in svg
    assert ">epoch 2 kept<" in svg


def test_curves_differ_without_colour():
    lines = draw_loss(history(), 2).axes[0].get_lines()
    training, validation = lines[0], lines[1]
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()


def test_names_of_curves_that_end_together_do_not_overlap():
    close = history()
    close["train_loss"] = close["val_loss"]
    figure = draw_loss(close, 2)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text() in ("training", "validation")]
    assert len(boxes) == 2
    assert not boxes[0].overlaps(boxes[1])


def test_one_epoch_is_a_point_with_a_whole_number_under_it():
    figure = draw_accuracy(history(1), 1)
    figure.canvas.draw()
    axes = figure.axes[0]
    left, right = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if left <= tick <= right] == [1]


def test_one_epoch_has_no_kept_one_and_each_point_its_name_beside_it():
    figure = draw_loss(history(1), 1)
    figure.canvas.draw()
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["training", "validation"]
    for line, text in zip(axes.get_lines(), axes.texts, strict=True):
        x, y = axes.transData.transform((line.get_xdata()[0], line.get_ydata()[0]))
        box = text.get_window_extent()
        assert 0 < box.x0 - x < 25
        assert box.y0 < y < box.y1


def test_accuracy_is_told_in_percent():
    svg = svg_drawing(draw_accuracy(history(), 2)).content
    assert ">80 %<" in svg


def test_the_confusion_matrix_tells_counts_and_shares_of_the_true_class():
    svg = svg_drawing(draw_confusion(COUNTS, ("negative", "positive"))).content
    for words in (">421<", ">77<", ">84.5 %<", ">15.5 %<", ">99<", ">403<", ">19.7 %<", ">80.3 %<"):
        assert words in svg


def test_a_class_without_rows_has_no_share_to_divide_by():
    svg = svg_drawing(draw_confusion(np.array([[5, 0], [0, 0]]), ("negative", "positive"))).content
    assert ">100.0 %<" in svg
    assert "nan" not in svg


@pytest.mark.parametrize("num_classes", [2, 3, 10, 20, 77])
def test_any_number_of_classes_fits_on_the_picture(num_classes, tmp_path):
    names = tuple(f"a class with a rather long name {index}" for index in range(num_classes))
    save_figure(tmp_path / "confusion.png", draw_confusion(np.eye(num_classes, dtype=np.int64), names))
    picture = np.asarray(Image.open(io.BytesIO((tmp_path / "confusion.png").read_bytes())).convert("L"))
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert edge.min() == 255, "something is cut off at the edge"


@pytest.mark.parametrize("num_classes", [11, 20, 77])
def test_a_matrix_of_many_classes_has_every_name_in_letters_that_can_be_read_and_no_numbers(num_classes):
    names = tuple(f"a long name {index}" for index in range(num_classes))
    figure = draw_confusion(7 * np.eye(num_classes, dtype=np.int64), names)
    axes = figure.axes[0]

    assert not list(axes.texts)
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == list(names)
        assert min(label.get_fontsize() for label in labels) >= 5.5


@pytest.mark.parametrize("num_classes", [11, 20, 77])
def test_names_of_many_classes_do_not_run_into_each_other(num_classes):
    names = tuple(f"a long name {index}" for index in range(num_classes))
    figure = draw_confusion(np.eye(num_classes, dtype=np.int64), names)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]

    assert not any(upper.overlaps(lower) for upper, lower in pairwise(boxes))


def test_names_of_classes_are_text_and_nothing_else():
    svg = svg_drawing(draw_confusion(COUNTS, ("$5 to $10", "<b>bold</b>"))).content
    assert "$5 to $10" in svg
    assert "<b>" not in svg


def bars(figure):
    """Shares of the training and of the test texts, and the edges that they share."""
    train, test = (patch.get_data() for patch in figure.axes[0].patches)
    np.testing.assert_array_equal(train.edges, test.edges)
    return train.values, test.values, train.edges


def test_each_text_is_counted_in_one_bar_and_an_edge_parts_what_is_read_from_what_is_cut():
    train, test, edges = bars(draw_lengths(LENGTHS))

    assert 128 in edges
    assert train.sum() == pytest.approx(1)
    assert test.sum() == pytest.approx(1)
    assert train[edges[1:] > 128].sum() == pytest.approx(2 / 5)
    assert (test[0], test[1], test[-1]) == (0.5, 0.25, 0.25)


def test_a_text_far_longer_than_the_others_takes_the_last_bar_and_not_the_whole_axis():
    figure = draw_lengths(LENGTHS | {"test": make_lengths([15, 50_000])})
    _, test, edges = bars(figure)

    assert (edges[-1], test[-1]) == (512, 0.5)
    assert figure.axes[0].get_xlabel() == "tokens; longer texts are in the last bar, from 496"
    assert draw_lengths(LENGTHS | {"test": make_lengths([15, 512])}).axes[0].get_xlabel() == "tokens"
