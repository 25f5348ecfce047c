"""Frames become the kind of file that a name ends in."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.pretrain.generate import Video


@pytest.mark.parametrize(("name", "codec", "count"), [("x.mp4", "h264", 5), ("x.GIF", "gif", 5), ("x.png", "png", 1)])
def test_a_video_is_saved_as_its_name_says(tmp_path: Path, name: str, codec: str, count: int) -> None:
    """An MP4 that is called a GIF is opened by nothing."""
    path = Video(np.zeros((5, 16, 16, 3), np.uint8), 8.0).save(str(tmp_path / "new" / name))
    with av.open(str(path)) as film:
        assert film.streams.video[0].codec_context.name == codec
        assert len(list(film.decode(video=0))) == count


def test_another_name_is_refused(tmp_path: Path) -> None:
    """With the names that there are."""
    with pytest.raises(InputError, match=r"let it end in \.mp4, \.gif or \.png"):
        Video(np.zeros((5, 16, 16, 3), np.uint8), 8.0).save(tmp_path / "x.webm")
