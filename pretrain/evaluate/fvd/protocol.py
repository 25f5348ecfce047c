"""Protocols: what must be equal before two distances may be compared, and the line that says it.

Each protocol is read off the code that published numbers came from:

- `tats`: TATS, scripts/sample_vqgan_transformer_short_videos.py; random clips of the training split. Frames get their
  size bilinearly (tats/data.py).
- `styleganv`: StyleGAN-V, `fvd2048_16f`; one random clip of each video that is long enough. Its datasets are made with
  Pillow's Lanczos (src/scripts/convert_videos_to_frames.py).
- `magvit`: MAGVIT, maskgvt_ucf101_config.py; 10,000 clips of the training split, mean over 4 runs. Bilinear (DMVR's
  `resize_smallest`).
- `omni17`: OmniTokenizer, evaluation/fvd_external.py; the central 17 frames, stretched to a square by decord, which has
  FFmpeg's bicubic. 17 is also VideoAR's length, whose real set and counts are not published.
- `custom`: yours. Its numbers compare with numbers of the same signature only.

The published ones take every frame of a video, and resize to 224 x 224 for I3D (`detector.to_i3d`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import check_fields, wrong_field
from videoar.cluster.ground.fields.limits import DrawingSeed, FramesPerSecond, OneOrMore
from videoar.data_pipeline.decoding.frame_sampling import Resize
from videoar.pretrain.evaluate.fvd.detector import UNCHANGED, Detector

VERSION = 2
"""To be raised with every change in this package that changes a number."""

ENOUGH = 2048
"""Clips of each kind below which no bare number is reported; also the count of most published distances."""

ProtocolName = Literal["tats", "styleganv", "magvit", "omni17", "custom"]
ClipChoice = Literal["random", "centre", "first"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """Which frames of which clips are compared."""

    name: ProtocolName = "custom"
    frames: OneOrMore
    """Consecutive frames of a clip."""
    fps: FramesPerSecond | None = None
    """Frames per second that videos are sampled at; null: every frame of the video."""
    height: OneOrMore
    """Height of a frame in pixels, before the detector resizes it; `width` likewise."""
    width: OneOrMore
    fit: Literal["crop", "stretch"] = "crop"
    """How a video's frames get this size: `crop` covers it and crops at the centre, `stretch` scales each side on its
    own."""
    resize: Resize = "bicubic"
    """Filter that resizes frames. Frames that already have the size are not changed."""
    split: str
    """Name of the real set, such as test01."""
    count: OneOrMore | None = None
    """Clips of each kind, real and generated; null: all that there are."""
    clip: ClipChoice = "centre"
    """Which frames are taken from a longer video."""
    repeats_videos: bool = False
    """Whether a video may give several real clips, because there are fewer videos than clips."""
    runs: OneOrMore = 1
    """Number of distances, with different seeds, whose mean is published."""
    seed: DrawingSeed = 0
    """Seed of the choice of videos and clips, and of the interval."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not re.fullmatch(r"[A-Za-z0-9_.+-]+", self.split):
            raise wrong_field(self, "split", "does not fit into a signature", "use letters, digits, -, _, . and +")

    def choose(self, available: int) -> list[int]:
        """Numbers of the videos to use, of `available` ones, in random order; drawn without replacement.

        If the protocol repeats videos, each is used once before any is used again.
        """
        count = available if self.count is None else self.count
        if available < count and not (self.repeats_videos and available):
            raise InputError(
                "videos",
                available,
                f"is fewer than the {count} of protocol {self.name}, and a repeated video is not a new sample",
                "give more videos, or use protocol custom",
            )
        turns = range(-(-count // max(available, 1)))
        return [int(number) for turn in turns for number in self._order(available, turn)][:count]

    def start(self, length: int, number: int = 0) -> int | None:
        """First frame of the clip in a video of `length` frames; None if the video is too short and is left out.

        `number` counts the chosen clips, so that a repeated video gives another clip.
        """
        spare = length - self.frames
        if spare < 0:
            return None
        if self.clip == "random":
            drawn = int(np.random.PCG64(np.random.SeedSequence([self.seed, 1, number])).random_raw())
            return drawn % (spare + 1)
        return length // 2 - self.frames // 2 if self.clip == "centre" else 0

    def signature(self, detector: Detector, num_real: int, num_generated: int) -> str:
        """One line that is equal for numbers that may be compared."""
        size = str(self.height) if self.height == self.width else f"{self.height}x{self.width}"
        size += "" if self.fit == "crop" else "-stretched"
        frames = f"T{self.frames}" if self.fps is None else f"T{self.frames}@{self.fps:g}fps"
        resizes = self.resize if detector.resize == UNCHANGED else f"{self.resize}+{detector.resize}"
        return (
            f"{detector.name}|det={detector.sha256[:8]}|{frames}|{size}|n{num_real}x{num_generated}"
            f"|split={self.split}|clip={self.clip}|resize={resizes}|seed{self.seed}|v{VERSION}"
        )

    def _order(self, available: int, turn: int) -> np.ndarray:
        """A permutation by raw draws, which numpy guarantees never to change."""
        keys = np.random.PCG64(np.random.SeedSequence([self.seed, 0, turn])).random_raw(available)
        return np.argsort(keys, kind="stable")


def split_named(folder: str) -> str:
    """The name of a real set, derived from its folder so that it fits into a signature."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", folder) or "clips"


_PUBLISHED: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="tats", frames=16, height=128, width=128, resize="bilinear", split="train", count=ENOUGH, clip="random"
        ),
        Protocol(
            name="styleganv",
            frames=16,
            height=256,
            width=256,
            resize="lanczos",
            split="given",
            count=ENOUGH,
            clip="random",
        ),
        Protocol(
            name="magvit",
            frames=16,
            height=128,
            width=128,
            resize="bilinear",
            split="train",
            count=10_000,
            clip="random",
            repeats_videos=True,
            runs=4,
        ),
        Protocol(name="omni17", frames=17, height=128, width=128, split="given", count=ENOUGH, fit="stretch"),
    )
}


def named(name: ProtocolName, *, split: str | None = None, seed: int = 0) -> Protocol:
    """A published protocol; `split` names the real set where the protocol's code takes any folder."""
    if name not in _PUBLISHED:
        raise InputError(
            "protocol", name, "has no fixed values", f"use {', '.join(_PUBLISHED)}, or make a Protocol of your own"
        )
    published = _PUBLISHED[name]
    if published.split == "given" and split is None:
        raise InputError("split", None, f"is not fixed by protocol {name}", "name the real set, such as test01")
    if published.split != "given" and split not in (None, published.split):
        raise InputError(
            "split",
            split,
            f"is not the real set of protocol {name}",
            f"use {published.split}, or make a Protocol of your own",
        )
    return replace(published, split=published.split if split is None else split, seed=seed)
