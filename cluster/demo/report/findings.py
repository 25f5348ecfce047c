"""The results of a demo: the values that the page shows, without markup."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from videoar.cluster.demo.cost import Cost

Figures = Mapping[str, Any]
"""Plain values from `to_dict` of the evaluations; intervals are {value, low, high}."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerFacts:
    """The tokenizer that made the bits."""

    name: str
    """`demo`, which ships with the package, a folder, or an untrained preset."""
    hash: str
    """Hash of configuration and weights."""
    parameters: int
    """Number of weights."""
    latent_dim: int
    """Bits per token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageCost:
    """A stage of training, in numbers."""

    name: str
    about: str
    """The kind of clips that it trains on."""
    first_step: int
    """Number of steps before the stage."""
    end_step: int
    """Number of steps after the stage."""
    tokens: int
    """Tokens trained on."""
    seconds: float
    """Wall time of all steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """Results of the model on one kind of held-out clips."""

    title: str
    """Name of the kind: `films` or `shapes`."""
    about: str
    """Why the clips count as held out, as a clause."""
    scales: tuple[str, ...]
    """Grid of each scale, `4x4`."""
    bits: Figures
    """Results on bits, from `BitReport.to_dict`."""
    continuations: Mapping[str, Figures]
    """Results on continuations, for each way of sampling, from `ContinuationReport.to_dict`."""
    given_frames: int
    """Pixel frames that the model is given."""
    num_frames: int
    """Pixel frames of a clip, including the given ones."""
    fps: float
    """Frames per second of the clips."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One clip in several versions that play side by side."""

    title: str
    panels: tuple[str, ...]
    """Heading of each version, left to right."""
    notes: tuple[str, ...]
    """Line below each version: a figure, or empty."""
    video: bytes
    """MP4 of the versions side by side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """Everything the page shows."""

    recipe: str
    start: str
    """Weights that training started from; empty: random ones."""
    machine: Mapping[str, str]
    """Processor, cores and versions that the demo ran on."""
    tokenizer: TokenizerFacts
    parameters: int
    """Number of weights of the generator."""
    num_clips: int
    """Number of prepared clips, including held-out ones."""
    costs: tuple[Cost, ...]
    stages: tuple[StageCost, ...]
    metrics: tuple[Figures, ...]
    """Lines of metrics.jsonl."""
    validation: tuple[Figures, ...]
    """Lines of validation.jsonl."""
    judged: tuple[Judged, ...]
    rows: Mapping[str, tuple[Row, ...]]
    """Videos by section: `continued`, `animated`, `reconstructed`, and `sentences` if it started from trained
    weights."""
    commands: tuple[str, ...]
    """Commands that the reader may run next."""


def to_json(found: Findings) -> str:
    """Every figure of the page, without the videos."""
    plain = asdict(replace(found, rows={}))
    return json.dumps(plain, indent=1) + "\n"
