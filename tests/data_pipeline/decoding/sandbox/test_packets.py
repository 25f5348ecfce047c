"""Films with one bad packet: each frame is that of the undamaged film, or missing in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from videoar.cluster.entry import main
from videoar.cluster.ground.fields.serialize import to_yaml
from videoar.configs.debug import recipe as debug_recipe
from videoar.data_pipeline.config.datasets import ShotConfig
from videoar.data_pipeline.decoding.client import ClipCut, DecodeLimits, VideoDecoder
from videoar.data_pipeline.decoding.frame_sampling import nearest_frames
from videoar.data_pipeline.decoding.sandbox.demuxing import read_packets
from videoar.data_pipeline.decoding.sandbox.film import Film, open_film
from videoar.data_pipeline.encoding.footage import FootageReader
from videoar.data_pipeline.planning.choose import plan_clips
from videoar.data_pipeline.planning.examine import DAMAGED
from videoar.tokenizer.config import ClipBucket

from ...datasets import LIMITS, dataset
from ...jobs import config, make_shards
from ...videos import scene

GOP, NUM_FRAMES = 10, 40
CODECS = {
    "closed.mp4": ("libx264", {"x264-params": f"keyint={GOP}:scenecut=0:bframes=3:b-pyramid=2"}),
    "open.mp4": ("libx264", {"x264-params": f"keyint={GOP}:scenecut=0:bframes=3:open-gop=1:b-adapt=0"}),
    "film.mkv": ("libx264", {"x264-params": f"keyint={GOP}:scenecut=0:bframes=2"}),
    "film.ts": ("libx264", {"x264-params": f"keyint={GOP}:scenecut=0:bframes=2"}),
    "film.webm": ("libvpx-vp9", {"g": str(GOP), "deadline": "realtime", "cpu-used": "8"}),
    "film.avi": ("mpeg4", {"g": str(GOP), "bf": "2"}),
}

SHORT = ClipBucket(schedule="32x32", num_frames=5, fps=25.0)
Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "zeros": lambda packet: bytes(len(packet)),
    "noise": lambda packet: np.random.default_rng(0).bytes(len(packet)),
}
PLACES = {  # in fortieths of the file
    ("film.mkv", "gone"): (8, 14, 23),
    ("film.mkv", "zeros to the end"): (15, 31, 38),
    ("film.mkv", "breaks off"): (20, 31, 38),
    ("film.ts", "gone"): (35, 38),
    ("film.ts", "zeros to the end"): (9, 20, 39),
    ("film.ts", "breaks off"): (10, 29, 38),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A film of textures for each codec."""
    folder = tmp_path_factory.mktemp("films")
    for name, (codec, options) in CODECS.items():
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=25, options={"preset": "veryfast"} | options)
            stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
            for pixels in scene(3, NUM_FRAMES, speed=1.0, size=(64, 64)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))
    return {name: folder / name for name in CODECS}


def damaged(film: Path, packet: int, how: Damage, path: Path) -> Path:
    """A copy of a film in which one packet, counted as they are stored, has other bytes."""
    with av.open(str(film)) as container:
        item = [item for item in container.demux(container.streams.video[0]) if item.size][packet]
    data, size = film.read_bytes(), item.size
    start = data.find(bytes(item))
    if film.suffix == ".ts":  # the first of the packets of a transport stream into which it is cut up
        assert item.pos is not None
        start, size = item.pos, 188
    path.write_bytes(data[:start] + how(data[start : start + size]) + data[start + size :])
    return path


def shown(path: Path) -> list[tuple[float, np.ndarray | None]]:
    """What `Film` reads, without seeking."""
    with open_film({"path": str(path), "max_pixels": 1 << 20, "stream": None}) as (container, stream):
        film = Film(container, stream, {"max_frames": 1000, "max_pixels": 1 << 20})
        return [(time, None if frame is None else frame.to_ndarray(format="rgb24")) for time, frame in film.frames()]


def decoded(path: Path) -> list[np.ndarray]:
    """The frames of a good film as PyAV reads them."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize(
    ("name", "packet"),
    [
        (name, packet)
        for name in CODECS
        for packet in (0, 4, GOP, GOP + 1, GOP + 7, 2 * GOP + 5, NUM_FRAMES - 1)
        # Of the first packet of a transport stream nothing is left, and no packet follows the last.
        if name != "film.ts" or 0 < packet < NUM_FRAMES - 1
    ],
)
def test_frames_are_exact_or_missing(films: dict[str, Path], tmp_path: Path, name: str, packet: int, how: str) -> None:
    """A decoder invents what it cannot read, and shows frames that depend on it before it says so."""
    whole = decoded(films[name])
    found = shown(damaged(films[name], packet, DAMAGES[how], tmp_path / name))
    times = [time for time, _ in found]
    assert times == sorted(times)
    assert NUM_FRAMES - 2 * GOP <= len(check_frames(found, whole)) < NUM_FRAMES


def check_frames(found: list[tuple[float, np.ndarray | None]], whole: list[np.ndarray]) -> set[int]:
    """Numbers of the frames that are found: each is exact, and no clip takes it for one that is lost."""
    exact = {round(time * 25): pixels for time, pixels in found if pixels is not None}
    assert [number for number, pixels in exact.items() if not np.array_equal(pixels, whole[number])] == []
    end = 1 + round(25 * max(time for time, _ in found))
    holes = sorted(set(range(min(end, len(whole)))) - set(exact))
    chosen = dict(nearest_frames(found, [number / 25 for number in holes]))
    assert [holes[index] for index, pixels in chosen.items() if pixels is not None] == [], "have a stand-in"
    return set(exact)


@pytest.mark.parametrize("name", ["film.mkv", "film.ts"])
@pytest.mark.parametrize("how", ["gone", "zeros to the end", "breaks off"])
def test_damage_between_packets(films: dict[str, Path], tmp_path: Path, name: str, how: str) -> None:
    """A demuxer looks for the next packet, and passes on what it has of the one before; some of it while opening."""
    whole, data = decoded(films[name]), films[name].read_bytes()
    ends = how != "gone"
    for start in PLACES[name, how]:
        place = len(data) * start // 40
        after = b"" if how == "breaks off" else bytes(len(data) - place) if ends else data[place + 150 :]
        (tmp_path / name).write_bytes(data[:place] + after)
        assert len(check_frames(shown(tmp_path / name), whole)) >= 5


def test_zeros_up_to_the_index(films: dict[str, Path], tmp_path: Path) -> None:
    """Damage that lasts to the end: the last frame that is left is not shown in the place of those after it."""
    whole, data = decoded(films["closed.mp4"]), films["closed.mp4"].read_bytes()
    with av.open(str(films["closed.mp4"])) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    end = data.rfind(b"moov") - 4
    for number in (6, 18, 24):
        start = (packets[number].pos or 0) + packets[number].size // 2
        (tmp_path / "bad.mp4").write_bytes(data[:start] + bytes(end - start) + data[end:])
        assert 0 < len(check_frames(shown(tmp_path / "bad.mp4"), whole)) < number


def test_what_an_edit_list_cuts_off_may_be_damaged(films: dict[str, Path], tmp_path: Path) -> None:
    """Its frames are never shown, nor missing: the film begins with the first one that the list keeps."""
    cut = 5
    with av.open(str(films["closed.mp4"])) as source, av.open(str(tmp_path / "edit.mp4"), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None and packet.pts is not None and packet.time_base is not None:
                early = int(cut / 25 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - early, packet.dts - early, stream
                container.mux(packet)
    whole = decoded(films["closed.mp4"])[cut:]
    assert len(check_frames(shown(tmp_path / "edit.mp4"), whole)) == NUM_FRAMES - cut
    for packet in (0, 3):
        found = shown(damaged(tmp_path / "edit.mp4", packet, DAMAGES["zeros"], tmp_path / "bad.mp4"))
        assert check_frames(found, whole) == set(range(GOP - cut, NUM_FRAMES - cut))


@pytest.mark.parametrize("name", [name for name in CODECS if name != "open.mp4"])
def test_a_film_that_breaks_off(films: dict[str, Path], tmp_path: Path, name: str) -> None:
    """A download that ended early: what is there is shown, and what is torn is not."""
    whole, data = decoded(films[name]), films[name].read_bytes()
    if name == "closed.mp4":  # with the index in front: a file without one cannot be opened
        with av.open(str(films[name])) as source:
            kept = list(source.demux(video=0))
            with av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "+faststart"}) as container:
                stream = container.add_stream_from_template(source.streams.video[0])
                for packet in kept[:-1]:
                    packet.stream = stream
                    container.mux(packet)
        data = (tmp_path / "fast.mp4").read_bytes()
    for part in (0.75, 0.85, 0.95):
        (tmp_path / name).write_bytes(data[: int(part * len(data))])
        found = {round(time * 25): pixels for time, pixels in shown(tmp_path / name) if pixels is not None}
        assert [number for number, pixels in found.items() if not np.array_equal(pixels, whole[number])] == []
        assert len(found) >= 5


def cuts_of() -> list[ClipCut]:
    cuts = [
        ClipCut(start_s=0.08 * start, num_frames=5, fps=fps, schedule="32x32")
        for start in range(18)
        for fps in (25.0, 8.0)
    ]
    return sorted((cut for cut in cuts if cut.start_s + 4 / cut.fps <= 1.54), key=lambda cut: cut.start_s + 4 / cut.fps)


@pytest.mark.parametrize(
    ("name", "packet"), [("closed.mp4", 13), ("open.mp4", 13), ("open.mp4", 0), ("film.mkv", 20), ("film.webm", 15)]
)
def test_what_is_made_does_not_depend_on_the_clips_of_a_pass(
    films: dict[str, Path], decoder: VideoDecoder, tmp_path: Path, name: str, packet: int
) -> None:
    """A shard begins anywhere, by a seek: its clips must be those of any other size of shard."""
    bad = str(damaged(films[name], packet, DAMAGES["zeros"], tmp_path / name))
    cuts = cuts_of()
    good = {cuts[index]: frames for index, frames in decoder.cut_all(str(films[name]), cuts)}
    assert len(good) == len(cuts)
    outcomes = []
    for size in (1, 5, len(cuts)):
        made: dict[ClipCut, np.ndarray] = {}
        lost: list[ClipCut] = []
        for start in range(0, len(cuts), size):
            part = cuts[start : start + size]
            told: list[int] = []
            made |= {part[index]: frames for index, frames in decoder.cut_all(bad, part, told.append)}
            lost += [part[index] for index in told]
        assert all(np.array_equal(frames, good[cut]) for cut, frames in made.items())
        assert len(made) + len(lost) == len(cuts)
        outcomes.append((set(made), set(lost)))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert 0 < len(outcomes[0][1]) < len(cuts) - 4


@pytest.mark.slow
def test_the_commands_make_the_other_clips_and_count(
    films: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One bad packet cost all clips after it."""
    folder, out = tmp_path / "films", str(tmp_path / "out")
    folder.mkdir()
    damaged(films["closed.mp4"], 13, DAMAGES["noise"], folder / "bad.mp4")
    data = config(dataset(folder, stride_s=0.08, bucket=SHORT), samples_per_shard=7, actors=1, max_failed_fraction=0.9)
    recipe = debug_recipe()
    stage = replace(recipe.stages[0], mixture=(replace(recipe.stages[0].mixture[0], dataset="clips"),))
    (tmp_path / "r.yaml").write_text(to_yaml(replace(recipe, data=data, stages=(stage,))))
    assert main(["data", "plan", str(tmp_path / "r.yaml"), "--output", out]) == 0
    make_shards(data, out)
    capsys.readouterr()
    assert main(["data", "stats", out, "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["is_balanced"]
    assert counts["num_planned"] == counts["num_samples"] + sum(counts["failed"].values())
    assert set(counts["failed"]) == {"touches a damaged part of the source"}


@pytest.mark.slow
def test_shots_are_found_before_and_after_damage(films: dict[str, Path], tmp_path: Path) -> None:
    """The plan knows what is damaged: it promises no clip of it, and says what it passes over."""
    damaged(films["closed.mp4"], 13, DAMAGES["zeros"], tmp_path / "bad.mp4")
    settings = dataset(
        tmp_path, shots=ShotConfig(detector="content", threshold=255.0, min_shot_s=0.1), stride_s=0.04, bucket=SHORT
    )
    clips, skipped = plan_clips(settings, LIMITS)
    starts = {round(item.start_s or 0.0, 6): item.reason for item in skipped}
    assert not any(item.is_input for item in skipped)
    assert [start for start, reason in starts.items() if reason == DAMAGED] == [0.44, 0.52, 0.6]
    assert [start for start in starts if start not in (0.44, 0.52, 0.6)] == [0.48, 0.56], "single frames between them"
    assert min(clip.start_s for clip in clips) == 0.0
    assert 0.8 in [round(clip.start_s, 6) for clip in clips], "the next key frame begins a shot"
    with FootageReader(settings.source, DecodeLimits(), 1) as reader:
        assert [footage.reason for footage in reader.read(clips)] == [""] * len(clips)


class Unreadable:
    """A container of which every packet fails."""

    def demux(self, stream: object) -> object:
        raise av.error.OSError(5, "Input/output error")


def test_a_file_that_cannot_be_read_is_given_up() -> None:
    """Some demuxers return the same error for ever."""
    assert len(list(read_packets(Unreadable(), None))) == 1000


@pytest.mark.parametrize(("first", "last"), [(4, 6), (12, 17), (GOP + 1, 2 * GOP + 3), (33, NUM_FRAMES - 1)])
def test_a_region_lost_from_an_avi_shifts_nothing(
    films: dict[str, Path], tmp_path: Path, first: int, last: int
) -> None:
    """Its packets have no times, and its demuxer passes over what is no packet without a word: all was early after."""
    whole, data = decoded(films["film.avi"]), films["film.avi"].read_bytes()
    with av.open(str(films["film.avi"])) as container:
        places = [entry.pos for entry in container.streams.video[0].index_entries]
    start, end = places[first] + 4, places[last] + 60
    (tmp_path / "bad.avi").write_bytes(data[:start] + bytes(end - start) + data[end:])
    exact = check_frames(shown(tmp_path / "bad.avi"), whole)
    again = GOP * (last // GOP + 1)  # the next key frame; frames that are shown before it depend on what is lost
    assert exact >= {*range(first - 3), *range(again + 3, NUM_FRAMES)}
    assert not exact & set(range(first + 1, last))


def test_what_follows_a_jpeg_is_no_second_picture(tmp_path: Path) -> None:
    """Phones store previews behind their pictures."""
    for quality in (90, 20):
        Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save(tmp_path / f"{quality}.jpg", quality=quality)
    (tmp_path / "both.jpg").write_bytes((tmp_path / "90.jpg").read_bytes() + (tmp_path / "20.jpg").read_bytes())
    assert len(shown(tmp_path / "both.jpg")) == 1
