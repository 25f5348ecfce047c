"""What a demo found: the values that the page shows. They hold no markup."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from videoar.cluster.demo.cost import Cost

Figures = Mapping[str, Any]
"""Plain values as `to_dict` of the evaluations gives them; intervals are {value, low, high}."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerFacts:
    """Which tokenizer made the bits."""

    name: str
    """`demo` ships with the package; else a folder, or an untrained preset."""
    hash: str
    parameters: int
    latent_dim: int
    """Bits a token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageCost:
    """A stage of training, in numbers."""

    name: str
    about: str
    """What it trains on."""
    first_step: int
    end_step: int
    tokens: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One kind of held-out clips, and how the model did on them."""

    title: str
    """`films` or `shapes`."""
    about: str
    """What is held out, as a clause."""
    scales: tuple[str, ...]
    """Grid of each scale, `4x4`."""
    bits: Figures
    """`BitReport.to_dict`."""
    continuations: Mapping[str, Figures]
    """`ContinuationReport.to_dict` of each way of sampling, by its name."""
    given_frames: int
    num_frames: int
    fps: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One clip in several versions that play together."""

    title: str
    panels: tuple[str, ...]
    """Heading of each version, left to right."""
    notes: tuple[str, ...]
    """A line under each: a figure, or nothing."""
    video: bytes
    """MP4 of the versions side by side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """Everything the page shows."""

    recipe: str
    machine: Mapping[str, str]
    """What it ran on: processor, cores, versions."""
    tokenizer: TokenizerFacts
    parameters: int
    """Of the generator."""
    num_clips: int
    """Prepared, held-out ones included."""
    costs: tuple[Cost, ...]
    stages: tuple[StageCost, ...]
    metrics: tuple[Figures, ...]
    """Lines of metrics.jsonl."""
    validation: tuple[Figures, ...]
    """Lines of validation.jsonl."""
    judged: tuple[Judged, ...]
    rows: Mapping[str, tuple[Row, ...]]
    """Videos by section: `continued`, `animated`, `reconstructed`."""
    commands: tuple[str, ...]
    """What to run next."""


def to_json(found: Findings) -> str:
    """Every figure of the page, without the videos."""
    plain = asdict(replace(found, rows={}))
    return json.dumps(plain, indent=1) + "\n"
