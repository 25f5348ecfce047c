"""Videos that a run makes of the same few clips while it learns, next to the tokenizer's version of those clips.

    RUN/samples/step-00001000/00.mp4         a clip from its bits | continued from its first half | generated from text
    RUN/samples/step-00001000/all.mp4        every clip, one below the other
    RUN/samples/step-00001000/samples.json   which clips and texts, and the distance of each continuation from the clip

They are made from the checkpoint of that step, so it does not matter how the run is cut over processes: the first
process builds a plain model, and changes neither the state of the training nor its random numbers.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.files import filled_folder
from videoar.data_pipeline.shards.manifest import Manifest
from videoar.data_pipeline.shards.sample import Sample, SampleEntry
from videoar.pretrain.checkpoint.format import Checkpoint, CorruptCheckpoint, step_name
from videoar.pretrain.checkpoint.model import open_model
from videoar.pretrain.config import Recipe, StageConfig
from videoar.pretrain.data import open_text
from videoar.pretrain.engine.protocol import Engine
from videoar.pretrain.evaluate.bits import read_entries, spread
from videoar.pretrain.evaluate.continuation import psnr
from videoar.pretrain.export.convert import export_config
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.generate.panels import Panel, one_below_the_other, side_by_side
from videoar.pretrain.generate.sampler import Sampling, sample_frames
from videoar.pretrain.generate.video import save_mp4, to_frames
from videoar.pretrain.guidance import parse_guidance
from videoar.pretrain.record.reporter import Reporter
from videoar.pretrain.run_folder import SAMPLES, checkpoints, record_event
from videoar.tokenizer import open_tokenizer
from videoar.tokenizer.scales import ScaleSchedule, pixel_frames

DESCRIPTION = "samples.json"
EVERYTHING = "all.mp4"
CANDIDATES = 256
"""At most this many samples of a dataset are searched for those of a trained size."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """The versions of one clip."""

    entry: SampleEntry
    panels: Panel
    """Rebuilt, continued and generated, from left to right; an image has no continuation."""
    psnr_db: float | None
    """Mean over the continued frames, against those frames through the tokenizer."""


def check_sampling(recipe: Recipe, datasets: dict[str, Manifest]) -> None:
    """InputError, before training, if the recipe's tokenizer cannot decode the bits of the data."""
    if not recipe.log.sample_every:
        return
    found, wanted = open_tokenizer(recipe.tokenizer).hash, next(iter(datasets.values())).tokenizer_hash
    if found != wanted:
        raise InputError(
            "data.tokenizer",
            recipe.tokenizer.path or recipe.tokenizer.preset,
            f"is {found}, and the data was made by {wanted}: log.sample_every decodes with it",
            "name the tokenizer that made the data, or set log.sample_every=0",
        )


def sample(
    recipe: Recipe,
    engine: Engine,
    datasets: dict[str, Manifest],
    step: int,
    run: Path,
    reporter: Reporter | None = None,
) -> None:
    """Write RUN/samples/step-N from the committed checkpoint of `step`; every process calls this.

    The first process makes the videos, and the others wait for it at their next collective. It needs memory for a copy
    of the weights (two bytes each on a GPU), and makes two videos per clip, one at a time. For the 4B model and two
    clips of 33 frames at 384x672 that is 8 GB and about a minute. An error here is written to events.jsonl and never
    ends the run.
    """
    if not engine.is_first:
        return
    try:
        saved = Checkpoint(checkpoints(run, recipe).child(step_name(step)))
        with torch.random.fork_rng():
            folder = write_samples(recipe, saved, datasets, run, engine.device)
    except (InputError, CorruptCheckpoint, OSError, torch.OutOfMemoryError) as error:
        log.warning("no samples of step %d: %s", step, error)
        record_event(run, "sampling_failed", step=step, error=str(error))
        return
    if reporter is not None:
        reporter.show(folder, json.loads((folder / DESCRIPTION).read_text()))


def write_samples(
    recipe: Recipe, saved: Checkpoint, datasets: dict[str, Manifest], run: Path, device: torch.device
) -> Path:
    """The folder with the samples of one checkpoint; it appears when it is complete."""
    pipeline = open_pipeline(recipe, run, saved, device)
    stage = next(stage for stage in recipe.stages if stage.name == saved.meta["stage"])
    entries = choose(recipe, stage, datasets, pipeline)
    text = open_text(recipe, datasets)
    samples = [one for entry in entries for one in read_entries(datasets[entry.dataset], text, [entry])]
    out = run / SAMPLES / step_name(int(saved.meta["step"]))
    former = [path.name for path in out.glob("[0-9][0-9].mp4")]
    with filled_folder(out, former, last=DESCRIPTION) as writing:
        shown = [_show(pipeline, one, seed) for seed, one in enumerate(samples)]
        for index, (one, clip) in enumerate(zip(samples, shown, strict=True)):
            save_mp4(clip.panels, writing / f"{index:02d}.mp4", datasets[one.entry.dataset].fps)
        save_mp4(
            one_below_the_other([clip.panels for clip in shown]), writing / EVERYTHING, datasets[entries[0].dataset].fps
        )
        (writing / DESCRIPTION).write_text(json.dumps(_description(shown, saved, pipeline), indent=1) + "\n")
    return out


def open_pipeline(recipe: Recipe, run: Path, saved: Checkpoint, device: torch.device) -> VideoPipeline:
    """A plain model of a checkpoint, with its tokenizer; with the moving average if the checkpoint has one."""
    ema = saved.has("ema")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model = open_model(recipe.model, saved, ema=ema, device=device, dtype=dtype)
    tokenizer = open_tokenizer(recipe.tokenizer).to(device)
    return VideoPipeline(model, tokenizer, export_config(recipe, run, saved, ema=ema))


def choose(
    recipe: Recipe, stage: StageConfig, datasets: dict[str, Manifest], pipeline: VideoPipeline
) -> list[SampleEntry]:
    """The clips to show: held-out ones, or else training ones, of a size trained so far; the same at every step.

    They are spread over the datasets, and within each. Images are chosen only if there is no video.
    """
    sizes = {shape.schedule for shape in pipeline.config.shapes}
    for names in (recipe.log.validation, [part.dataset for part in stage.mixture]):
        some = [spread(datasets[name].entries, CANDIDATES) for name in names]
        pools = [[entry for entry in entries if entry.schedule in sizes] for entries in some]
        videos = [[entry for entry in pool if entry.num_frames > 1] for pool in pools]
        found = [pool for pool in (videos if any(videos) else pools) if pool]
        if found:
            return _deal(found, recipe.log.num_samples)
    raise InputError("stages", stage.name, "has no sample of a size that was trained so far", "check its mixture")


def _deal(pools: Sequence[Sequence[SampleEntry]], count: int) -> list[SampleEntry]:
    """`count` entries, one from each pool in turn."""
    each = -(-count // len(pools))
    hands = [spread(pool, each) for pool in pools]
    dealt = (hand[place] for place in range(each) for hand in hands if place < len(hand))
    return list(itertools.islice(dealt, count))


def _show(pipeline: VideoPipeline, sample: Sample, seed: int) -> Shown:
    schedule, entry = ScaleSchedule.named(sample.entry.schedule), sample.entry
    bits = torch.from_numpy(sample.bits)[None].to(pipeline.model.input.weight.device)
    rebuilt = to_frames(pipeline.tokenizer.decode(pipeline.tokenizer.dequantize(bits, schedule)))[0]
    panels, made_from, quality = [rebuilt], [len(rebuilt)], None
    if entry.num_frames > 1:
        given = entry.num_frames // 2
        panels.append(_made(pipeline, sample, seed, bits[:, :given]))
        made_from.append(pixel_frames(given))
        quality = float(psnr(panels[-1], rebuilt)[made_from[-1] :].mean())
    panels.append(_made(pipeline, sample, seed, None))
    return Shown(entry, side_by_side(panels, [*made_from, 0], zoom=2 if rebuilt.shape[1] < 128 else 1), quality)


def _made(
    pipeline: VideoPipeline, sample: Sample, seed: int, history: Bool[Tensor, "1 known tokens k"] | None
) -> Panel:
    """What the model generates from the sample's text after the given bits, with the default sampling of an export."""
    frames = sample_frames(
        pipeline.model,
        ScaleSchedule.named(sample.entry.schedule),
        [sample.text],
        Sampling(guidance=parse_guidance(pipeline.config.default_guidance(continued=history is not None))),
        num_frames=sample.entry.num_frames,
        window=pipeline.config.window,
        seeds=[seed],
        history=history,
    )
    latents = (frame.latent[:, :, None] for frame in frames)
    return np.concatenate([to_frames(pixels)[0] for pixels in pipeline.tokenizer.decode_stream(latents)])


def _description(shown: Sequence[Shown], saved: Checkpoint, pipeline: VideoPipeline) -> dict[str, Any]:
    return {
        "step": int(saved.meta["step"]),
        "weights": "moving average" if pipeline.config.provenance.ema else "trained",
        "guidance": pipeline.config.guidance,
        "samples": [
            {
                "file": f"{index:02d}.mp4",
                "dataset": clip.entry.dataset,
                "key": clip.entry.key,
                "caption": clip.entry.caption,
                "label": clip.entry.label,
                "seed": index,
                "psnr_continued_db": clip.psnr_db,
            }
            for index, clip in enumerate(shown)
        ],
    }
