"""Given pictures and clips become history: read, fit to the frame size, and encode to bits (VideoAR §5.4)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.decoding.given import first_frame, last_frames
from videoar.pretrain.generate.video import fit, to_tensor
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.scales import ScaleSchedule, latent_frames, pixel_frames

Picture = str | Path | UInt8[np.ndarray, "h w 3"]
"""A picture file, or its pixels."""

GivenClip = str | Path | UInt8[np.ndarray, "f h w 3"]
"""A video file, or its frames at the model's frame rate."""


OnSize = Callable[[str, int, int], object]
"""Called with `image` or `video`, and the height and width of what is given."""

LEAST_CROP = 0.01
"""Share of a picture that may be cut off without a warning: rounding, or one row of an odd size."""


def given_frames(
    image: Picture | None,
    video: GivenClip | None,
    schedule: ScaleSchedule,
    *,
    num_frames: int,
    keep: int | None,
    fps: float,
    on_size: OnSize = lambda field, height, width: None,
) -> UInt8[np.ndarray, "_kept height width 3"] | None:
    """The pixel frames to continue, in the size of the schedule; None if nothing is given.

    Of a video these are the LAST `keep` frames, 1 + 4n: the continuation follows them. Without `keep`, an array is kept
    whole and a file, sampled at the model's frame rate, gives the first half of the latent frames. Files are cut as the
    clips of training are (`last_frames`). `on_size` receives the size of what is given, before it is cropped.
    """
    if image is not None and video is not None:
        raise InputError("image", "...", "and video are both given", "give only one of them")
    if image is not None:
        check_image(image, num_frames)
        if isinstance(image, str | Path):
            return first_frame(image, schedule.name, on_probe=lambda of: on_size("image", of.height, of.width))
        on_size("image", *image.shape[:2])
        return fit(image[None], *schedule.pixels)
    if video is None:
        return None
    if isinstance(video, str | Path):
        half = pixel_frames(half_of(latent_frames(num_frames)))
        frames = last_frames(
            video, schedule.name, fps, keep or half, on_probe=lambda of: on_size("video", of.height, of.width)
        )
    else:
        on_size("video", *video.shape[1:3])
        frames = fit(video, *schedule.pixels)
    if keep is not None:
        latent_frames(keep, "given_frames")
        frames = _last(frames, keep)
    if latent_frames(len(frames), "video") >= latent_frames(num_frames):
        raise InputError(
            "num_frames",
            num_frames,
            f"leaves nothing to generate after the {len(frames)} given frames",
            "ask for more frames in all, or keep fewer of the given ones",
        )
    return frames


def crop_remark(field: str, height: int, width: int, size: str, sizes: Sequence[str]) -> str | None:
    """A line about a picture or clip that is cropped to a frame size, and how to keep all of it; None if it fits.

    `sizes` are all frame sizes that could be asked for.
    """
    kept = _kept(height, width, size)
    lost = 1 - kept[0] * kept[1] / (height * width)
    if lost < LEAST_CROP:
        return None
    where = "at the sides" if kept[1] < width else "at top and bottom"
    best = max(sizes, key=lambda other: math.prod(_kept(height, width, other)))
    other = f"size {best} cuts off less; " if math.prod(_kept(height, width, best)) > math.prod(kept) else ""
    return (
        f"{field}: the middle {kept[0]}x{kept[1]} of its {height}x{width} pixels (height x width) is used for frames "
        f"of {size}, and {lost:.0%} is cut off {where}; {other}add borders to the {field} to keep all, or crop it "
        "yourself"
    )


def _kept(height: int, width: int, size: str) -> tuple[int, int]:
    """Height and width of the middle that covers frames of a size."""
    high, wide = ScaleSchedule.named(size).pixels
    scale = min(height / high, width / wide)
    return min(height, round(high * scale)), min(width, round(wide * scale))


def check_image(image: Picture, num_frames: int) -> None:
    """InputError if the result would have no frame other than the given one."""
    if num_frames == 1:
        given = image if isinstance(image, str | Path) else "..."
        raise InputError("image", given, "is the whole of a result of one frame", "ask for num_frames of 5 or more")


def half_of(latents: int) -> int:
    """The latent frames of a clip that are given by default, the first ones; at least one."""
    return max(1, (latents + 1) // 2)


def encode_history(
    tokenizer: VideoTokenizer, schedule: ScaleSchedule, frames: UInt8[np.ndarray, "f h w 3"], device: torch.device
) -> Bool[Tensor, "1 t tokens k"]:
    """Bits of the given frames, which have the schedule's size."""
    return tokenizer.quantize(tokenizer.encode(to_tensor(frames).to(device)), schedule)


def _last(frames: UInt8[np.ndarray, "f h w 3"], count: int) -> UInt8[np.ndarray, "count h w 3"]:
    if len(frames) < count:
        raise InputError(
            "given_frames",
            count,
            f"is more than the {len(frames)} frames that the video gives at the model's frame rate",
            "keep fewer, or give a longer one",
        )
    return frames[len(frames) - count :]
