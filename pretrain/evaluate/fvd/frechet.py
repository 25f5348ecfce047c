"""The Fréchet distance between two sets of features, in float64, with its sampling error and its bias.

The sets are taken to be Gaussian (Heusel et al. 2017, arXiv:1706.08500, Eq. 6; for videos Unterthiner et al. 2018,
arXiv:1812.01717): d² = |m - m'|² + tr(A + B - 2 (A^(1/2) B A^(1/2))^(1/2)).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Float64

from videoar.pretrain.evaluate.intervals import LEVEL, Interval

Features = Float64[np.ndarray, "_ d"]

RESAMPLES = 200
"""Resamples of the bootstrap; each needs two eigen-decompositions of a (d, d) matrix."""

FRACTIONS = 8
"""Sizes of subsets, from half of the clips to all, that the extrapolation is fitted to."""

REPEATS = 4
"""Random subsets of each size."""


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Count, mean and scatter of features: what a distance needs, merged from parts in any order."""

    count: int
    mean: Float64[np.ndarray, " d"]
    scatter: Float64[np.ndarray, "d d"]
    """Sum over the features of (x - mean)(x - mean)^T."""

    @classmethod
    def of(cls, features: Features) -> Moments:
        """Moments of one chunk, which may be empty."""
        count, dim = features.shape
        mean = features.mean(0) if count else np.zeros(dim)
        centred = features - mean
        return cls(count, mean, centred.T @ centred)

    @property
    def covariance(self) -> Float64[np.ndarray, "d d"]:
        """The unbiased estimate, from at least two features."""
        assert self.count > 1, "a covariance needs two features"
        return self.scatter / (self.count - 1)

    def merged(self, other: Moments) -> Moments:
        """Moments of both sets together, without the cancellation of sums of squares (Chan et al. 1979)."""
        count = self.count + other.count
        if not count:
            return self
        step = other.mean - self.mean
        weight = self.count * other.count / count
        return Moments(
            count,
            self.mean + step * (other.count / count),
            self.scatter + other.scatter + weight * np.outer(step, step),
        )


def merge(parts: list[Moments]) -> Moments:
    """Moments of the whole from those of its chunks or processes."""
    return reduce(Moments.merged, parts)


def frechet_distance(a: Moments, b: Moments) -> float:
    """Squared Fréchet distance of two Gaussians with these moments; 0 to rounding for equal ones.

    The trace of the root is the sum of the roots of the eigenvalues of a symmetric matrix: no complex numbers appear.
    """
    first, second = a.covariance, b.covariance
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(_positive(values))) @ vectors.T
    product = root @ second @ root
    shared = np.sqrt(_positive(np.linalg.eigvalsh((product + product.T) / 2))).sum()
    step = a.mean - b.mean
    return float(step @ step + np.trace(first) + np.trace(second) - 2 * shared)


def distance_of(real: Features, generated: Features) -> float:
    """The distance of two sets of features."""
    return frechet_distance(Moments.of(real), Moments.of(generated))


def bootstrap(
    real: Features, generated: Features, seed: int = 0, resamples: int = RESAMPLES, *, paired: bool = False
) -> Interval:
    """The distance with a 95 % interval over other sets of clips of the same sizes.

    A resample repeats features, which adds a bias of its own to each distance. Only the spread of the resamples around
    their mean is used, and put around the distance: the interval contains no correction of the bias at this count.
    With `paired`, each generated clip is the reconstruction of the real one with its number: they are drawn together.
    """
    generator = np.random.default_rng(seed)
    value = distance_of(real, generated)

    def resampled() -> float:
        of_real = generator.integers(len(real), size=len(real))
        of_generated = of_real if paired else generator.integers(len(generated), size=len(generated))
        return distance_of(real[of_real], generated[of_generated])

    found = np.array([resampled() for _ in range(resamples)])
    tail = (1 - LEVEL) / 2
    low, high = value + np.quantile(found, [tail, 1 - tail]) - found.mean()
    return Interval(np.asarray(value), np.maximum(low, 0), np.asarray(high))


def extrapolate(real: Features, generated: Features, seed: int = 0, *, paired: bool = False) -> float | None:
    """The distance at infinitely many clips: the intercept of a line through the distances of subsets over 1/count.

    (Chong and Forsyth 2020, arXiv:1911.07023.) None unless half of each set has more clips than a feature has
    numbers: below that the distance is not linear in 1/count.
    """
    if min(len(real), len(generated)) <= 2 * real.shape[1]:
        return None
    generator = np.random.default_rng(seed)

    def of_part(fraction: float) -> float:
        order = generator.permutation(len(real))
        of_real, other = real[order[: round(fraction * len(real))]], order
        if not paired:
            other = generator.permutation(len(generated))
        return distance_of(of_real, generated[other[: round(fraction * len(generated))]])

    inverses = np.repeat(np.linspace(1, 2, FRACTIONS), REPEATS)
    found = [of_part(1 / inverse) for inverse in inverses]
    return float(np.polynomial.Polynomial.fit(inverses, found, 1)(0.0))


def _positive(values: Float64[np.ndarray, " d"]) -> Float64[np.ndarray, " d"]:
    """Eigenvalues without those that are rounding errors of 0, whose roots would be large."""
    return np.where(values > len(values) * np.finfo(np.float64).eps * np.abs(values).max(), values, 0.0)
