"""Intervals on cases whose answer is known."""

import numpy as np
import pytest

from ekle.artifacts.evaluation_report import Figure
from ekle.evaluation.trust.intervals import change, clustered, ratio, saved, share


def test_a_ratio_of_sums_is_no_mean_of_ratios():
    assert ratio([10, 10], [1, 9], 100, seed=0) == Figure(value=2.0)


def test_few_documents_give_no_interval():
    assert ratio([1.0] * 9, [1.0] * 9, 100, seed=0).low is None
    assert ratio([1.0] * 9 + [2.0], [1.0] * 10, 100, seed=0).low is not None


def test_change_is_relative_to_what_was_before():
    assert change([3], [4], 10, seed=0).value == pytest.approx(-0.25)
    assert change([5], [4], 10, seed=0).value == pytest.approx(0.25)


def test_the_interval_is_as_wide_as_theory_says():
    # The mean of n draws with standard deviation 1 has a 95 % interval of 2 x 1.96 / sqrt(n).
    for size in (400, 9_000):  # above 1,000 documents are grouped first
        values = np.random.default_rng(5).normal(10, 1, size)
        figure = ratio(values, np.ones(size), 2_000, seed=1)
        assert figure.high - figure.low == pytest.approx(2 * 1.96 / np.sqrt(size), rel=0.1)
        assert figure.low < figure.value < figure.high


def test_a_paired_comparison_sees_what_the_spread_of_documents_hides():
    random = np.random.default_rng(2)
    before = random.uniform(1, 100, 200)
    after = before * random.uniform(0.97, 0.99, 200)
    assert change(after, before, 500, seed=0).is_significant


def test_noise_is_not_called_a_change():
    random = np.random.default_rng(3)
    before, after = random.uniform(1, 100, (2, 200))
    assert not change(after, before, 500, seed=0).is_significant


def test_without_an_interval_nothing_is_clear():
    assert not Figure(value=-0.9).is_significant


def test_the_seed_decides_the_draw():
    values = np.arange(50.0)
    first, again, other = (ratio(values, np.ones(50), 100, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_a_share_of_nothing_still_has_an_upper_limit():
    figure = share(0, 1_000)
    assert figure.value == figure.low == 0
    assert figure.high == pytest.approx(0.00383, abs=1e-5)  # z^2 / (n + z^2)


def test_a_share_has_wilsons_interval():
    figure = share(10, 100)  # worked by hand: (0.1 + 0.0192 -+ 0.0610) / 1.0384
    assert (figure.low, figure.high) == (
        pytest.approx(0.0552, abs=1e-4),
        pytest.approx(0.1744, abs=1e-4),
    )


def test_a_share_over_documents_is_never_certain_of_none_or_all():
    # Twelve documents of three items: Wilson's limits of 0 of 12 and 12 of 12, not of 36.
    assert clustered([0] * 12, [3] * 12, 50, seed=0) == share(0, 12)
    assert clustered([3] * 12 + [0], [3] * 12 + [0], 50, seed=0) == share(12, 12)
    assert clustered([0, 3] * 6, [3] * 12, 50, seed=0) == ratio([0, 3] * 6, [3] * 12, 50, seed=0)
    assert clustered([0] * 9, [3] * 9, 50, seed=0) == Figure(value=0.0)


def test_limits_of_none_and_all_are_exact():
    for size in range(1, 300):
        assert share(0, size).low == 0.0 and share(size, size).high == 1.0


def test_documents_that_are_all_alike_have_no_interval():
    assert ratio([1] * 12, [3] * 12, 100, seed=0).dump() == {"value": pytest.approx(1 / 3)}
    assert saved([3] * 20, [4] * 20, 200, seed=0).dump() == {"value": pytest.approx(0.25)}
    assert ratio([1] * 11 + [2], [3] * 12, 100, seed=0).low is not None
    assert clustered([0] * 12, [3] * 12, 100, seed=0).low is not None, "a share of 0 has Wilson's"
