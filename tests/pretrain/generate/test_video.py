"""Video in and out: what a player finds in the file, and what a file gives the model."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.generate.video import Video, fit, read_video, to_frames, to_tensor


def _ramp(num_frames: int, height: int, width: int) -> np.ndarray:
    """Frames whose brightness encodes their number."""
    levels = np.linspace(20, 230, num_frames).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (num_frames, height, width, 3)).copy()


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 47)])
def test_an_mp4_decodes_back(tmp_path: Path, height: int, width: int) -> None:
    """A lost flush, a wrong rate or an odd size would show as a missing frame, a wrong speed or a refusal."""
    frames = _ramp(9, height, width)
    path = Video(frames, fps=7.5).save(tmp_path / "deep" / "x.mp4")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == 7.5
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    assert decoded.shape == (9, height + height % 2, width + width % 2, 3)
    assert np.abs(decoded[:, :height, :width].astype(int) - frames).max() <= 6


def test_reading_samples_at_the_models_rate(tmp_path: Path) -> None:
    """Frames taken one by one from a 16 fps file would play at half speed in an 8 fps model."""
    frames = _ramp(17, 32, 32)
    path = Video(frames, fps=16.0).save(tmp_path / "x.mp4")
    read = read_video(path, fps=8.0)
    assert read.shape[0] == 9
    assert np.abs(read.astype(int) - frames[::2]).max() <= 6
    assert np.array_equal(read_video(path, fps=8.0, max_frames=5), read[-5:])


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    """The user sees which file and what to give instead, not an FFmpeg traceback."""
    (tmp_path / "x.mp4").write_text("hello")
    for path in (tmp_path / "x.mp4", tmp_path / "absent.mp4"):
        with pytest.raises(InputError, match="give a video or picture file"):
            read_video(path, fps=8.0)


def test_fit_covers_and_crops_at_the_centre() -> None:
    """Stretching instead of cropping would move the edge away from the middle column."""
    frames = np.zeros((2, 40, 100, 3), np.uint8)
    frames[:, :, 50:] = 200
    fitted = fit(frames, 20, 20)
    assert fitted.shape == (2, 20, 20, 3)
    assert fitted[:, :, :9].max() == 0
    assert fitted[:, :, 11:].min() == 200
    assert fit(frames, 40, 100) is frames


def test_bytes_to_pixels_and_back() -> None:
    """[-1, 1] must hit 0 and 255 exactly, or every pass through the tokenizer shifts the brightness."""
    frames = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    video = to_tensor(frames)
    assert (video.min().item(), video.max().item()) == (-1.0, 1.0)
    assert np.array_equal(to_frames(video)[0], frames)
    assert to_frames(torch.full((1, 3, 1, 2, 2), 3.0)).max() == 255
