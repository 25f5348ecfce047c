"""Checks that a run is validated on held-out clips: figures on clips that it trains on measure memory and look too
good."""

from __future__ import annotations

from collections.abc import Iterator

from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.pretrain.config import Recipe

REMEDY = "validate on other clips, or on another part of them (source.start_fraction and end_fraction)"


def not_held_out(recipe: Recipe) -> Iterator[str]:
    """A line for each validation dataset that shows clips which a stage trains on."""
    datasets = {dataset.name: dataset for dataset in recipe.data.datasets}
    for name in recipe.log.validation if recipe.log.validate_every else ():
        for stage, trained in _trained(recipe):
            if name == trained:
                yield f"log.validation={name}: is not held out, stage {stage} trains on it; {REMEDY}"
                break
            if _same_clips(datasets[name], datasets[trained]):
                yield f"log.validation={name}: is not held out, its clips are in {trained} of stage {stage}; {REMEDY}"
                break


def _trained(recipe: Recipe) -> list[tuple[str, str]]:
    """Stage and dataset of every part of a mixture."""
    return [(stage.name, part.dataset) for stage in recipe.stages for part in stage.mixture]


def _same_clips(held: DatasetConfig, trained: DatasetConfig) -> bool:
    """Whether two datasets show some of the same clips, at any frame size, as far as their sources show it."""
    ours, theirs = held.source, trained.source
    if ours.kind != theirs.kind:
        return False
    if ours.is_drawn:
        return ours.seed == theirs.seed
    if ours.kind == "ucf101" and (ours.split, ours.subset) != (theirs.split, theirs.subset):
        return False
    share_time = max(ours.start_fraction, theirs.start_fraction) < min(ours.end_fraction, theirs.end_fraction)
    return share_time and _share_files(ours, theirs)


def _share_files(ours: SourceConfig, theirs: SourceConfig) -> bool:
    """Whether the places are the same, or one folder is inside the other."""
    first, second = (f"{source.path.removeprefix('./').rstrip('/')}/" for source in (ours, theirs))
    return first == second or (ours.kind == "folder" and (first.startswith(second) or second.startswith(first)))
