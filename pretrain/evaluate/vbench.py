"""VBench's scores from the results of its dimensions (Huang et al. 2024, arXiv:2311.17982).

Each dimension is scaled between bounds that VBench gives, then averaged: seven for quality, nine for semantics. The
total has four parts of quality and one of semantics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videoar.cluster.ground.checks import short
from videoar.cluster.ground.errors import InputError


@dataclass(frozen=True, slots=True)
class Dimension:
    """How a dimension counts."""

    low: float = 0.0
    high: float = 1.0
    """Bounds that its results are scaled between."""
    weight: float = 1.0


QUALITY = {
    "subject_consistency": Dimension(0.1462),
    "background_consistency": Dimension(0.2615),
    "temporal_flickering": Dimension(0.6293),
    "motion_smoothness": Dimension(0.706, 0.9975),
    "dynamic_degree": Dimension(weight=0.5),
    "aesthetic_quality": Dimension(),
    "imaging_quality": Dimension(),
}
SEMANTIC = {
    "object_class": Dimension(),
    "multiple_objects": Dimension(),
    "human_action": Dimension(),
    "color": Dimension(),
    "spatial_relationship": Dimension(),
    "scene": Dimension(high=0.8222),
    "appearance_style": Dimension(0.0009, 0.2855),
    "temporal_style": Dimension(high=0.364),
    "overall_consistency": Dimension(high=0.364),
}
"""Bounds and weights of VBench's `scripts/constant.py`."""
_REMEDY = "give *_eval_results.json of VBench"
_QUALITY_PARTS, _SEMANTIC_PARTS = 4.0, 1.0


@dataclass(frozen=True, slots=True)
class VBenchScore:
    """Scores as shares; None for one that lacks a dimension."""

    total: float | None
    quality: float | None
    semantic: float | None
    missing: tuple[str, ...]
    """Dimensions without a result."""


def aggregate(results: Mapping[str, float]) -> VBenchScore:
    """The scores of results by dimension, each a share of 1."""
    quality, semantic = _mean(results, QUALITY), _mean(results, SEMANTIC)
    total = None
    if quality is not None and semantic is not None:
        total = (_QUALITY_PARTS * quality + _SEMANTIC_PARTS * semantic) / (_QUALITY_PARTS + _SEMANTIC_PARTS)
    missing = tuple(name for name in (*QUALITY, *SEMANTIC) if name not in results)
    return VBenchScore(total, quality, semantic, missing)


def read_results(paths: Sequence[Path]) -> dict[str, float]:
    """Results by dimension from the files that VBench's `evaluate` writes: `{dimension: [result, videos]}`.

    A plain number in place of the list is read, too. InputError for anything else, and for two results of a dimension.
    """
    if not paths:
        raise InputError("results", "''", "is missing", _REMEDY)
    found: dict[str, float] = {}
    for path in paths:
        for name, value in _read(path).items():
            if name not in QUALITY and name not in SEMANTIC:
                known = ", ".join((*QUALITY, *SEMANTIC))
                raise InputError("results", f"{path}: {name}", "is not a dimension of VBench", f"use one of: {known}")
            if name in found:
                raise InputError("results", f"{path}: {name}", "has two results", "give one file for each dimension")
            found[name] = _share(path, name, value[0] if isinstance(value, list) and value else value)
    return found


def _mean(results: Mapping[str, float], dimensions: Mapping[str, Dimension]) -> float | None:
    if not results.keys() >= dimensions.keys():
        return None
    scaled = sum(one.weight * (results[name] - one.low) / (one.high - one.low) for name, one in dimensions.items())
    return scaled / sum(one.weight for one in dimensions.values())


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise InputError("results", path, f"cannot be read ({error.strerror})", _REMEDY) from error
    except ValueError as error:
        raise InputError("results", path, "is not JSON", _REMEDY) from error
    if not isinstance(content, dict):
        raise InputError("results", path, "has no results by dimension", _REMEDY)
    return content


def _share(path: Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(
            "results", f"{path}: {name}={short(value)}", "is not a share from 0 to 1", "divide percents by 100"
        )
    return float(value)
