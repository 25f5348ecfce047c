"""What one video is made from, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.checks import LEFT_OUT, check_fields, is_utf8
from videoar.cluster.ground.fields.limits import DrawingSeed, OneOrMore, PixelFrames, Temperature, TopP, ZeroOrMore
from videoar.pretrain.generate.continuation import GivenClip, Picture
from videoar.pretrain.guidance import Guidance, parse_guidance

LongVideo = Literal["sliding", "reencode"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Request:
    """What one video is made from, and how."""

    prompt: str | None = None
    """Text, for a model trained on captions; "" is an empty caption."""
    negative_prompt: str | None = None
    """Text that guidance steers away from; None: away from the prediction without text."""
    label: ZeroOrMore | None = None
    """Number of the class, for a model trained on labels."""
    image: Picture | None = None
    """First frame to animate."""
    video: GivenClip | None = None
    """Clip to continue."""
    given_frames: PixelFrames | None = None
    """Number of last pixel frames of `video` to continue, 1 + 4n; None: all frames of an array, or for a file half
    of the result."""
    num_frames: PixelFrames | None = None
    """Pixel frames of the result, 1 + 4n, given frames included; None: as in training."""
    long: LongVideo | None = None
    """A video longer than in training: `sliding` lets the window move along; `reencode` makes shots of the trained
    length, each of which continues the last decoded frames of the one before (VideoAR, duration extension). None:
    sliding, with a warning."""
    overlap: PixelFrames | None = None
    """Decoded pixel frames that the next shot begins with (`reencode`), 1 + 4n; None: half of a shot."""
    schedule: str | None = None
    """Frame size by the name of its scale schedule; None: the first of the exported shapes."""
    guidance: str | float | Guidance | None = None
    """Guidance ramp by name, a constant (1 turns it off), or four corners; None: that of the
    weights, which may have another one for clips that are continued."""
    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    seed: DrawingSeed = 0
    window: OneOrMore | None = None
    """Past latent frames a frame sees; None: as in training. A video can have any length: the window moves along."""

    def __post_init__(self) -> None:
        check_fields(self, "", absent=LEFT_OUT)
        for field in ("prompt", "negative_prompt"):
            text = getattr(self, field)
            if text is not None and not is_utf8(text):
                raise InputError(field, ascii(text), "is not UTF-8 text", "give it in UTF-8")
        if self.given_frames is not None and self.video is None:
            raise InputError("given_frames", self.given_frames, "has no effect without a video", "leave it out")
        if self.temperature == 0 and self.top_p < 1:
            raise InputError("top_p", self.top_p, "has no effect with temperature 0", "leave it out")
        if self.overlap is not None and self.long != "reencode":
            raise InputError("overlap", self.overlap, "has no effect without long=reencode", "leave it out")
        if self.negative_prompt is not None and self.guidance is not None and parse_guidance(self.guidance).is_off:
            raise InputError("negative_prompt", self.negative_prompt, "has no effect with guidance 1", "leave it out")


_COMMON = ("num_frames", "long", "overlap", "schedule", "guidance", "temperature", "top_p", "window")
"""Fields in which the requests of one batch agree."""


def batch_key(request: Request) -> tuple[object, ...]:
    """Equal for requests that one batch can hold, if they have the same number of given frames."""
    return tuple(getattr(request, field) for field in _COMMON)


def check_equal(requests: Sequence[Request]) -> None:
    """InputError for requests that cannot be in one batch."""
    for field in _COMMON:
        values = {getattr(request, field) for request in requests}
        if len(values) > 1:
            raise InputError(
                field, sorted(map(str, values)), "differs within a batch", "batch only requests with the same value"
            )
