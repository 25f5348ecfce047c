"""The tokenizer decodes latent frames in a thread while the next ones are generated."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from videoar.pretrain.generate.video import to_frames
from videoar.tokenizer import VideoTokenizer

Latents = Float32[Tensor, "b k h w"]
Frames = UInt8[np.ndarray, "b _f h_16 w_16 3"]

AHEAD = 2
"""Largest number of latent frames that wait for the decoder: generation does not run further ahead."""


def decoded(tokenizer: VideoTokenizer, latents: Iterable[Latents]) -> Iterator[Frames]:
    """Yield the pixel frames of one latent frame after another: those of `tokenizer.decode_stream`.

    The next latent is taken from `latents`, on the thread of the caller, before the frames of the one before are
    waited for. Ending the iteration early waits for at most `AHEAD` latents.
    """
    decoder, pending = _Decoder(tokenizer), deque[Future[np.ndarray]]()
    with ThreadPoolExecutor(1, "decode") as thread:
        for latent in latents:
            pending.append(thread.submit(decoder.decode, latent, _now(latent)))
            while pending and (pending[0].done() or len(pending) > AHEAD):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class _Decoder:
    """Decodes one latent per call; on a GPU in a stream of its own, in parallel with the generator's stream."""

    def __init__(self, tokenizer: VideoTokenizer) -> None:
        self._waiting: SimpleQueue[Tensor] = SimpleQueue()
        self._frames = tokenizer.decode_stream(iter(self._waiting.get, None))
        self._stream: torch.cuda.Stream | None = None

    @torch.inference_mode()
    def decode(self, latent: Latents, made: torch.cuda.Event | None) -> Frames:
        """The frames of the next latent, which the device has computed at the event `made`."""
        self._waiting.put(latent[:, :, None])
        if made is None:
            return to_frames(next(self._frames))
        self._stream = self._stream or torch.cuda.Stream(latent.device)
        with torch.cuda.stream(self._stream):
            self._stream.wait_event(made)
            latent.record_stream(self._stream)
            return to_frames(next(self._frames))


def _now(latent: Tensor) -> torch.cuda.Event | None:
    """On a GPU, an event after everything that was enqueued so far."""
    if not latent.is_cuda:
        return None
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(latent.device))
    return event
