from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from stages.reporting.study.figures import (
    draw_cost,
    draw_curves,
    draw_fixed_steps,
    draw_leak,
    draw_paid,
    draw_reliability,
    draw_study,
)
from stages.reporting.study.forest import draw_differences
from stages.reporting.study.tuning import draw_tuning
from stages.reporting.style import save_figure, svg_drawing
from tests.reporting.study.made_findings import bare, curve, one_seed, study, with_left_out

DRAWINGS = {
    "curve": draw_curves,
    "paid": draw_paid,
    "differences": draw_differences,
    "protocols": draw_fixed_steps,
    "reliability": draw_reliability,
    "cost": draw_cost,
    "leak": draw_leak,
    "tuning": draw_tuning,
}
FIGURES = set(DRAWINGS)


@pytest.fixture(scope="module")
def figures():
    return draw_study(study())


def texts(figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_study_with_everything_has_every_figure(figures):
    assert set(figures) == FIGURES


def test_of_a_study_without_a_finished_cell_nothing_is_drawn():
    assert draw_study(bare()) == {}


def test_what_was_not_run_has_no_figure():
    assert set(draw_study(one_seed())) == {"curve", "paid", "differences", "reliability", "cost"}
    assert draw_fixed_steps(one_seed()) is None
    assert draw_leak(one_seed()) is None
    assert draw_tuning(one_seed()) is None


def test_labels_paid_are_an_axis_of_their_own_only_where_validation_costs_some():
    free = tuple(
        replace(each, points=tuple(replace(point, val_rows=0) for point in each.points)) for each in study().curves
    )
    assert draw_paid(replace(study(), curves=free)) is None

    axes = draw_paid(study()).axes[0]
    smallest = {line.get_marker(): min(line.get_xdata()) for line in axes.get_lines() if len(line.get_xdata()) == 9}
    assert axes.get_xlabel().startswith("labels in all")
    assert smallest["o"] == pytest.approx(1_250, rel=0.2)  # lora: 250 and 1,000 for validation
    assert min(smallest.values()) == pytest.approx(250, rel=0.2)  # tfidf needs none


def test_tuning_has_a_panel_for_each_method_and_a_large_mark_where_a_value_was_chosen():
    lora, tfidf = draw_tuning(study()).axes
    marked = [line for line in lora.get_lines() if line.get_markersize() == 8]

    assert [text.get_text() for text in lora.get_legend().get_texts()] == ["1,000", "8,000", "56,000"]
    assert sorted(float(line.get_xdata()[0]) for line in marked) == [0.00025, 0.0005, 0.001]
    assert "inverse regularization" in tfidf.get_xlabel()


@pytest.mark.parametrize("name", sorted(FIGURES))
@pytest.mark.parametrize("ending", ["pdf", "png"])
def test_nothing_is_cut_off_and_two_drawings_have_the_same_bytes(name, ending, tmp_path):
    first, second = tmp_path / f"first.{ending}", tmp_path / f"second.{ending}"
    save_figure(first, DRAWINGS[name](study()))
    save_figure(second, DRAWINGS[name](study()))
    assert first.read_bytes() == second.read_bytes()
    if ending == "png":
        picture = np.asarray(Image.open(first).convert("L"))
        stripes = 230  # the lightest grey that may run to the edge: the headings' background
        assert min(picture[0].min(), picture[-1].min(), picture[:, 0].min(), picture[:, -1].min()) > stripes


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_every_figure_fits_a_phone_and_a_printed_page(figures, name):
    width, height = figures[name].get_size_inches()
    assert width <= 5
    assert height < 15


def test_points_that_do_not_count_are_white_inside():
    def hollow(found):
        lines = draw_curves(found).axes[0].get_lines()
        return sum(line.get_markerfacecolor() == "white" and len(line.get_xdata()) for line in lines)

    assert hollow(with_left_out()) == 2
    assert hollow(study()) == 0
    assert any("hollow: left out" in text for text in texts(draw_curves(with_left_out())))


def test_contrasts_stay_out_of_the_learning_curve():
    legend = draw_curves(study()).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["lora", "full", "head", "tfidf"]


def test_a_curve_has_a_band_only_where_it_was_fitted():
    assert len(draw_curves(study()).axes[0].collections) > len(draw_curves(one_seed()).axes[0].collections)
    assert "predicted" in texts(draw_curves(study()))
    assert "predicted" not in texts(draw_curves(one_seed()))


def test_every_seed_has_a_dot_and_one_seed_has_none_of_its_own():
    def dots(figure):
        return [line for line in figure.axes[0].get_lines() if line.get_marker() == "."]

    assert len(dots(draw_curves(study()))) == 29  # nine sizes of three methods, two of full
    assert all(len(line.get_ydata()) == 3 for line in dots(draw_curves(study())))
    assert dots(draw_curves(one_seed())) == []


def test_numbers_under_the_sizes_do_not_touch():
    figure = draw_curves(study())
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_xticklabels() if label.get_text()]
    assert len(boxes) >= 4
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))


def test_each_method_has_its_reliability_before_and_after():
    figure = draw_reliability(study())
    assert len(figure.axes) == 4
    for axes in figure.axes:
        lines = [line for line in axes.get_lines() if len(line.get_xdata()) == 15]
        assert {line.get_marker() for line in lines} == {"s", "o"}
        assert {line.get_markerfacecolor() == "white" for line in lines} == {True, False}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_any_number_of_methods_has_a_panel_each(number):
    curves = tuple(curve(method) for method in ("lora", "head", "tfidf")[:number])
    assert len(draw_reliability(replace(study(), curves=curves)).axes) == number


def test_training_that_took_no_time_has_a_place_on_the_logarithmic_axis():
    quick = curve("tfidf")
    quick = replace(quick, points=tuple(replace(point, train_seconds=0.0) for point in quick.points))
    above = draw_cost(replace(study(), curves=(quick,))).axes[0]
    assert all(np.all(line.get_xdata() > 0) for line in above.get_lines())


def test_figures_on_one_page_share_no_element_names():
    names = [name for figure in draw_study(study()).values() for name in _names(svg_drawing(figure).content)]
    assert not [name for name in names if name.rpartition("_")[2].isdigit()]


def _names(svg: str) -> list[str]:
    return [part.split('"')[0] for part in svg.split(' id="')[1:]]


def test_one_size_of_one_method_is_a_study_that_can_be_drawn(tmp_path):
    figures = draw_study(replace(one_seed(), curves=(curve("lora", (1000,)),), differences=()))
    assert set(figures) == {"curve", "paid", "reliability", "cost"}
    for name, figure in figures.items():
        save_figure(tmp_path / f"{name}.png", figure)
    assert [text.get_text() for text in figures["curve"].axes[0].get_xticklabels()] == ["1,000"]
