"""Video: codecs that PyAV has, and a tiny clip that is written and decoded."""

from __future__ import annotations

import tempfile
from pathlib import Path

import av
import numpy as np

from videoar.cluster.doctor.check import failed, ok, warned
from videoar.cluster.ground.finding import Finding

CODECS = ("h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg")
_FRAMES, _SIZE = 9, 64
_GREY = 96


def decoders() -> Finding:
    """Write a grey clip and cut it as data is cut, in the decoder's own process."""
    from videoar.data_pipeline.decoding.client import DecodeError, DecodeLimits, VideoDecoder
    from videoar.tokenizer.config import ClipBucket

    remedy = "install the PyAV wheel (pip install --force-reinstall av)"
    bucket = ClipBucket(schedule=f"{_SIZE}x{_SIZE}", num_frames=_FRAMES, fps=8.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        _write(path)
        decoder = VideoDecoder(DecodeLimits())
        try:
            ((_, frames),) = decoder.cut(str(path), [0.0], bucket)
        except DecodeError as error:
            return failed("decoders", f"PyAV {av.__version__}: {error}", remedy)
        finally:
            decoder.close()
    if np.abs(frames.astype(int) - _GREY).max() > 8:
        return failed("decoders", f"PyAV {av.__version__} decodes other colours than were written", remedy)
    missing = [name for name in CODECS if name not in av.codecs_available]
    if missing:
        found = f"PyAV {av.__version__} without {', '.join(missing)}"
        return warned("decoders", found, "install the PyAV wheel (pip install av), or convert such clips")
    return ok("decoders", f"PyAV {av.__version__} decoded a clip; {', '.join(CODECS)}")


def _write(path: Path) -> None:
    from videoar.pretrain.generate.video import save_mp4

    save_mp4([np.full((_SIZE, _SIZE, 3), _GREY, np.uint8)] * (_FRAMES + 1), path, 8.0)
