"""The process of a detector that is a TorchScript file: third-party code, which cannot write into files.

It answers each array of clips on stdin with an array of features on stdout, or with an error message as an array of
text.
"""

from __future__ import annotations

import io
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from typing import IO

import numpy as np
import torch
from torch import Tensor

from videoar.pretrain.evaluate.fvd.detector import ClipFeatures, Clips, to_i3d

_LENGTH = struct.Struct("<Q")
FLAGS = {"rescale": False, "resize": False, "return_features": True}
"""Arguments for StyleGAN-V's file, given if its `forward` has them: frames are already scaled and resized, as for I3D.
"""


def main() -> None:
    """Serve until the owner closes the pipe."""
    path, device = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the program prints must not mix with the answers
    _restrict()
    run: Callable[[Clips], ClipFeatures] | None = None
    while (clips := receive(sys.stdin.buffer)) is not None:
        try:
            run = run or _opened(path, torch.device(device))
            found = run(clips)
        except Exception as error:  # third-party code may raise anything
            lines = [line for line in str(error).splitlines() if line.strip()]
            found = np.array(" ".join(lines[-1:])[:200] or type(error).__name__)
        send(answers, found)


def _restrict() -> None:
    """Forbid writing into files, and leave signals to the owner."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def send(stream: IO[bytes], array: np.ndarray) -> None:
    """Write the length of an array in NumPy's format, and the array."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    stream.write(_LENGTH.pack(content.tell()))
    stream.write(content.getbuffer())
    stream.flush()


def receive(stream: IO[bytes]) -> np.ndarray | None:
    """The next array; None at the end. ValueError if it is cut off."""
    head = stream.read(_LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise ValueError("is cut off")
    return np.load(io.BytesIO(stream.read(*_LENGTH.unpack(head))), allow_pickle=False)


def _opened(path: str, device: torch.device) -> Callable[[Clips], ClipFeatures]:
    """Opens what computes features; in float32 without TensorFloat-32, so that devices agree."""
    model = torch.jit.load(path, map_location=device).eval()
    known = {argument.name for argument in model.forward.schema.arguments}
    flags = {name: value for name, value in FLAGS.items() if name in known}

    @torch.inference_mode()
    def features(clips: Clips) -> ClipFeatures:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            found = model(to_i3d(clips, device), **flags)
        if not isinstance(found, Tensor) or found.shape[:1] != (len(clips),) or not found.numel() or found.is_complex():
            raise ValueError("it gives no tensor with a row of real features for each clip")
        return found.flatten(1).double().cpu().numpy()

    return features


if __name__ == "__main__":
    main()
