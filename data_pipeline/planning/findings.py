"""Converts the findings about a file to JSON and back; they give the same plan, byte for byte."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from videoar.data_pipeline.decoding.frame_sampling import Window
from videoar.data_pipeline.planning.clip import Clip
from videoar.data_pipeline.planning.duplicates import Look
from videoar.data_pipeline.planning.examine import Candidate, Examined, LeftOut
from videoar.data_pipeline.sources.source import Skipped, Source


def to_json(found: Sequence[Examined]) -> list[dict[str, Any]]:
    """The findings about the inputs of one file."""
    return [
        {
            "source": fields_of(examined.source),
            "duration_s": examined.duration_s,
            "window": _from_window(examined.window),
            "shots": [_from_window(shot) for shot in examined.shots],
            "candidates": [
                {"clips": [fields_of(clip) for clip in candidate.clips], "look": _from_look(candidate.look)}
                for candidate in examined.candidates
            ],
            "left_out": [
                {"record": fields_of(item.record), "parts": [_from_window(part) for part in item.parts]}
                for item in examined.left_out
            ],
            "num_candidates": examined.num_candidates,
            "kinds": examined.kinds,
            "remarks": examined.remarks,
        }
        for examined in found
    ]


def from_json(facts: Sequence[dict[str, Any]]) -> list[Examined]:
    """The findings again."""
    return [
        Examined(
            source=Source(**item["source"]),
            duration_s=item["duration_s"],
            window=None if item["window"] is None else _window(item["window"]),
            shots=tuple(_window(shot) for shot in item["shots"]),
            candidates=[
                Candidate(tuple(_clip(clip) for clip in candidate["clips"]), _look(candidate["look"]))
                for candidate in item["candidates"]
            ],
            left_out=[
                LeftOut(Skipped(**left["record"]), tuple(_window(part) for part in left["parts"]))
                for left in item["left_out"]
            ],
            num_candidates=item["num_candidates"],
            kinds=tuple(item["kinds"]),
            remarks=tuple(item["remarks"]),
        )
        for item in facts
    ]


def fields_of(record: Source | Skipped | Clip) -> dict[str, Any]:
    """The fields of a record, whose values are plain: copying each as `asdict` does takes longer than a small file."""
    return {name: getattr(record, name) for name in record.__slots__}


def _from_window(window: Window | None) -> list[float] | None:
    return None if window is None else [window.start_s, window.end_s]


def _window(edges: Sequence[float]) -> Window:
    return Window(start_s=edges[0], end_s=edges[1])


def _clip(row: dict[str, Any]) -> Clip:
    return Clip(**{**row, "scores": tuple((name, score) for name, score in row["scores"])})


def _from_look(look: Look | None) -> dict[str, Any] | None:
    return None if look is None else {"bits": _from_array(look.bits), "values": _from_array(look.values)}


def _look(facts: dict[str, Any] | None) -> Look | None:
    return None if facts is None else Look(_array(facts["bits"]), _array(facts["values"]))


def _from_array(array: np.ndarray) -> dict[str, str]:
    return {"type": array.dtype.str, "bytes": base64.b64encode(array.tobytes()).decode()}


def _array(facts: dict[str, str]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(facts["bytes"]), np.dtype(facts["type"]))
