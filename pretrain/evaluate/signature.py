"""Parts of the lines that are equal for figures that may be compared: which weights, and how videos are sampled."""

from __future__ import annotations

import hashlib
import json

from videoar.cluster.ground.fields.serialize import to_dict
from videoar.pretrain.generate import VideoPipeline
from videoar.pretrain.guidance import parse_guidance
from videoar.pretrain.model import VideoAR


def weights_signature(pipeline: VideoPipeline) -> str:
    """The generator and its tokenizer."""
    return f"weights={weights_hash(pipeline.model)[:8]}|tokenizer={pipeline.tokenizer.weights_hash[:8]}"


def sampling_signature(pipeline: VideoPipeline, temperature: float, top_p: float, guidance: str | None) -> str:
    """How bits are drawn; without `guidance`, with the default guidance of the weights."""
    told = _corners(pipeline.config.guidance if guidance is None else guidance)
    if guidance is None and pipeline.config.continued_guidance:
        told += f"|continued={_corners(pipeline.config.continued_guidance)}"
    return f"temperature{temperature:g}|top_p{top_p:g}|guidance={told}"


def _corners(guidance: str) -> str:
    ramp = parse_guidance(guidance)
    return ",".join(f"{gamma:g}" for gamma in (ramp.first_coarse, ramp.last_coarse, ramp.first_fine, ramp.last_fine))


def device_signature(pipeline: VideoPipeline) -> str:
    """Where the generator computes, and in which number format."""
    weight = pipeline.model.input.weight
    return f"{weight.device.type},{str(weight.dtype).removeprefix('torch.')}"


def weights_hash(model: VideoAR) -> str:
    """Sixteen hex digits of a generator's configuration and weights."""
    digest = hashlib.sha256(json.dumps(to_dict(model.config), sort_keys=True).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:16]
