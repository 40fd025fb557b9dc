from itertools import combinations

from stages.reporting.style import LOOKS, drawn, new_figure, percent_ticks, short, svg_drawing


def luminance(color: str) -> float:
    red, green, blue = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2


def test_methods_are_told_apart_by_marker_and_dash_and_seen_on_white():
    for first, second in combinations(LOOKS.values(), 2):
        assert first.marker != second.marker
        assert first.dash != second.dash
        assert first.color != second.color
    for look in LOOKS.values():
        assert 1.05 / (luminance(look.color) + 0.05) > 3


def test_a_drawing_scales_keeps_its_size_and_has_no_names_of_its_own():
    figure = new_figure(4.5, 2)
    figure.add_subplot().plot([1, 2], [3, 4])
    drawing = svg_drawing(figure)
    assert drawing.width == "4.5"
    assert drawing.view_box.startswith("0 0 324 144")
    assert "<svg" not in drawing.content
    assert "</svg>" not in drawing.content
    assert 'id="axes_1"' not in drawing.content


def test_a_figure_writes_percent_with_a_space_that_every_font_has():
    assert percent_ticks()(0.85) == "85 %"
    assert drawn("84.4\N{NARROW NO-BREAK SPACE}%") == "84.4 %"


def test_a_name_that_is_too_long_is_cut_and_says_so():
    assert short("abcdef", 6) == "abcdef"
    assert short("abcdefg", 6) == "abcde…"
