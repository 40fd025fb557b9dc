from dataclasses import replace

import numpy as np
import pytest

from stages.reporting.study.forest import draw_differences
from tests.reporting.study.made_findings import difference, side, study


def texts(figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize("margin", [0.01, 0.02])
def test_the_margin_is_drawn_where_lora_meets_full_and_nowhere_else(margin):
    def margins(axes):
        dashed = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
        return [line for line in dashed if np.allclose(line.get_xdata(), -margin)]

    against_full, *others = draw_differences(study()).axes
    assert len(margins(against_full)) == 2  # sizes
    assert not any(margins(axes) for axes in others)


def test_the_verdict_is_written_beside_the_interval():
    assert {"8,000: inferior", "56,000 *: inconclusive"} <= set(texts(draw_differences(study())))


def test_every_difference_is_a_row_with_its_numbers():
    found = study()
    written = texts(draw_differences(found))
    against_full = {comparison.samples for comparison in found.comparisons}
    assert sum("[" in text for text in written) == len(found.differences) + len(against_full)
    assert "lora less tfidf, 95 % intervals" in written
    assert "32,000 less 16,000" in written


def test_lora_against_full_is_drawn_where_nothing_else_is_compared():
    figure = draw_differences(replace(study(), differences=()))
    assert len(figure.axes) == 1


def test_a_heading_names_the_curves_and_its_rows_the_sizes():
    told = texts(draw_differences(study()))
    steps = told[told.index("lora, 1,750 steps less lora, 95 % intervals") :]
    assert [text for text in steps if "[" not in text] == [
        "lora, 1,750 steps less lora, 95 % intervals",
        "500",
        "2,000",
        "8,000",
        "32,000",
    ]
    assert "lora, more rows less fewer, 95 % intervals" in told


def test_a_method_whose_name_has_a_comma_keeps_it():
    odd = difference("methods", side("lora", 1000), side("lora, merged", 1000), 0.01)
    told = texts(draw_differences(replace(study(), differences=(odd,), comparisons=())))
    assert "lora less lora, merged, 95 % intervals" in told
    assert "1,000" in told
