"""The figures of a generator on the small world: prompts, continuations, bits, and what its tokenizer alone does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from videoar.cluster.ground.serialize import to_dict
from videoar.data_pipeline.shards.sample import PackedBits, Sample, SampleEntry
from videoar.data_pipeline.world.captions import caption
from videoar.data_pipeline.world.scene import Scene
from videoar.pretrain.evaluate.bits import evaluate_bits
from videoar.pretrain.evaluate.continuation import ClipFrames, Generator, compare, continue_clips, make_clips
from videoar.pretrain.evaluate.signature import weights_hash
from videoar.pretrain.evaluate.tokenized import Tokenized, tokenize
from videoar.pretrain.evaluate.world.held_out import NUMBERS, drawn, held_out, reference
from videoar.pretrain.evaluate.world.places import compared, place_errors
from videoar.pretrain.evaluate.world.plan import GIVEN, WorldPlan, lengths, signature, world_shape
from videoar.pretrain.evaluate.world.score import judge
from videoar.pretrain.evaluate.world.tokenizer_alone import kept
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.model.pretrained import ClipShape

SHOWN = 4
"""Clips of each kind that are kept to be looked at."""

Tell = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is done, and of how much; in clips."""


@dataclass(slots=True)
class Examples:
    """Some clips to look at."""

    prompts: list[tuple[str, ClipFrames]] = field(default_factory=list)
    """(sentence, what was generated from it)."""
    continued: list[tuple[ClipFrames, ClipFrames, ClipFrames]] = field(default_factory=list)
    """(true clip, the same through the tokenizer, its continuation)."""


@dataclass(frozen=True, slots=True)
class WorldEvaluation:
    """All figures, as plain values, and some clips."""

    report: dict[str, Any]
    examples: Examples
    fps: float


def evaluate_world(
    pipeline: VideoPipeline, plan: WorldPlan, tell: Tell = lambda name, done, total: None
) -> WorldEvaluation:
    """Measure a generator on held-out scenes of the small world. InputError if its weights cannot be asked."""
    shape, examples = world_shape(pipeline, plan.size), Examples()
    report: dict[str, Any] = {
        "signature": signature(pipeline, shape, plan),
        "weights": weights_hash(pipeline.model),
        "tokenizer": pipeline.tokenizer.weights_hash,
        "run": to_dict(pipeline.config.provenance),
        "size": shape.schedule,
        "num_frames": shape.num_frames,
        "given_frames": GIVEN,
        "fps": shape.fps,
        "plan": to_dict(plan),
        "prompts": {},
        "tokenizer_alone": {},
    }
    for number, name in NUMBERS.items():
        scenes = held_out(plan.seed, plan.prompts, number)
        made = follow_prompts(pipeline, scenes, shape, plan, partial(tell, name))
        report["prompts"][name] = judge(made, scenes, shape.fps)
        examples.prompts += [(caption(what), clip) for what, clip in zip(scenes, made, strict=True)][: SHOWN // 2]
        true = drawn(scenes, shape, shape.num_frames)
        through = [clip.decoded for clip in tokenize(pipeline.tokenizer, true, plan.batch)]
        report["tokenizer_alone"][name] = kept(scenes, true, through, shape.fps)
    report["continuations"] = [
        continuations(pipeline, shape, num_frames, plan, tell, examples) for num_frames in lengths(shape)
    ]
    report["bits"] = bits(pipeline, shape, plan)
    return WorldEvaluation(report, examples, shape.fps)


def follow_prompts(
    generator: Generator,
    scenes: Sequence[Scene],
    shape: ClipShape,
    plan: WorldPlan,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> list[ClipFrames]:
    """A video from the sentence about each scene."""
    requests = [
        plan.request(caption(what), index, shape.schedule, shape.num_frames) for index, what in enumerate(scenes)
    ]
    return make_clips(generator, requests, plan.batch, tell)


def continuations(
    pipeline: VideoPipeline, shape: ClipShape, num_frames: int, plan: WorldPlan, tell: Tell, examples: Examples
) -> dict[str, Any]:
    """Held-out clips, continued to a length, and compared with the true future."""
    scenes = held_out(plan.seed, plan.clips)
    true = drawn(scenes, shape, num_frames)
    through = [clip.decoded for clip in tokenize(pipeline.tokenizer, true, plan.batch)]
    requests = [plan.request(caption(what), i, shape.schedule, num_frames) for i, what in enumerate(scenes)]
    made = continue_clips(
        pipeline, true, GIVEN, requests, plan.batch, partial(tell, f"continuation to {num_frames} frames")
    )
    examples.continued += list(zip(true, through, made, strict=True))[: SHOWN // 2]
    return judge_continuations(scenes, true, through, made)


def judge_continuations(
    scenes: Sequence[Scene], true: Sequence[ClipFrames], through: Sequence[ClipFrames], made: Sequence[ClipFrames]
) -> dict[str, Any]:
    """PSNR and position errors by frame, next to those of a still picture and of the tokenizer alone."""
    still, still_through = ([_repeated(clip) for clip in kind] for kind in (true, through))
    kinds = {"generated": made, "repeated": still, "rebuilt": through, "repeated_rebuilt": still_through}
    errors = {name: place_errors(scenes, clips, true, GIVEN) for name, clips in kinds.items()}
    return {
        "num_frames": len(true[0]),
        "psnr_db": compare(made, true, through, GIVEN).to_dict(),
        "position_error": compared(errors, ("repeated", "repeated_rebuilt")),
    }


def _repeated(clip: ClipFrames) -> ClipFrames:
    """The given frames, and then the last of them."""
    return np.concatenate([clip[:GIVEN], clip[GIVEN - 1 : GIVEN].repeat(len(clip) - GIVEN, axis=0)])


def bits(pipeline: VideoPipeline, shape: ClipShape, plan: WorldPlan) -> dict[str, Any]:
    """Bits of held-out clips guessed from the true ones before them, next to copying and to the majority."""

    def tokenized(scenes: Sequence[Scene]) -> list[Sample]:
        clips = tokenize(pipeline.tokenizer, drawn(scenes, shape, shape.num_frames), plan.batch)
        return samples(pipeline, scenes, clips, shape.schedule)

    held, others = (tokenized(choose(plan.seed, plan.clips)) for choose in (held_out, reference))
    return evaluate_bits(pipeline.model, held, others, pipeline.config.window).to_dict()


def samples(
    pipeline: VideoPipeline, scenes: Sequence[Scene], clips: Sequence[Tokenized], schedule: str
) -> list[Sample]:
    """Clips as the samples that a reader of shards would give: bits and caption."""
    return [
        Sample(
            SampleEntry(str(index), index, "world", schedule, len(clip.bits), caption(what), None, "", 0, 0),
            PackedBits.of(clip.bits),
            None,
            pipeline.condition(caption(what)),
        )
        for index, (what, clip) in enumerate(zip(scenes, clips, strict=True))
    ]
