"""VBench's scores from the results of its dimensions (Huang et al. 2024, arXiv:2311.17982).

Each dimension is scaled between bounds that VBench gives, then averaged: seven for quality, nine for semantics. The
total has four parts of quality and one of semantics. VBench-I2V has six for quality and three for how well a video
continues its picture, and equal parts of both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import short


@dataclass(frozen=True, slots=True)
class Dimension:
    """How a dimension counts in the scores."""

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
I2V_QUALITY = {name: QUALITY[name] for name in QUALITY if name != "temporal_flickering"}
I2V = {"i2v_subject": Dimension(0.1462), "i2v_background": Dimension(0.2615), "camera_motion": Dimension(weight=0.1)}
"""Bounds and weights of VBench's `scripts/constant.py`; `I2V` and `I2V_QUALITY` are those of VBench-I2V."""
_KNOWN = QUALITY | SEMANTIC | I2V
_REMEDY = "give *_eval_results.json of VBench"
_QUALITY_PARTS, _SEMANTIC_PARTS = 4.0, 1.0
_I2V_QUALITY_PARTS, _I2V_PARTS = 1.0, 1.0


@dataclass(frozen=True, slots=True)
class VBenchScore:
    """Scores as shares; None for one that lacks a dimension."""

    total: float | None
    quality: float | None
    semantic: float | None
    """How well a video shows its prompt; None of VBench-I2V, which has no such score."""
    i2v: float | None
    """How well a video continues its picture; None of VBench, which has no such score."""
    missing: tuple[str, ...]
    """Dimensions without a result."""


def aggregate(results: Mapping[str, float]) -> VBenchScore:
    """The scores of results by dimension, each a share of 1: those of VBench-I2V if one of its own is among them."""
    if any(name in I2V for name in results):
        quality, i2v = _mean(results, I2V_QUALITY), _mean(results, I2V)
        total = _total((quality, _I2V_QUALITY_PARTS), (i2v, _I2V_PARTS))
        return VBenchScore(total, quality, None, i2v, _missing(results, I2V_QUALITY, I2V))
    quality, semantic = _mean(results, QUALITY), _mean(results, SEMANTIC)
    total = _total((quality, _QUALITY_PARTS), (semantic, _SEMANTIC_PARTS))
    return VBenchScore(total, quality, semantic, None, _missing(results, QUALITY, SEMANTIC))


def read_results(paths: Sequence[Path]) -> dict[str, float]:
    """Results by dimension from the files that VBench's `evaluate` writes: `{dimension: [result, videos]}`.

    A plain number in place of the list is read, too. InputError for anything else, and for two results of a dimension.
    """
    if not paths:
        raise InputError("results", "''", "is missing", _REMEDY)
    found: dict[str, float] = {}
    for path in paths:
        for name, value in _read(path).items():
            if name not in _KNOWN:
                remedy = f"use one of: {', '.join(_KNOWN)}"
                raise InputError("results", f"{path}: {name}", "is not a dimension of VBench", remedy)
            if name in found:
                raise InputError("results", f"{path}: {name}", "has two results", "give one file for each dimension")
            found[name] = _share(path, name, value[0] if isinstance(value, list) and value else value)
    of_i2v = [name for name in found if name in I2V]
    of_vbench = [name for name in found if name not in I2V and name not in I2V_QUALITY]
    if of_i2v and of_vbench:
        named = f"{of_i2v[0]} and {of_vbench[0]}"
        raise InputError("results", named, "are of VBench-I2V and of VBench", "give the results of one of them")
    return found


def _mean(results: Mapping[str, float], dimensions: Mapping[str, Dimension]) -> float | None:
    if not results.keys() >= dimensions.keys():
        return None
    scaled = sum(one.weight * (results[name] - one.low) / (one.high - one.low) for name, one in dimensions.items())
    return scaled / sum(one.weight for one in dimensions.values())


def _total(*scores: tuple[float | None, float]) -> float | None:
    """The mean of scores with their weights; None if one is."""
    known = [(score, parts) for score, parts in scores if score is not None]
    if len(known) < len(scores):
        return None
    return sum(score * parts for score, parts in known) / sum(parts for _, parts in known)


def _missing(results: Mapping[str, float], *suite: Mapping[str, Dimension]) -> tuple[str, ...]:
    return tuple(name for dimensions in suite for name in dimensions if name not in results)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(), object_pairs_hook=partial(_of_pairs, path))
    except InputError:
        raise
    except OSError as error:
        raise InputError("results", path, f"cannot be read ({error.strerror})", _REMEDY) from error
    except (ValueError, RecursionError) as error:
        raise InputError("results", path, "is not JSON", _REMEDY) from error
    if not isinstance(content, dict):
        raise InputError("results", path, "has no results by dimension", _REMEDY)
    return content


def _of_pairs(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. InputError if a dimension is in it twice: of these, readers of JSON keep the last."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found and name in _KNOWN:
            raise InputError("results", f"{path}: {name}", "has two results", "leave one of them in the file")
        found[name] = value
    return found


def _share(path: Path, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError(
            "results", f"{path}: {name}={short(value)}", "is not a share from 0 to 1", "divide percents by 100"
        )
    return float(value)
