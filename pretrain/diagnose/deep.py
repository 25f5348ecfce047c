"""Training compared with inference on one sample: the sampler's cached passes must give the logits of one full pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from videoar.cluster.ground.finding import Finding
from videoar.data_pipeline.shards.sample import Sample
from videoar.pretrain.batch.pack import plain_pack
from videoar.pretrain.checkpoint.model import open_model
from videoar.pretrain.config import StageConfig
from videoar.pretrain.diagnose.evidence import Evidence, mean_of
from videoar.pretrain.generate.decoder import CachedDecoder
from videoar.pretrain.generate.sampler import Accumulation
from videoar.pretrain.model import VideoAR
from videoar.pretrain.model.attention import choose
from videoar.tokenizer.scales import HistoryKind, ScaleSchedule

TOLERANCE = 1e-3
"""Largest allowed difference between two logits in float32; a wrong mask, position or input changes some by 0.1 or
more."""


@dataclass(frozen=True, slots=True)
class BothWays:
    """Teacher-forced logits of every bit of a sample: from one full pass, and from the sampler's passes."""

    full: Float32[Tensor, "t n k"]
    cached: Float32[Tensor, "t n k"]
    bits: Bool[Tensor, "t n k"]

    @property
    def difference(self) -> float:
        """Largest difference between the two logits of a bit."""
        return float((self.full - self.cached).abs().max())

    def accuracy(self, logits: Float32[Tensor, "t n k"]) -> float:
        """Share of bits that these logits predict correctly."""
        return float(((logits > 0) == self.bits).float().mean())


def inference(evidence: Evidence) -> Iterator[Finding]:
    """The newest checkpoint on one held-out (else training) sample, both ways; then its moving average."""
    found = _sample(evidence)
    if evidence.saved is None or found is None:
        yield Finding(name="inference", state="skip", found="needs an undamaged checkpoint and readable data")
        return
    sample, stage = found
    ways = both_ways(open_model(evidence.recipe.model, evidence.saved, ema=False), stage, sample)
    full, cached = ways.accuracy(ways.full), ways.accuracy(ways.cached)
    trained = mean_of(evidence.recent, "bit_accuracy") or 0.0
    figures = {"difference": ways.difference, "full": full, "cached": cached, "training": trained}
    yield _agreement(ways.difference, full, cached, figures)
    found_here = f"{full:.3f} on sample {sample.entry.key} of {sample.entry.dataset}, {trained:.3f} in training"
    lost = trained > 0.55 and full < 0.5 + (trained - 0.5) / 3
    yield Finding(
        name="weights",
        state="fail" if lost else "ok",
        found=f"bit accuracy {found_here}",
        figures=figures,
        remedy="the checkpoint does not hold the trained weights, or the sample is from other data" if lost else "",
    )
    if evidence.saved.has("ema"):
        average = both_ways(open_model(evidence.recipe.model, evidence.saved, ema=True), stage, sample)
        accuracy = average.accuracy(average.full)
        behind = accuracy < full - 0.05
        yield Finding(
            name="EMA accuracy",
            state="warn" if behind else "ok",
            found=f"{accuracy:.3f}; the trained weights reach {full:.3f}",
            remedy="export without --ema, or lower optimizer.ema_decay" if behind else "",
            figures={"ema": accuracy},
        )


@torch.inference_mode()
def both_ways(model: VideoAR, stage: StageConfig, sample: Sample) -> BothWays:
    """Logits from the stored bits before each bit: in one masked pass (training), and scale by scale (sampling)."""
    return BothWays(_full(model, stage, sample), _cached(model, stage, sample), torch.from_numpy(sample.bits))


def _full(model: VideoAR, stage: StageConfig, sample: Sample) -> Float32[Tensor, "t n k"]:
    pack = plain_pack((sample,), model.config, tokens_per_pack=stage.tokens_per_pack, window=stage.window)
    logits = model(pack.inputs, choose(pack.layout, pack.weights.device))
    return logits[pack.inputs.scale >= 0].unflatten(0, sample.bits.shape[:2])


def _cached(model: VideoAR, stage: StageConfig, sample: Sample) -> Float32[Tensor, "t n k"]:
    schedule, bits = ScaleSchedule.named(sample.entry.schedule), torch.from_numpy(sample.bits)
    decoder = CachedDecoder(model, schedule, [sample.text], num_frames=sample.entry.num_frames, window=stage.window)
    state, frames = Accumulation(model, schedule, 1), []
    for of_frame in bits:
        scales = []
        for scale, of_scale in enumerate(of_frame.split(list(schedule.tokens))):
            scales.append(decoder.scale_logits(scale, state.feature(scale))[0, 0])
            state.add(of_scale[None], scale)
        frames.append(torch.cat(scales))
        decoder.advance()
        state.advance()
    return torch.stack(frames)


def _agreement(difference: float, full: float, cached: float, figures: dict[str, float]) -> Finding:
    found = f"largest difference of a logit {difference:.1e}; bit accuracy {full:.3f} in full, {cached:.3f} cached"
    wrong = difference > TOLERANCE
    return Finding(
        name="inference",
        state="fail" if wrong else "ok",
        found=found,
        figures=figures,
        remedy="sampling does not compute what training computed: check positions, masks and the window of the cache"
        if wrong
        else "",
    )


def _sample(evidence: Evidence) -> tuple[Sample, StageConfig] | None:
    """The sample to compare on, of held-out data if there is any, and the stage as it is applied to it.

    It is the shortest of at least three latent frames (else the longest), alone in a pack, under a window that it
    exceeds: the cache must drop a frame, and the passes of a large model on a CPU stay affordable.
    """
    stage = next(stage for stage in evidence.recipe.stages if stage.name == evidence.records[-1]["stage"])
    for names in (evidence.recipe.log.validation, [part.dataset for part in stage.mixture]):
        lists = [evidence.samples.get(name) for name in names]
        readable = [sample for one in lists if isinstance(one, list) for sample in one]
        if readable:
            chosen = min(readable, key=_suitability)
            return chosen, _stage_of(stage, chosen, evidence.recipe.model.history)
    return None


def _suitability(sample: Sample) -> tuple[bool, int]:
    """Smallest for the shortest sample of at least three latent frames, then for longer ones, then for two and one."""
    frames, tokens = sample.entry.num_frames, sample.entry.video_tokens()
    return frames < 3, tokens if frames >= 3 else -frames


def _stage_of(stage: StageConfig, sample: Sample, history: HistoryKind) -> StageConfig:
    """The stage with a pack as long as the sample, and a window of at least one frame that the sample exceeds."""
    length = len(sample.text) + sample.entry.video_tokens(history)
    window = min(stage.window, max(1, sample.entry.num_frames - 2))
    return replace(stage, tokens_per_pack=-(-length // 256) * 256, window=window)
