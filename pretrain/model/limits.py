"""Limits of a model's learned tables; a video beyond them has no embedding."""

from __future__ import annotations

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.config import ModelConfig
from videoar.tokenizer.scales import ScaleSchedule


def check_limits(config: ModelConfig, schedule: ScaleSchedule, num_frames: int) -> None:
    """InputError if the model has no embedding for a scale, a latent frame or a side of this video."""
    wanted = {"max_scales": schedule.num_scales}
    if config.rope == "learned":
        wanted |= {"max_frames": num_frames, "max_side": max(schedule.grid)}
    for name, count in wanted.items():
        if count > (limit := getattr(config, name)):
            problem = f"is below the {count} of this video ({num_frames} latent frames at {schedule.name})"
            raise InputError(f"model.{name}", limit, problem, "train with a larger one, or use a smaller video")
