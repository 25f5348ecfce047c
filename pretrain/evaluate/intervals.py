"""How reliable a figure is: bootstrap intervals over samples, and Wilson's interval of a share."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Float64

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure (or a table of them) with its 95 % interval; bootstrap intervals are between percentiles."""

    value: Float64[np.ndarray, ...]
    low: Float64[np.ndarray, ...]
    high: Float64[np.ndarray, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists (or numbers) for a report; None for a cell without data."""
        return {name: _plain(getattr(self, name).tolist()) for name in ("value", "low", "high")}


def ratio_interval(
    parts: Float64[np.ndarray, "n ..."], wholes: Float64[np.ndarray, "n ..."], seed: int = 0
) -> Interval:
    """sum of parts / sum of wholes over the samples; NaN where the wholes are 0.

    Samples are redrawn with replacement. Clips of one source are alike, which makes the interval too narrow.
    """
    counts = _draws(len(parts), seed)
    return _interval(
        _ratio(np.asarray(parts.sum(0)), np.asarray(wholes.sum(0))),
        _ratio(_resum(counts, parts), _resum(counts, wholes)),
    )


def difference_interval(
    parts: Float64[np.ndarray, "n ..."],
    others: Float64[np.ndarray, "n ..."],
    wholes: Float64[np.ndarray, "n ..."],
    seed: int = 0,
) -> Interval:
    """The difference of two ratios over the same samples.

    If the interval is above 0, the first is better on this kind of data. The samples are paired, so what makes one hard
    for both cancels.
    """
    return ratio_interval(parts - others, wholes, seed)


def wilson(right: int, of: int) -> Interval:
    """The share of successes in independent trials; NaN if there were none (Wilson 1927).

    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n): unlike the bootstrap's, its width is not 0 where all or none
    succeed.
    """
    if not of:
        return Interval(*(np.asarray(np.nan) for _ in range(3)))
    z, share = NormalDist().inv_cdf((1 + LEVEL) / 2), right / of
    centre = share + z**2 / (2 * of)
    half = z * (share * (1 - share) / of + z**2 / (4 * of**2)) ** 0.5
    low, high = ((centre + sign * half) / (1 + z**2 / of) for sign in (-1, 1))
    # The bounds of none and of all are 0 and 1 but for rounding.
    return Interval(np.asarray(share), np.asarray(low if right else 0.0), np.asarray(high if right < of else 1.0))


def _draws(num_samples: int, seed: int) -> Float64[np.ndarray, "resamples n"]:
    """How often each sample is in each resample."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(num_samples, np.full(num_samples, 1 / num_samples), RESAMPLES).astype(np.float64)


def _resum(
    counts: Float64[np.ndarray, "resamples n"], values: Float64[np.ndarray, "n ..."]
) -> Float64[np.ndarray, "resamples ..."]:
    return np.tensordot(counts, values, axes=1)


def _ratio(parts: np.ndarray, wholes: np.ndarray) -> Float64[np.ndarray, ...]:
    return np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes > 0)


def _interval(value: np.ndarray, resampled: np.ndarray) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail], axis=0)
    return Interval(np.asarray(value), np.asarray(low), np.asarray(high))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if np.isnan(value) else value
