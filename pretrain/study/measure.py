"""Everything that is measured of one trained run, as sums for each clip; and of guesses that need no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from videoar.data_pipeline.config.datasets import DatasetConfig
from videoar.data_pipeline.shards.sample import Sample
from videoar.data_pipeline.sources.drawn import draw_clip
from videoar.data_pipeline.world.captions import caption
from videoar.data_pipeline.world.scene import Scene, scene
from videoar.pretrain.evaluate.bits import copy_tables
from videoar.pretrain.evaluate.continuation import ClipFrames, continue_clips, make_clips, psnr, rebuild
from videoar.pretrain.evaluate.robustness import probes
from videoar.pretrain.evaluate.world.places import place_errors
from videoar.pretrain.evaluate.world.score import look, verdicts
from videoar.pretrain.generate import Request, VideoPipeline
from videoar.pretrain.study.definition import Probes
from videoar.pretrain.study.figures import ASKED
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule, latent_frames

BATCH = 32
"""Videos that are sampled at once."""

OnProgress = Callable[[int, int], object]
"""Called with the number of finished parts and the number of all parts."""


@dataclass(frozen=True, slots=True)
class HeldScenes:
    """The first held-out scenes at the trained length, with their pixels."""

    scenes: tuple[Scene, ...]
    clips: tuple[ClipFrames, ...]
    bucket: ClipBucket

    @staticmethod
    def of(held: DatasetConfig, what: Probes, count: int) -> HeldScenes:
        """Draw the scenes again: the small world is a function of seed and number."""
        (bucket,) = held.buckets
        numbers = range(min(count, held.source.num_clips))
        return HeldScenes(
            tuple(scene(held.source.seed, i) for i in numbers),
            tuple(draw_clip(held.source, i, bucket)[: what.trained_frames] for i in numbers),
            bucket,
        )


def measure(
    pipeline: VideoPipeline,
    samples: Sequence[Sample],
    held: DatasetConfig,
    what: Probes,
    seed: int,
    on_progress: OnProgress = lambda done, total: None,
) -> dict[str, Any]:
    """The per-clip sums of one run; `samples` are the held-out clips as bits, `seed` is that of the run."""
    model, window, draws = pipeline.model, pipeline.config.window, what.seed + seed
    trained = latent_frames(what.trained_frames)
    cut = [probes.first_frames(sample, trained) for sample in samples]
    worst = what.flip_ratios[-1]
    parts: dict[str, Callable[[], Any]] = {
        "clean": lambda: probes.clean(model, samples, window).sum(2),
        "flipped": lambda: {str(q): probes.flipped(model, cut, window, q, draws).tolist() for q in what.flip_ratios},
        "inherited": lambda: probes.inherited(model, cut, window, worst, draws),
        "hidden": lambda: probes.hidden(model, cut, window, what.p_hidden, draws),
        "continued": lambda: _continued(pipeline, HeldScenes.of(held, what, what.num_continued), what, draws),
        "prompt": lambda: _prompted(pipeline, HeldScenes.of(held, what, what.num_prompts), what, draws),
    }
    sums = _facts(samples[0], trained)
    for done, (name, part) in enumerate(parts.items()):
        on_progress(done, len(parts))
        found = part()
        sums |= found if name == "continued" else {name: _plain(found)}
    on_progress(len(parts), len(parts))
    return sums


def baselines(
    pipeline: VideoPipeline, samples: Sequence[Sample], held: DatasetConfig, what: Probes
) -> dict[str, dict[str, Any]]:
    """Guesses that need no model, on the same clips.

    They are the last given frame repeated, as it is and through the tokenizer (which equals copying its bits); the true
    future through the tokenizer; and bits copied from the frame before.
    """
    seen = HeldScenes.of(held, what, what.num_continued)
    through = [rebuild(pipeline, clip) for clip in seen.clips]
    last = what.given_frames - 1
    still, copied = ([np.repeat(clip[last : last + 1], len(clip), 0) for clip in of] for of in (seen.clips, through))
    made = {"last frame repeated": still, "last frame's bits copied": copied, "true future, tokenized": through}
    copy = copy_tables(samples)
    right, bits = copy.correct[:, 1:].sum((0, 2)), copy.bits[:, 1:].sum((0, 2))
    found: dict[str, dict[str, Any]] = {name: _distances(clips, seen, what) for name, clips in made.items()}
    return found | {"bits of the frame before": {"accuracy": _plain(right / bits)}}


def _facts(sample: Sample, trained: int) -> dict[str, Any]:
    """Numbers of bits, the same for every clip."""
    schedule, (_, _, k) = ScaleSchedule.named(sample.entry.schedule), sample.codes.shape
    first = schedule.tokens[0] * k
    return {"trained": trained, "frame_bits": schedule.tokens_per_frame * k, "first_bits": (trained - 1) * first}


def _continued(pipeline: VideoPipeline, seen: HeldScenes, what: Probes, seed: int) -> dict[str, Any]:
    """M4, and the motion of M5: continuations of the first given frames, compared with the true future."""
    made = continue_clips(pipeline, seen.clips, what.given_frames, _requests(seen, what, seed), BATCH)
    through = [rebuild(pipeline, clip) for clip in seen.clips]
    motion, true_motion = (_motion(clips, what.given_frames) for clips in (made, through))
    return _distances(made, seen, what) | {"motion": _plain(motion), "true_motion": _plain(true_motion)}


def _prompted(pipeline: VideoPipeline, seen: HeldScenes, what: Probes, seed: int) -> Float64[np.ndarray, "n asked"]:
    """Text to video: the share of each clip's objects that the reader finds as the prompt says."""
    made = make_clips(pipeline, _requests(seen, what, seed), BATCH)
    fps = pipeline.shape(seen.bucket.schedule).fps
    found = [verdicts(asked, look(clip, fps)) for asked, clip in zip(seen.scenes, made, strict=True)]
    return np.array([[np.mean([one.is_right for one in of if one.measure == name]) for name in ASKED] for of in found])


def _requests(seen: HeldScenes, what: Probes, seed: int) -> list[Request]:
    return [
        Request(
            prompt=caption(shown),
            schedule=seen.bucket.schedule,
            num_frames=what.trained_frames,
            guidance=1.0,
            temperature=what.temperature,
            seed=(seed << 20) + number,
        )
        for number, shown in enumerate(seen.scenes)
    ]


def _distances(made: Sequence[ClipFrames], seen: HeldScenes, what: Probes) -> dict[str, Any]:
    """PSNR and position error of every future frame."""
    future = slice(what.given_frames, None)
    errors = [psnr(clip[future], true[future]) for clip, true in zip(made, seen.clips, strict=True)]
    places = place_errors(seen.scenes, made, seen.clips, what.given_frames)
    return {"psnr": _plain(np.stack(errors)), "position": _plain(places.error / np.maximum(places.objects, 1))}


def _motion(clips: Sequence[ClipFrames], given: int) -> Float64[np.ndarray, " n"]:
    """Mean absolute change from frame to frame after the given ones, in grey levels."""
    return np.array([np.abs(np.diff(clip[given - 1 :].astype(np.float64), axis=0)).mean() for clip in clips])


def _plain(values: Any) -> Any:
    """Lists for JSON; counts are whole, other figures have four decimals."""
    if isinstance(values, dict):
        return values
    rounded = np.round(np.asarray(values, dtype=np.float64), 4)
    return (rounded.astype(np.int64) if (rounded == np.rint(rounded)).all() else rounded).tolist()
