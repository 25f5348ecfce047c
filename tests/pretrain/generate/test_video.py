"""Video out: what a player finds in the file; and pixels in."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch

from videoar.pretrain.generate.video import fit, save_mp4, to_frames, to_tensor


def _ramp(num_frames: int, height: int, width: int) -> np.ndarray:
    """Frames whose brightness encodes their number."""
    levels = np.linspace(20, 230, num_frames).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (num_frames, height, width, 3)).copy()


@pytest.mark.parametrize(("height", "width"), [(32, 48), (33, 47)])
def test_an_mp4_decodes_back(tmp_path: Path, height: int, width: int) -> None:
    """A lost flush, a wrong rate or an odd size would show as a missing frame, a wrong speed or a refusal."""
    frames = _ramp(9, height, width)
    path = save_mp4(frames, tmp_path / "deep" / "x.mp4", 7.5)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == 7.5
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    assert decoded.shape == (9, height + height % 2, width + width % 2, 3)
    assert np.abs(decoded[:, :height, :width].astype(int) - frames).max() <= 6


def test_another_reader_sees_the_same_frames(tmp_path: Path) -> None:
    """PyAV reads what PyAV wrote; a player is another program."""
    cv2 = pytest.importorskip("cv2")
    frames = _ramp(9, 32, 48)
    frames[..., 0] = 255 - frames[..., 0]
    film = cv2.VideoCapture(str(save_mp4(frames, tmp_path / "x.mp4", 7.5)))
    assert film.isOpened()
    assert film.get(cv2.CAP_PROP_FPS) == pytest.approx(7.5)
    read = []
    while (found := film.read())[0]:
        read.append(found[1][..., ::-1])  # BGR
    film.release()
    assert np.stack(read).shape == frames.shape
    assert np.abs(np.stack(read).astype(int) - frames).max() <= 12, "both convert the colours, each with its rounding"


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
