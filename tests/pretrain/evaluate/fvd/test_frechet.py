"""The distance against closed forms and independent sums; moments from parts; interval and extrapolation."""

from __future__ import annotations

import numpy as np
import pytest

from videoar.pretrain.evaluate.fvd.frechet import Moments, bootstrap, distance_of, extrapolate, frechet_distance, merge

DIM = 12


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> Moments:
    """Exact moments, as if of many features."""
    return Moments(1001, np.asarray(mean, np.float64), np.asarray(covariance, np.float64) * 1000)


def drawn(count: int, seed: int, dim: int = DIM) -> np.ndarray:
    """Correlated features whose variances fall as 1/k, far from the origin."""
    generator = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(dim, dim))
    return 50 + generator.normal(size=(count, dim)) / np.sqrt(np.arange(1, dim + 1)) @ mixing


def test_diagonal_gaussians_have_a_closed_form() -> None:
    """|m - m'|² + Σ (√a - √b)²: the root of a product of matrices that commute is known."""
    generator = np.random.default_rng(0)
    a, b = generator.uniform(0, 4, (2, DIM))
    m, n = generator.normal(size=(2, DIM))
    expected = ((m - n) ** 2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet_distance(gaussian(m, np.diag(a)), gaussian(n, np.diag(b))) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("count", [300, 5])  # 5: a singular covariance, whose zeros must not become roots of rounding
def test_equal_sets_are_at_0_and_a_shift_at_its_square(count: int) -> None:
    """A distance of a set to itself that is not 0 would be read as a difference."""
    features = drawn(count, 1)
    spread = np.trace(Moments.of(features).covariance)
    assert abs(distance_of(features, features)) < 1e-11 * spread
    shift = np.random.default_rng(2).normal(size=DIM)
    assert distance_of(features, features + shift) == pytest.approx(shift @ shift, rel=1e-9)


def test_equals_independent_dense_sums() -> None:
    """The same trace by the eigenvalues of A B, which is not symmetric, and by singular values of centred features."""
    x, y = drawn(200, 1), drawn(300, 2) * 1.3
    step = x.mean(0) - y.mean(0)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    around = step @ step + np.trace(a) + np.trace(b)
    by_eigenvalues = around - 2 * np.sqrt(np.linalg.eigvals(a @ b).real).sum()
    cross = (x - x.mean(0)) @ (y - y.mean(0)).T / np.sqrt(199 * 299)
    by_singular_values = around - 2 * np.linalg.svd(cross, compute_uv=False).sum()
    assert distance_of(x, y) == pytest.approx(by_eigenvalues, rel=1e-10)
    assert distance_of(x, y) == pytest.approx(by_singular_values, rel=1e-10)
    assert distance_of(y, x) == pytest.approx(distance_of(x, y), rel=1e-10)


def test_rotations_of_both_sets_change_nothing() -> None:
    """The distance belongs to the sets, not to the axes of the features."""
    x, y = drawn(200, 1), drawn(200, 2) * 1.2
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(DIM, DIM)))
    assert distance_of(x @ rotation, y @ rotation) == pytest.approx(distance_of(x, y), rel=1e-9)


@pytest.mark.parametrize("cuts", [(0, 1, 2, 200), (7, 50, 51, 123), (100, 100, 100, 100)])
def test_moments_of_parts_are_those_of_the_whole(cuts: tuple[int, ...]) -> None:
    """Processes have parts of any size, empty ones too, and are merged in any order."""
    features = drawn(200, 1) + 1e4  # sums of squares in float64 would lose half of the digits here
    order = np.random.default_rng(4).permutation(200)
    parts = [Moments.of(part) for part in np.split(features[order], cuts)]
    whole = Moments.of(features)
    for found in (merge(parts), merge(parts[::-1])):
        assert found.count == 200
        np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-13)
        np.testing.assert_allclose(found.covariance, np.cov(features, rowvar=False), rtol=1e-9, atol=1e-9)
        other = Moments.of(drawn(100, 2))
        assert frechet_distance(found, other) == pytest.approx(frechet_distance(whole, other), rel=1e-11)


def test_few_samples_are_far_from_their_own_kind() -> None:
    """The bias falls as 1/count: why numbers of 256 and of 2,048 clips must not be compared."""
    found = [np.mean([distance_of(drawn(n, i), drawn(n, 50 + i)) for i in range(20)]) for n in (50, 200, 800)]
    assert found[0] > 3 * found[1] > 9 * found[2] > 0


def test_the_interval_is_as_wide_as_the_spread_over_other_clips() -> None:
    """A resample repeats features; a plain percentile interval would lie above the number that it belongs to."""
    pairs = [(drawn(150, i), drawn(150, 1000 + i) * 1.5) for i in range(60)]
    spread = np.std([distance_of(x, y) for x, y in pairs])
    found = [bootstrap(x, y, seed=i, resamples=60) for i, (x, y) in enumerate(pairs[:6])]
    widths = [float(interval.high - interval.low) for interval in found]
    assert np.mean(widths) == pytest.approx(2 * 1.96 * spread, rel=0.3)
    found.append(bootstrap(drawn(40, 1), drawn(40, 2), resamples=60))  # nothing but bias
    assert all(0 <= interval.low < interval.value < interval.high for interval in found)


def test_the_seed_fixes_interval_and_extrapolation() -> None:
    """A number that cannot be computed again cannot be checked."""
    x, y = drawn(60, 1), drawn(60, 2)
    first, again, other = (bootstrap(x, y, seed=seed, resamples=10) for seed in (5, 5, 6))
    assert first.to_dict() == again.to_dict()
    assert first.low != other.low
    assert extrapolate(x, y, 5) == extrapolate(x, y, 5) != extrapolate(x, y, 6)


def test_extrapolation_takes_most_of_the_bias_away() -> None:
    """Of equal distributions, the intercept over 1/count is near 0 and the distance is not."""
    pairs = [(drawn(400, i), drawn(400, 1000 + i)) for i in range(5)]
    biased = np.mean([distance_of(x, y) for x, y in pairs])
    limits = [extrapolate(x, y) for x, y in pairs]
    assert abs(np.mean([limit for limit in limits if limit is not None])) < biased / 5
    assert extrapolate(drawn(2 * DIM, 1), drawn(400, 2)) is None


def test_reconstructions_are_drawn_with_their_clips() -> None:
    """Drawn apart, clips that are nearly equal seem to differ by all the chance of two draws."""
    real = drawn(400, 0)
    rebuilt = real + 0.1 * drawn(400, 1)
    paired, apart = (bootstrap(real, rebuilt, resamples=100, paired=is_paired) for is_paired in (True, False))
    assert paired.value == apart.value
    assert paired.high - paired.low < 0.1 * (apart.high - apart.low)
    whole = extrapolate(real, rebuilt, paired=True)
    assert whole is not None
    assert abs(whole - paired.value) < 0.5 * paired.value
