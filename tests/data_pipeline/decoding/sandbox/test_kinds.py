"""Pictures of kinds that need a decision: what becomes of their colours, transparency and half pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc
from PIL import Image

from videoar.data_pipeline.config.datasets import SourceConfig
from videoar.data_pipeline.config.pictures import PictureConfig
from videoar.data_pipeline.decoding.client import ClipCut, DecodeError, DecodeLimits, VideoDecoder
from videoar.data_pipeline.planning.accounts import Accounts
from videoar.data_pipeline.planning.choose import iter_plan
from videoar.data_pipeline.sources.source import Skipped
from videoar.tokenizer.config import ClipBucket

from ...datasets import LIMITS, dataset
from ...videos import scene, write_frames

pytestmark = pytest.mark.slow

CLIP = ClipCut(start_s=0.0, num_frames=1, fps=1.0, schedule="64x64")


DECODER = VideoDecoder(DecodeLimits())
"""One process for all tests; it starts when it is first asked."""


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    DECODER.close()


def first(path: Path, decoder: VideoDecoder = DECODER) -> np.ndarray:
    """The first frame in 64x64."""
    ((_, frames),) = decoder.cut_all(str(path), [CLIP])
    return frames[0]


def hdr_film(path: Path, colours: list[list[float]], transfer: ColorTrc) -> Path:
    """Four stripes of non-linear R, G, B from 0 to 1 in BT.2020, with ten bits."""
    red, green, blue = np.repeat(np.array(colours), 64 // len(colours), axis=0).T
    luma = 0.2627 * red + 0.678 * green + 0.0593 * blue
    planes = (luma * 876 + 64, (blue - luma) / 1.8814 * 896 + 512, (red - luma) / 1.4746 * 896 + 512)
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height = stream.width = 64
        stream.pix_fmt = "yuv444p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries = int(transfer), int(ColorPrimaries.BT2020)
        context.colorspace, context.color_range = 9, 1
        for number in range(3):
            frame = av.VideoFrame(64, 64, "yuv444p10le")
            for plane, levels in zip(frame.planes, planes, strict=True):
                rows = np.zeros((64, plane.line_size // 2), np.uint16)
                rows[:, :64] = np.rint(levels)
                plane.update(rows.tobytes())
            frame.pts = number
            frame.color_trc, frame.color_primaries = transfer, ColorPrimaries.BT2020
            frame.colorspace, frame.color_range = Colorspace(9), 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def pq(nits: float) -> float:
    """SMPTE ST 2084: the non-linear level of a luminance."""
    power = (nits / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def test_high_dynamic_range_is_tone_mapped(tmp_path: Path) -> None:
    """Read as ordinary video it is grey and washed out: a white sheet of paper (203 cd/m2) would have level 148."""
    nits = [[203.0] * 3, [203 * 0.18] * 3, [62.7, 6.9, 1.6], [0.0] * 3]  # the third: 100 cd/m2 of BT.709's red
    film = hdr_film(tmp_path / "x.mkv", [[pq(part) for part in colour] for colour in nits], ColorTrc.SMPTE2084)
    white, grey, red, black = first(film)[32, 8::16].astype(int)
    assert white.min() > 200
    assert 100 < grey.mean() < 135, "18 % of white is 118 in sRGB"
    assert red[0] > 140
    assert red[1:].max() < 50, "without green and blue"
    assert black.max() < 3


@pytest.mark.parametrize(("ground", "level"), [("white", 255), ("grey", 128), ("black", 0)])
@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_transparent_pixels_stand_on_the_ground(tmp_path: Path, suffix: str, ground: str, level: int) -> None:
    """The colour under them is what the program left there: often magenta."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:] = (255, 0, 255, 0)
    pixels[:, :16] = (0, 200, 0, 255)
    pixels[:, 48:] = (0, 0, 0, 128)
    lossless = {"lossless": True, "exact": True} if suffix == "webp" else {}
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", **lossless)
    with VideoDecoder(DecodeLimits(), PictureConfig(alpha=ground)) as decoder:  # type: ignore[arg-type]
        found = first(tmp_path / f"a.{suffix}", decoder)
    assert found[32, 8].tolist() == [0, 200, 0]
    assert found[32, 32].tolist() == [level] * 3
    assert np.abs(found[32, 56].astype(int) - round(level * 127 / 255)).max() <= 1


def test_a_palette_with_transparency(tmp_path: Path) -> None:
    """Its transparent colour is one of 256 entries."""
    picture = Image.new("P", (64, 64), 1)
    picture.putpalette([0, 200, 0, 255, 0, 255])
    picture.save(tmp_path / "a.png", transparency=1)
    assert first(tmp_path / "a.png").min() == 255


def interlaced_film(path: Path, num_frames: int = 20) -> tuple[Path, list[np.ndarray]]:
    """A bar that moves between the two fields of a frame; and frames of the first field's moment alone."""
    shown = []
    path.parent.mkdir(exist_ok=True)
    options = {"crf": "4", "flags": "+ilme+ildct", "x264opts": "tff=1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(num_frames):
            fields = [np.full((64, 64, 3), 30, np.uint8) for _ in range(2)]
            for half, field in enumerate(fields):
                left = (4 * number + 2 * half) % 56
                field[:, left : left + 8] = 220
            shown.append(fields[0].copy())
            fields[0][1::2] = fields[1][1::2]
            frame = av.VideoFrame.from_ndarray(fields[0], format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path, shown


def test_interlaced_films_are_deinterlaced(tmp_path: Path) -> None:
    """Two moments in one picture are combs at every edge that moves; what else is cut must not change a frame."""
    path, shown = interlaced_film(tmp_path / "film.mp4", 40)
    bucket = ClipBucket(schedule="64x64", num_frames=17, fps=25.0)
    assert DECODER.probe(str(path)).kinds == ("interlaced",)
    ((_, frames),) = DECODER.cut(str(path), [0.0], bucket)
    ((_, late),) = DECODER.cut(str(path), [0.64], bucket)
    for number in range(1, 16):
        lines = frames[number].astype(int)
        assert np.abs(lines[1:] - lines[:-1]).mean() < 3, f"frame {number} has combs"
        assert np.abs(lines - shown[number]).mean() < 12
    assert np.array_equal(late[0], frames[16])


@pytest.mark.parametrize("kind", ["alpha", "interlaced", "hdr"])
def test_a_kind_can_be_left_out_and_is_counted(tmp_path: Path, kind: str) -> None:
    """Whoever does not want such pictures must see how many there were."""
    folder = tmp_path / "clips"
    write_frames(folder / "plain.mp4", scene(0, 45))
    if kind == "interlaced":
        interlaced_film(folder / "kind.mp4", 50)
    elif kind == "hdr":
        hdr_film(folder / "kind.mkv", [[0.5] * 3], ColorTrc.ARIB_STD_B67)
    else:
        Image.new("RGBA", (64, 64), (9, 9, 9, 9)).save(folder / "kind.png")
    for choice in ("", "leave_out"):
        pictures = PictureConfig(**{kind: choice}) if choice else PictureConfig()  # type: ignore[arg-type]
        source = SourceConfig(path=str(folder), pictures=pictures)
        config = dataset(folder, source=source, bucket=ClipBucket(schedule="32x32", num_frames=1, fps=8.0))
        accounts = Accounts()
        left = [item.reason for item in iter_plan(config, LIMITS, accounts) if isinstance(item, Skipped)]
        assert accounts.kinds == ({} if choice else {kind: 1})
        assert left == ([f"is of a kind that is left out (source.pictures.{kind}=leave_out)"] if choice else [])


def test_a_film_whose_transparency_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """VP9 keeps it beside the picture: the decoder shows what is hidden."""
    path = tmp_path / "a.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=10)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        container.mux(stream.encode(av.VideoFrame(64, 64, "yuva420p")))
        container.mux(stream.encode(None))
    with pytest.raises(DecodeError, match="transparent pixels"):
        first(path)


@pytest.mark.parametrize("mode", ["L", "CMYK", "I;16", "1", "LA"])
def test_other_models_of_colour_are_as_pillow_shows_them(tmp_path: Path, mode: str) -> None:
    """Grey, print colours and 16 bits: inverted or black pictures would be learnt."""
    grey = np.linspace(0, 255, 64 * 64).reshape(64, 64)
    if mode == "I;16":
        picture = Image.fromarray((grey * 257).astype(np.uint16))
        wanted = np.repeat(grey[..., None], 3, axis=2)
    else:
        picture = Image.fromarray(grey.astype(np.uint8)).convert("RGB").convert(mode)
        wanted = np.asarray(picture.convert("RGB")).astype(float)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    picture.save(path, **({"quality": 95} if mode == "CMYK" else {}))
    assert np.abs(first(path) - wanted).mean() < 3


@pytest.mark.parametrize("content", ["PNG", "JPEG", "WEBP", "BMP"])
def test_a_picture_is_read_by_its_content(tmp_path: Path, content: str) -> None:
    """Half of the pictures of the web have another kind's suffix."""
    for suffix in ("png", "jpg", "webp", "bmp"):
        Image.new("RGB", (64, 64), (10, 200, 30)).save(tmp_path / f"a.{suffix}", format=content)
        assert np.abs(first(tmp_path / f"a.{suffix}").astype(int) - (10, 200, 30)).max() <= 8


@pytest.mark.parametrize("progressive", [False, True])
def test_a_truncated_jpeg_is_seen(tmp_path: Path, progressive: bool) -> None:
    """The missing half would be a grey field; a thumbnail inside ends where the picture does not."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    thumbnail, whole, exif = io.BytesIO(), io.BytesIO(), Image.Exif()
    Image.fromarray(noise[:16, :16]).save(thumbnail, "JPEG")
    exif[0x927C] = thumbnail.getvalue()
    Image.fromarray(noise).save(whole, "JPEG", progressive=progressive, exif=exif)
    raw = whole.getvalue()
    assert raw.count(b"\xff\xd9") >= 2
    path = tmp_path / "a.jpg"
    for end in (len(raw) // 2, len(raw) - 40, len(raw) - 2):
        path.write_bytes(raw[:end])
        with pytest.raises(DecodeError, match="truncated"):
            first(path)
    path.write_bytes(raw + b"appended by a camera")
    assert first(path).shape == (64, 64, 3)
