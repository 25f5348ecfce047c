"""What is measured on the small world, of which shape of video, and the line that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.fields.limits import Limits, OneOrMore, Scenes, Temperature, TopP
from videoar.data_pipeline.world.scene import FIRST_STRAIGHT_S
from videoar.pretrain.evaluate.signature import device_signature, sampling_signature, weights_signature
from videoar.pretrain.evaluate.world.held_out import MOST_SEEDS
from videoar.pretrain.generate import Request, VideoPipeline
from videoar.pretrain.model.pretrained import ClipShape
from videoar.tokenizer.scales import latent_frames, pixel_frames

VERSION = 2
"""To be raised with every change here that changes a figure, or what is kept of a clip."""

GIVEN = pixel_frames(2)
"""Frames that are continued: two latent frames, which show where each object goes."""
FRAME_RATES = ((GIVEN - 1) / FIRST_STRAIGHT_S, 32.0)
"""Frames per second at which the given frames show each direction: no object bounces yet, and each moves visibly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldPlan:
    """What is measured, and how videos are sampled."""

    prompts: Scenes = 64
    """Number of sentences about one object, and of sentences about two."""
    clips: Scenes = 128
    """Clips that are continued, at each of two lengths."""
    seed: Annotated[int, Limits(0, MOST_SEEDS - 1)] = 0
    """Seed of scenes and sampling."""
    batch: OneOrMore = 8
    """Videos that are made at once."""
    size: str | None = None
    """Frame size; None: the first of the weights whose clips are long enough."""
    temperature: Temperature = 1.0
    top_p: TopP = 1.0
    guidance: str | None = None
    """None: the default guidance of the weights."""

    def request(self, prompt: str, index: int, schedule: str, num_frames: int) -> Request:
        """How the video with this number is sampled."""
        return Request(
            prompt=prompt,
            num_frames=num_frames,
            long="sliding",  # it is longer than in training on purpose
            schedule=schedule,
            guidance=self.guidance,
            temperature=self.temperature,
            top_p=self.top_p,
            seed=self.seed * MOST_SEEDS + index,
        )


def world_shape(pipeline: VideoPipeline, size: str | None) -> ClipShape:
    """The shape of video to measure. InputError if the weights cannot make clips of this world."""
    kind = pipeline.config.model.text.kind
    if kind == "label":
        problem = "were trained on labels, and the scenes of this world are described in sentences"
        raise InputError("weights", kind, problem, "give weights that were trained on captions")
    shapes = pipeline.config.shapes if size is None else (pipeline.shape(size),)
    long = [shape for shape in shapes if shape.num_frames > GIVEN]
    if not long:
        told = ", ".join(f"{shape.schedule} with {shape.num_frames} frames" for shape in shapes)
        problem = f"leaves nothing to continue after {GIVEN} frames"
        raise InputError("size", told, problem, "give weights that were trained on longer clips, or another size")
    if problem := unreadable_rate(long[0].fps):
        told = f"{long[0].schedule} at {long[0].fps:g} frames per second"
        raise InputError("size", told, problem, "give weights that were trained at such a rate")
    return long[0]


def unreadable_rate(fps: float) -> str:
    """The problem of a frame rate at which the first frames do not show the motion; empty for other rates."""
    low, high = FRAME_RATES
    if low <= fps <= high:
        return ""
    return f"is outside of the {low:g} to {high:g} frames per second at which {GIVEN} frames show the motion"


def lengths(shape: ClipShape) -> tuple[int, int]:
    """Pixel frames of a clip of training, and of one with twice as many latent frames."""
    return shape.num_frames, pixel_frames(2 * latent_frames(shape.num_frames))


def signature(pipeline: VideoPipeline, shape: ClipShape, plan: WorldPlan) -> str:
    """One line that is equal for figures that may be compared: it names all that they depend on."""
    return (
        f"world|{weights_signature(pipeline)}"
        f"|{shape.schedule}|T{shape.num_frames}@{shape.fps:g}fps|window{pipeline.config.window}"
        f"|prompts{plan.prompts}+{plan.prompts}|clips{plan.clips}|given{GIVEN}"
        f"|{sampling_signature(pipeline, plan.temperature, plan.top_p, plan.guidance)}|batch{plan.batch}"
        f"|{device_signature(pipeline)}|seed{plan.seed}|v{VERSION}"
    )
