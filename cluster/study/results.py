"""What a study has found so far: one line of JSON for each arm and seed, and the effects of all contrasts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videoar.cluster.ground.files import write_atomically
from videoar.pretrain.run_folder import read_lines
from videoar.pretrain.study.definition import Arm, Contrast, Study
from videoar.pretrain.study.effects import Effect, effect
from videoar.pretrain.study.figures import METRICS, Sums

Key = tuple[str, int]
"""Arm and seed."""

Results = dict[Key, dict[str, Any]]
"""Lines of results.jsonl by arm and seed."""


def read_results(path: Path) -> Results:
    """The lines so far; none if there is no file."""
    lines = read_lines(path) if path.exists() else []
    return {(line["arm"], line["seed"]): line for line in lines}


def keep_result(path: Path, line: Mapping[str, Any]) -> None:
    """Add the line of an arm and seed, or put it in the place of an older one.

    The whole file is replaced in one step: a process that is killed here leaves the old lines, each once and whole.
    """
    lines = read_results(path) | {(line["arm"], line["seed"]): dict(line)}
    write_atomically(path, "".join(json.dumps(one) + "\n" for one in lines.values()))


@dataclass(frozen=True, slots=True)
class Compared:
    """The effects of one contrast by metric, over the seeds that both arms have."""

    contrast: Contrast
    seeds: tuple[int, ...]
    effects: Mapping[str, Effect]


def compared(study: Study, results: Results) -> list[Compared]:
    """Every contrast of which both arms have a seed in common."""
    found = []
    for contrast in study.contrasts:
        seeds = tuple(sorted({seed for arm, seed in results if arm == contrast.arm} & seeds_of(results, contrast.over)))
        if seeds:
            arm, over = ([sums(results, name, seed) for seed in seeds] for name in (contrast.arm, contrast.over))
            found.append(Compared(contrast, seeds, {metric: effect(metric, arm, over) for metric in METRICS}))
    return found


def runs_of(results: Results, arm: Arm) -> list[Sums]:
    """The per-clip sums of every seed of an arm."""
    return [sums(results, arm.name, seed) for seed in sorted(seeds_of(results, arm.name))]


def arms_with_results(study: Study, results: Results) -> Sequence[Arm]:
    """The arms that have been measured with at least one seed."""
    return [arm for arm in study.arms if seeds_of(results, arm.name)]


def seeds_of(results: Results, arm: str) -> set[int]:
    """The seeds with which an arm has been measured."""
    return {seed for name, seed in results if name == arm}


def sums(results: Results, arm: str, seed: int) -> Sums:
    """The per-clip sums of one run."""
    found: Sums = results[arm, seed]["sums"]
    return found
