"""Clips through the tokenizer, in memory: their bits, and what is decoded from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool

from videoar.pretrain.evaluate.continuation import ClipFrames
from videoar.pretrain.generate.video import to_frames
from videoar.tokenizer import VideoTokenizer
from videoar.tokenizer.evaluation.evaluate import through_bits
from videoar.tokenizer.pixels import from_bytes


@dataclass(frozen=True, slots=True)
class Tokenized:
    """A clip after the tokenizer."""

    bits: Bool[np.ndarray, "t n k"]
    decoded: ClipFrames


@torch.inference_mode()
def tokenize(tokenizer: VideoTokenizer, clips: Sequence[ClipFrames], batch: int) -> list[Tokenized]:
    """Encode, quantise and decode clips of one shape, as the preparation of data and a generator do it."""
    device, found = next(tokenizer.parameters()).device, list[Tokenized]()
    for start in range(0, len(clips), batch):
        frames = torch.from_numpy(np.stack(clips[start : start + batch]))
        made = through_bits(tokenizer, from_bytes(frames.to(device)))
        found += map(Tokenized, made.bits.cpu().numpy(), to_frames(made.decoded))
    return found
