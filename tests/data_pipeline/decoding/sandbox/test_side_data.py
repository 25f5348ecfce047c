from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageCms

from videoar.data_pipeline.decoding.client import DecodeLimits, VideoDecoder
from videoar.data_pipeline.decoding.sandbox.kinds import kinds_of
from videoar.data_pipeline.decoding.sandbox.picture import shown_size
from videoar.data_pipeline.decoding.sandbox.side_data import attached


def test_looking_at_a_frame_does_not_keep_it(tmp_path: Path) -> None:
    """If a frame refers to what refers to it, the pixels of hundreds of frames stay, and large ones fill memory."""
    path, exif = tmp_path / "turned.jpg", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save(path, exif=exif)
    with av.open(path) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        before = sys.getrefcount(frame)
        assert shown_size(frame, stream) == (48, 32)
        assert kinds_of(frame) == ()
        assert attached(frame, "DISPLAYMATRIX") is not None
        assert sys.getrefcount(frame) == before


def test_names_of_profiles_do_not_kill_the_decoder(tmp_path: Path) -> None:
    """PyAV frees the name of a picture's profile, and so does the picture: one decoder in 70 pictures died of it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save(tmp_path / "named.png", icc_profile=profile)
    with VideoDecoder(DecodeLimits()) as decoder:
        for _ in range(150):
            assert decoder.probe(str(tmp_path / "named.png")).is_image
