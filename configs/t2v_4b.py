"""VideoAR-4B on text and video, from scratch, in the paper's three stages (VideoAR §4.2 and appendix A).

From the paper: 36 layers x 2560; 48 bits a token, time stride 4; images and low-resolution video, then higher
resolution, then longer video alone; pixel sizes of 256 and 512 (square roots), 384x672 at 8 fps, 33 and 65 frames;
AdamW (0.9, 0.95), cosine from 1e-4, weight decay 0.05; Cross-Frame Error Correction p_min 0, p_max 0.25, delta 0.01;
Random Frame Mask; guidance 5 -> 3.
Our choice where the paper says nothing:
- Lengths: it gives no batch, step or token count ("relatively modest"). The number of samples follows the one published
  recipe of the family, InfinityStar's (arXiv:2511.04675: 50k steps of 2,048 clips at 192p, 8k of 1,024 at 480p, 3k at
  720p): 107 M, 7 M and 1.5 M clips, so about one pass over 100 M clips, and twice as many images.
- Heads: 20 of 128 instead of 32 of 80, which attention kernels pad to 96 or 128; the same weights and FLOPs. For the
  paper's heads use `--model.num-heads 32`, under any layout.
- p_mask 0.1, and a window of 16 latent frames: all of 65 pixel frames. Two images per clip in stage I, one in stage II.
- Text: up to 256 states of a frozen Flan-T5-XL (2,048 wide), as in Infinity, whose tokenizer the paper starts from.

Should reach: VBench 81.74 (quality 82.88, semantic 77.15), as in the paper, whose data is not public.
Needs: images and videos with captions (x.txt next to x.mp4), in data/images, data/videos and data/held_out or in
the folders that `--data.datasets.NAME.source.path` gives; a tokenizer of 48 bits; the folder of Flan-T5-XL:

    videoar data run t2v_4b --output URL --data.tokenizer.path DIR
    videoar data text t2v_4b --output URL --encoder DIR
    videoar train t2v_4b --data.url URL --processes 8

On 64 and 512 devices the name is `t2v_4b@64` and `t2v_4b@512`, and torchrun or srun starts the processes.

Cost:
    I: 50,000 steps, 605 G tokens, 1.48e+22 FLOPs, 10,419 H200-hours
    II: 16,000 steps, 195 G tokens, 6.61e+21 FLOPs, 4,642 H200-hours
    III: 6,000 steps, 68.8 G tokens, 3.13e+21 FLOPs, 2,198 H200-hours
    all: 72,000 steps, 868 G tokens, 2.46e+22 FLOPs, 17,258 H200-hours
    at 40% of the peak, H200: 8 in 89.9 days, 64 in 11.2 days, 512 in 33.7 h
Steps, batch and therefore the result are the same under every layout. Eight devices are for stage I and for debugging.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from videoar.configs.sizes import B4_HD128
from videoar.data_pipeline.config.data import DataConfig
from videoar.data_pipeline.config.datasets import DatasetConfig, FilterConfig, ShotConfig, SourceConfig
from videoar.pretrain.config import (
    CorrectionConfig,
    FaultConfig,
    LogConfig,
    MixturePart,
    OptimizerConfig,
    ParallelConfig,
    Recipe,
    StageConfig,
    TextConfig,
)
from videoar.tokenizer.config import ClipBucket, TokenizerSource

TOKENIZER = "weights/tokenizer"
"""Default folder of the tokenizer's weights."""

IMAGES, VIDEOS, HELD_OUT = "data/images", "data/videos", "data/held_out"
"""Default folders of the sources."""

WINDOW = 16
P_MASK = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How one replica is cut for a given number of devices."""

    recipe: ParallelConfig
    """How it is cut in stages I and II."""
    long: ParallelConfig
    """How it is cut in stage III, whose packs are twice as long."""


_WHOLE = ParallelConfig(zero_stage=1, recompute="selective", compile=True)
_HALVES = replace(_WHOLE, tensor=2)

LAYOUTS = {
    8: Layout(recipe=_WHOLE, long=replace(_WHOLE, context=2)),
    64: Layout(recipe=_WHOLE, long=replace(_WHOLE, context=2)),
    512: Layout(recipe=_HALVES, long=_HALVES),
}
"""Layouts by number of H200. A replica fits one device under ZeRO 1; stage III's packs take two. On 512 devices, each
has one pack per step and would then reduce 15 GB of gradients: tensor 2 within a machine halves those bytes and doubles
the work between reductions."""


FAULTS = FaultConfig(spike_factor=1.2, spike_window=200)
"""Rewind after a loss spike: weeks of training should not wait until someone sees one. A step averages thousands of
frames, so the losses of ordinary steps differ by a few per cent. Chance is 0.69 nats per bit: a model that has learnt
reaches 1.2 times its own loss only if it is nearly as bad as chance. The median of 200 steps follows the slope of the
curve. The fourth spike stops the run: you must then choose a smaller learning rate or other data."""


def recipe(gpus: int = 8) -> Recipe:
    """Three stages, 72,000 steps, with the layout for this number of devices."""
    layout = LAYOUTS[gpus]
    return Recipe(
        name="t2v_4b",
        model=replace(B4_HD128, text=TextConfig(kind="t5", max_tokens=256, width=2048)),
        data=DataConfig(
            datasets=(
                _dataset("images256", IMAGES, "256x256", num_frames=1),
                _dataset("clips192", VIDEOS, "192x336", num_frames=33),
                _dataset("images512", IMAGES, "512x512", num_frames=1),
                _dataset("clips384", VIDEOS, "384x672", num_frames=33),
                _dataset("long384", VIDEOS, "384x672", num_frames=65),
                _dataset("held192", HELD_OUT, "192x336", num_frames=33),
                _dataset("held384", HELD_OUT, "384x672", num_frames=33),
            ),
            tokenizer=TokenizerSource(path=TOKENIZER),
        ),
        stages=(
            _stage("I", {"images256": 2.0, "clips192": 1.0}, steps=50_000, tokens_per_pack=24_064, batch=512),
            _stage("II", {"images512": 1.0, "clips384": 1.0}, steps=16_000, tokens_per_pack=24_064, batch=512),
            replace(
                _stage("III", {"long384": 1.0}, steps=6_000, tokens_per_pack=45_056, batch=256),
                parallel=None if layout.long == layout.recipe else layout.long,
            ),
        ),
        correction=CorrectionConfig(corruption="time", inheritance=True, p_min=0.0, p_max=0.25, delta=0.01),
        optimizer=OptimizerConfig(betas=(0.9, 0.95), weight_decay=0.05, schedule="cosine", warmup_steps=2000),
        parallel=layout.recipe,
        log=LogConfig(save_every=1000, keep_every=10_000, validate_every=1000, validation=("held192", "held384")),
        faults=FAULTS,
        precision="bf16",
        guidance="t2v",
    )


def _dataset(name: str, folder: str, size: str, *, num_frames: int) -> DatasetConfig:
    """Images of a folder, or clips of its videos at 8 fps without cuts; nothing is enlarged."""
    return DatasetConfig(
        name=name,
        source=SourceConfig(path=folder),
        bucket=ClipBucket(schedule=size, num_frames=num_frames, fps=8.0),
        shots=ShotConfig(detector="off" if num_frames == 1 else "adaptive"),
        filters=FilterConfig(max_enlarge=1.0),
    )


def _stage(name: str, mixture: dict[str, float], *, steps: int, tokens_per_pack: int, batch: int) -> StageConfig:
    return StageConfig(
        name=name,
        mixture=tuple(MixturePart(dataset=dataset, weight=weight) for dataset, weight in mixture.items()),
        steps=steps,
        tokens_per_pack=tokens_per_pack,
        batch=batch,
        learning_rate=1e-4,
        window=WINDOW,
        p_mask=P_MASK,
    )
