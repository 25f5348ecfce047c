"""Detectors that are TorchScript files, such as the I3D that StyleGAN-V distributes; each has a process of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import weakref
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from videoar.cluster.ground.errors import InputError
from videoar.cluster.ground.process import variable
from videoar.pretrain.evaluate.fvd.detector import I3D_SIDE, ClipFeatures, Clips, Detector
from videoar.pretrain.evaluate.fvd.script_process import receive, send

_PROBE = (1, 16, 8, 8, 3)
"""Shape of a clip that is used to find the number of features."""
_PASSED_ON = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")
"""Environment variables of the process; it gets no others, because they may hold credentials."""
_REMEDY = "give a detector that reads clips (b, 3, frames, 224, 224) in [-1, 1] and gives a row of features for each"


def is_script(path: Path) -> bool:
    """Whether a file is a TorchScript archive, which holds code."""
    with suppress(OSError, zipfile.BadZipFile, ValueError):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return any("/code/" in name for name in archive.namelist())
    return False


class ScriptDetector(Detector):
    """Features by a TorchScript module that reads frames as I3D does: (b, d), or more dimensions, which are flattened.

    The module is a program: use one that you trust. Its process has no environment variables of ours, which may hold
    secrets, and can put nothing into files.
    """

    name = "script-fvd"
    resize = f"bilinear{I3D_SIDE}"
    min_frames = 1
    min_side = 1

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        """InputError, which names the field `detector`, for a module that cannot read clips."""
        with path.open("rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._path = path
        self._process = _started(path, device)
        weakref.finalize(self, _end, self._process)
        self.num_features = self._answered(np.zeros(_PROBE, np.uint8)).shape[1]

    def features(self, clips: Clips) -> ClipFeatures:
        found = self._answered(clips)
        if (count := found.shape[1]) != self.num_features:
            problem = f"it gives {count} features, and {self.num_features} of clips of {_PROBE[1]} frames"
            raise self._failed(clips, problem)
        return found

    def _answered(self, clips: Clips) -> ClipFeatures:
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            send(self._process.stdin, clips)
            found = receive(self._process.stdout)
        except (OSError, ValueError, EOFError) as error:  # a broken pipe, or an answer that is cut off
            raise self._failed(clips, "its process ended") from error
        if found is None:
            raise self._failed(clips, "its process ended")
        if found.dtype != np.float64:
            raise self._failed(clips, str(found))
        return found

    def _failed(self, clips: Clips, reason: str) -> InputError:
        problem = f"fails on clips of {clips.shape[1]} frames ({' '.join(reason.split())})"
        return InputError("detector", self._path, problem, _REMEDY)


def _started(path: Path, device: torch.device | str) -> subprocess.Popen[bytes]:
    passed_on = {name: value for name in _PASSED_ON if (value := variable(name)) is not None}
    return subprocess.Popen(
        [sys.executable, "-m", "videoar.pretrain.evaluate.fvd.script_process", str(path.resolve()), str(device)],
        env={"PYTHONPATH": os.pathsep.join(sys.path), **passed_on},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.kill()
    process.wait()
