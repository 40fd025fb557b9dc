import pytest

from stages.foundation.interval import Interval
from stages.reporting import numbers
from stages.reporting.numbers import NARROW, NONE

GAIN = Interval(value=0.0041, low=-0.0003, high=0.0182, confidence_level=0.9)
ACCURACY = Interval(value=0.8493, low=0.823, high=0.8712, confidence_level=0.95)


def test_fractions_are_told_in_percent():
    assert numbers.percent(0.8436) == f"84.4{NARROW}%"
    assert numbers.percent(0.9934, 0) == f"99{NARROW}%"
    assert numbers.level(0.95) == f"95{NARROW}%"
    assert numbers.level(0.855) == f"85.5{NARROW}%"


@pytest.mark.parametrize(
    ("fraction", "told"),
    [
        (0.0041, "+0.4"),
        (-0.0252, "\N{MINUS SIGN}2.5"),
        (0.0, "0.0"),
        (-0.0003, "0.0"),
        (0.0003, "0.0"),
        (-0.0, "0.0"),
    ],
)
def test_a_difference_has_a_sign_unless_it_rounds_to_none(fraction, told):
    assert numbers.signed(fraction) == told


def test_a_difference_reads_the_same_in_a_table_and_in_a_sentence():
    assert numbers.signed_interval(GAIN) == "+0.4 [0.0, +1.8]"
    assert numbers.points_in_words(GAIN) == f"+0.4 points (90{NARROW}% interval 0.0 to +1.8)"


def test_an_accuracy_stands_with_its_interval():
    assert numbers.with_interval(ACCURACY) == f"84.9{NARROW}% [82.3, 87.1]"
    assert numbers.bare_interval(ACCURACY) == "84.9 [82.3, 87.1]"
    assert numbers.bare_interval(ACCURACY, 0) == "84.9 [82, 87]"


def test_rows_are_counted_and_never_promise_more_digits_than_a_fit_can_tell():
    assert numbers.count(67349) == "67,349"
    assert numbers.rounded(21650.3) == "22,000"
    assert numbers.rounded(812.3) == "810"
    assert numbers.share(87, 872) == f"87 (10.0{NARROW}%)"
    assert numbers.share(0, 872) == "0"


def test_one_is_singular():
    assert [numbers.seeds(number) for number in (1, 3)] == ["1 seed", "3 seeds"]
    assert numbers.counted(1000, "step") == "1,000 steps"
    assert [numbers.margin(fraction) for fraction in (0.01, 0.02, 0.025)] == ["1 point", "2 points", "2.5 points"]


def test_nothing_small_is_told_as_none():
    assert numbers.p_value(0.0004) == "< 0.001"
    assert numbers.p_value(0.0316) == "0.032"
    assert [numbers.seconds(value) for value in (0.0, 1.46, 1506.3)] == ["< 0.1", "1.5", "1,506"]


def test_a_list_is_read_aloud_and_a_long_one_is_counted():
    assert numbers.listed(["250"]) == "250"
    assert numbers.listed(["250", "500", "1,000"]) == "250, 500 and 1,000"
    names = tuple(f"cell {number}" for number in range(11))
    assert numbers.shortened(names[:9]) == names[:9]
    assert numbers.shortened(names) == (*names[:8], "and 3 more")


def test_a_number_without_a_value_has_a_dash_and_a_name_stays_on_its_line():
    assert NONE == "\N{EN DASH}"
    assert " " not in numbers.unbroken("lora, 1,750 steps")
