"""Figures as people read them."""

import pytest

from ekle.artifacts.evaluation_report import Figure
from ekle.page.formatting import number, ratio, ratio_interval


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.00"),
        (0.00123, "0.0012"),
        (-0.5, "−0.50"),
        (4.254, "4.25"),
        (162.94, "162.9"),
        (162_924.1, "162,924"),
    ],
)
def test_a_number_keeps_the_digits_that_matter(value, shown):
    assert number(value) == shown


def test_a_quotient_has_its_interval_where_there_is_one():
    assert ratio(Figure(value=1.024)) == "1.02×"
    assert ratio_interval(Figure(value=1.024)) == ""
    assert ratio_interval(Figure(value=1.024, low=0.987, high=1.05)) == "0.99 to 1.05"
