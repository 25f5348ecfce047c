"""Bootstrap intervals: their width, and what they are taken of; Wilson's of a share."""

import numpy as np
import pytest

from videoar.pretrain.evaluate.intervals import difference_interval, ratio_interval, wilson


def test_the_interval_has_the_width_that_theory_gives() -> None:
    """An interval over bits instead of samples would be far too narrow."""
    values = np.random.default_rng(0).normal(5.0, 2.0, size=(400, 3))
    interval = ratio_interval(values, np.ones_like(values))
    np.testing.assert_allclose(interval.value, values.mean(0))
    np.testing.assert_allclose(interval.high - interval.low, 2 * 1.96 * 2.0 / 20, rtol=0.15)


def test_a_ratio_of_sums_is_no_mean_of_ratios() -> None:
    """Samples with more bits count for more."""
    assert ratio_interval(np.array([1.0, 0.0]), np.array([1.0, 9.0])).value == 0.1


def test_a_paired_difference_is_narrower_than_its_parts() -> None:
    """What makes a clip hard for both must cancel, or no gain would ever show on few clips."""
    generator = np.random.default_rng(0)
    hard = generator.uniform(0, 100, 50)
    first, second, wholes = hard + 5 + generator.normal(0, 0.5, 50), hard, np.full(50, 100.0)
    paired = difference_interval(first, second, wholes)
    alone = ratio_interval(first, wholes)
    assert 0.04 < paired.low < paired.value < paired.high < 0.06
    assert (alone.high - alone.low) > 10 * (paired.high - paired.low)


def test_a_cell_without_data_is_none() -> None:
    """A frame with nothing to copy has no accuracy: 0 would be a lie and NaN no JSON."""
    told = ratio_interval(np.zeros((3, 2)), np.array([[0.0, 1.0]] * 3)).to_dict()
    assert told == {"value": [None, 0.0], "low": [None, 0.0], "high": [None, 0.0]}


@pytest.mark.parametrize(
    ("right", "of", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
)
def test_the_interval_of_a_share_is_wilsons(right: int, of: int, low: float, high: float) -> None:
    """Published examples (Newcombe 1998, Table I, method 3); with 0 of 20 the bootstrap would be sure of 0."""
    interval = wilson(right, of)
    np.testing.assert_allclose([interval.value, interval.low, interval.high], [right / of, low, high], atol=5e-5)
    other = wilson(of - right, of)
    np.testing.assert_allclose([1 - other.high, 1 - other.low], [low, high], atol=5e-5)


def test_all_and_none_have_a_bound_without_rounding() -> None:
    """A share of 0.9999999999999999 at most would be told of 128 of 128."""
    assert {float(wilson(count, count).high) for count in range(1, 200)} == {1.0}
    assert {float(wilson(0, count).low) for count in range(1, 200)} == {0.0}


def test_no_trial_has_no_share() -> None:
    """A pan that no sentence asks for is not 0 % right."""
    assert wilson(0, 0).to_dict() == {"value": None, "low": None, "high": None}
