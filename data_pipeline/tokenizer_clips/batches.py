"""What the training of a tokenizer calls: batches of clips by step, from all sources of a recipe."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from videoar.cluster.ground.errors import InputError, raise_all
from videoar.cluster.ground.fields.overrides import ALL
from videoar.data_pipeline.config.tokenizer_recipe import ClipShare, TokenizerRecipe
from videoar.data_pipeline.decoding.client import DecodeLimits
from videoar.data_pipeline.sources.listing import naming_all
from videoar.data_pipeline.tokenizer_clips.ahead import ClipsAhead
from videoar.data_pipeline.tokenizer_clips.decoded import DecodedClips
from videoar.data_pipeline.tokenizer_clips.decoders import Decoders
from videoar.data_pipeline.tokenizer_clips.drawn import DrawnClips
from videoar.data_pipeline.tokenizer_clips.held import HeldClips
from videoar.data_pipeline.tokenizer_clips.maker import ClipMaker, ClipNumber
from videoar.data_pipeline.tokenizer_clips.source_files import SourceFiles
from videoar.tokenizer.pixels import from_bytes
from videoar.tokenizer.scales import ScaleSchedule

MOST_HELD = 4
"""Maximum number of files of a source that `hold=auto` keeps in memory."""
LARGEST_HELD = 128
"""Longest side of buckets, in pixels, for which `hold=auto` keeps files in memory."""


class RandomClips:
    """Batches of random clips; call it with a step. Close it after use: it owns threads and decoders.

    A clip is a function of (seed, step, its number in the batch). It does not depend on the number of processes or
    decoders, and a resumed run sees the same clip again. Only the configured part of each source is read
    (`start_fraction` to `end_fraction`): the rest is held out for evaluation.
    """

    def __init__(self, recipe: TokenizerRecipe) -> None:
        """Lists all sources, and reads those that are held in memory. InputError: a bucket that no source fills."""
        self._train = recipe.train
        self._decoders = Decoders(DecodeLimits())
        with naming_all(f"clips.{ALL}.source.path", len(recipe.clips)):
            self._makers: list[ClipMaker] = raise_all(
                *(partial(self._maker, recipe, share, f"clips.{i}.source") for i, share in enumerate(recipe.clips))
            )
        self._bounds = {
            n: self._weights(recipe.clips, n) for n in {bucket.num_frames for bucket in recipe.train.buckets}
        }
        decodes = any(isinstance(maker, DecodedClips) for maker in self._makers)
        self._ahead = ClipsAhead(self._clip, recipe.train, recipe.decode_processes) if decodes else None

    def __call__(self, step: int, samples: range) -> Float32[Tensor, "b 3 f h w"]:
        """The clips with these numbers in the batch of a step, in [-1, 1]."""
        clips = self._ahead.take(step, samples) if self._ahead else [self._clip(step, sample) for sample in samples]
        return from_bytes(torch.from_numpy(np.stack(clips))).contiguous()

    def close(self) -> None:
        """Stop the threads and decoders."""
        if self._ahead:
            self._ahead.close()
        self._decoders.close()

    def __enter__(self) -> RandomClips:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _clip(self, step: int, sample: int) -> UInt8[np.ndarray, "f h w 3"]:
        bucket, number = self._train.bucket(step), ClipNumber(self._train.seed, step, sample)
        draws, bounds = number.draws(), self._bounds[self._train.bucket(step).num_frames]
        index = int(np.searchsorted(bounds, draws.random(), side="right"))
        return self._makers[min(index, len(bounds) - 1)].clip(bucket, number, draws)

    def _maker(self, recipe: TokenizerRecipe, share: ClipShare, field: str) -> ClipMaker:
        if share.source.is_drawn:
            return DrawnClips(share.source)
        files, buckets = SourceFiles(share.source, field), recipe.train.buckets
        if share.hold == "memory" or (share.hold == "auto" and _is_small(files, recipe)):
            return HeldClips(files, buckets, recipe.augment)
        return DecodedClips(files, recipe.augment, self._decoders)

    def _weights(self, shares: tuple[ClipShare, ...], num_frames: int) -> np.ndarray:
        """The cumulative shares of the sources among clips of this length."""
        weights = [
            share.weight if maker.fills(num_frames) else 0.0 for share, maker in zip(shares, self._makers, strict=True)
        ]
        if not any(weights):
            raise InputError(
                "train.buckets",
                f"{num_frames} frames",
                "is a length of videos, and the sources hold pictures only",
                "add a source of videos, or use buckets with num_frames 1",
            )
        bounds = np.cumsum(weights)
        return bounds / bounds[-1]


def open_random_clips(recipe: TokenizerRecipe) -> RandomClips:
    """The clips that a recipe trains on. Close them after use."""
    return RandomClips(recipe)


def _is_small(files: SourceFiles, recipe: TokenizerRecipe) -> bool:
    sides = [side for bucket in recipe.train.buckets for side in ScaleSchedule.named(bucket.schedule).pixels]
    return len(files) <= MOST_HELD and max(sides) <= LARGEST_HELD
