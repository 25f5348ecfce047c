"""Which clips a plan takes: shots, motion, duplicates, shapes, variants; and that every input is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from videoar.cluster.ground.errors import InputError
from videoar.data_pipeline.config.datasets import (
    DatasetConfig,
    DuplicateConfig,
    FilterConfig,
    ShotConfig,
    SourceConfig,
    VariantConfig,
)
from videoar.data_pipeline.decoding.client import DecodeLimits, Probe, VideoDecoder
from videoar.data_pipeline.decoding.frame_sampling import Window
from videoar.data_pipeline.decoding.scan import scan_source
from videoar.data_pipeline.encoding.footage import FootageReader
from videoar.data_pipeline.planning.accounts import Accounts
from videoar.data_pipeline.planning.choose import iter_plan, plan_clips
from videoar.data_pipeline.planning.clip import Clip
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import ScaleSchedule

from ..videos import frame_number, picture, resized, scene, write_frames, write_video

BUCKET = ClipBucket(schedule="32x32", num_frames=5, fps=8.0)
LIMITS = DecodeLimits(wall_s=60.0)


def dataset(folder: Path, **changes: object) -> DatasetConfig:
    config = DatasetConfig(name="clips", source=SourceConfig(path=str(folder)), bucket=BUCKET)
    return replace(config, **changes)


@pytest.fixture(scope="module")
def decoder() -> Iterator[VideoDecoder]:
    with VideoDecoder(LIMITS) as decoder:
        yield decoder


@pytest.mark.parametrize("detector", ["content", "adaptive"])
def test_shots_are_cut_where_two_scenes_join(tmp_path: Path, detector: str) -> None:
    """A clip across a cut teaches that one place turns into another; a fast pan is no cut."""
    joined = scene(0, 40) + scene(1, 25, speed=1.0) + scene(2, 35)
    write_frames(tmp_path / "film.mp4", joined)
    config = dataset(tmp_path, shots=ShotConfig(detector=detector), stride_s=0.125)
    clips, _ = plan_clips(config, LIMITS)
    cuts = [1.6, 2.6]
    assert all(not clip.start_s < cut <= clip.end_s for clip in clips for cut in cuts)
    firsts = [min(clip.start_s for clip in clips if clip.start_s >= edge - 1e-6) for edge in (0.0, *cuts)]
    assert firsts == pytest.approx([0.0, *cuts]), "a shot is used from its first frame on"
    unsplit, _ = plan_clips(replace(config, shots=ShotConfig()), LIMITS)
    assert any(clip.start_s < 1.6 <= clip.end_s for clip in unsplit)


def test_shots_too_short_for_a_clip_are_on_record(tmp_path: Path) -> None:
    """A film of flashes gives nothing, and the record must say so for each."""
    write_frames(tmp_path / "film.mp4", scene(0, 40) + scene(1, 12))
    config = dataset(tmp_path, shots=ShotConfig(detector="content", min_shot_s=0.2))
    clips, skipped = plan_clips(config, LIMITS)
    assert {clip.end_s < 1.6 for clip in clips} == {True}
    ((reason, start_s, is_input),) = [(item.reason, item.start_s, item.is_input) for item in skipped]
    assert (reason, start_s, is_input) == ("is shorter than one clip", pytest.approx(1.6), False)


def test_motion_orders_still_slow_and_fast(tmp_path: Path, decoder: VideoDecoder) -> None:
    """The unit is promised: short sides a second, whatever the size of the film."""
    found = []
    config = dataset(tmp_path, filters=FilterConfig(min_motion=0.0))
    for speed in (0.0, 0.1, 0.4):
        for size in ((96, 128), (180, 240)):
            path = write_frames(tmp_path / f"{speed}-{size[0]}.mp4", resized(scene(3, 25, speed), size))
            probe = decoder.probe(str(path))
            scan = scan_source(config, decoder, str(path), probe, Window(start_s=0.0, end_s=1.0))
            found.append(scan.motion_of(0.0, 1.0))
    assert found[0] == pytest.approx(0, abs=0.005)
    assert found[1] == pytest.approx(0, abs=0.005)
    assert found[2:] == pytest.approx([0.1, 0.1, 0.4, 0.4], rel=0.25)


def test_rules_leave_out_with_a_reason_and_score_only_leaves_out_nothing(tmp_path: Path) -> None:
    """Thresholds are chosen by looking at scores; a run that looks must not lose what it looks at."""
    write_frames(tmp_path / "still.mp4", scene(0, 25, speed=0.0))
    write_frames(tmp_path / "good.mp4", scene(1, 25, speed=0.3))
    write_frames(tmp_path / "twin.mp4", scene(1, 25, speed=0.3), crf=30)
    write_frames(tmp_path / "small.mp4", resized(scene(2, 25, speed=0.3), (30, 40)))
    write_frames(tmp_path / "long.mp4", scene(4, 60, speed=0.3))
    rules = FilterConfig(min_side=32, min_motion=0.05, max_duration_s=2.0)
    config = dataset(tmp_path, filters=rules, duplicates=DuplicateConfig(method="hash"), flip=True)
    clips, skipped = plan_clips(config, LIMITS)
    assert {clip.path for clip in clips} == {"good.mp4"}
    assert all(clip.motion is not None and clip.motion > 0.05 for clip in clips)
    inputs = {item.source: (item.kind, item.reason) for item in skipped if item.is_input}
    assert inputs == {
        "still.mp4": ("filtered", "its motion is below filters.min_motion=0.05"),
        "twin.mp4": ("duplicate", "shows what a clip of another source shows"),
        "small.mp4": ("filtered", "its shorter side is below filters.min_side=32"),
        "long.mp4": ("filtered", "lasts longer than filters.max_duration_s=2"),
    }
    assert {item.repeats for item in skipped if item.source == "twin.mp4" and not item.is_input} == {clips[0].key}

    scored, none = plan_clips(replace(config, filters=replace(rules, score_only=True)), LIMITS)
    assert none == []
    assert Counter(clip.path for clip in scored) == {
        "good.mp4": 2,
        "twin.mp4": 2,
        "still.mp4": 2,
        "small.mp4": 2,
        "long.mp4": 6,
    }
    remarks = {clip.path: clip.remark for clip in scored}
    assert remarks["good.mp4"] == ""
    assert remarks["twin.mp4"] == f"repeats {clips[0].key}"
    for name in ("still.mp4", "small.mp4", "long.mp4"):
        assert inputs[name][1] in remarks[name]


def test_near_duplicates_are_found_and_distinct_clips_are_kept(tmp_path: Path) -> None:
    """Copies in another size, encoding and container memorise; two films of one kind must both stay."""
    for seed in range(6):
        write_frames(tmp_path / f"{seed}.mp4", scene(seed, 30))
    write_frames(tmp_path / "copies" / "encoded.mkv", scene(0, 30), crf=32)
    write_frames(tmp_path / "copies" / "small.avi", resized(scene(1, 30), (48, 64)))
    write_frames(tmp_path / "copies" / "large.mp4", resized(scene(2, 30), (192, 256)), crf=28)
    write_frames(tmp_path / "copies" / "mirrored.mp4", [frame[:, ::-1] for frame in scene(3, 30)])
    (tmp_path / "copies" / "same.mp4").write_bytes((tmp_path / "4.mp4").read_bytes())
    config = dataset(tmp_path, duplicates=DuplicateConfig(method="hash"))
    clips, skipped = plan_clips(config, LIMITS)
    assert {clip.path for clip in clips} == {*(f"{seed}.mp4" for seed in range(6)), "copies/mirrored.mp4"}
    assert {item.source for item in skipped if item.is_input} == {
        f"copies/{name}" for name in ("encoded.mkv", "small.avi", "large.mp4", "same.mp4")
    }


def test_images_are_compared_too(tmp_path: Path) -> None:
    """One picture under two names is one picture."""
    write_frames(tmp_path / "a.png", [picture(0)])
    write_frames(tmp_path / "b.jpg", resized([picture(0)], (64, 80)))
    write_frames(tmp_path / "c.png", [picture(1)])
    bucket = replace(BUCKET, num_frames=1)
    clips, _ = plan_clips(dataset(tmp_path, bucket=bucket, duplicates=DuplicateConfig(method="hash")), LIMITS)
    assert [clip.path for clip in clips] == ["a.png", "c.png"]


def test_a_clip_gets_the_longest_then_the_nearest_then_the_largest_shape() -> None:
    """A wide film in a square bucket loses its sides; a small one enlarged is blur."""
    from videoar.data_pipeline.planning.buckets import choose_bucket

    family = DatasetConfig(
        name="d",
        source=SourceConfig(path="x"),
        bucket=ClipBucket(schedule="256x256", num_frames=17),
        more_buckets=(ClipBucket(schedule="512x512", num_frames=17), ClipBucket(schedule="256x256", num_frames=33)),
        all_aspects=True,
    ).buckets
    assert len(family) == 45
    assert {bucket.schedule for bucket in family} <= set(ScaleSchedule.names())

    def chosen(height: int, width: int, seconds: float, most: float | None = None) -> tuple[str, int] | None:
        probe = Probe(height=height, width=width, fps=25.0, duration_s=seconds)
        bucket = choose_bucket(family, probe, Window(start_s=0.0, end_s=seconds), most)
        return None if bucket is None else (bucket.schedule, bucket.num_frames)

    assert chosen(1080, 1920, 3.0) == ("384x672", 17), "3 s hold 17 frames and not 33; a large film gets a large shape"
    assert chosen(1080, 1920, 9.0) == ("192x336", 33), "the longest shape comes first"
    assert chosen(1920, 1080, 3.0) == ("672x384", 17)
    assert chosen(240, 320, 3.0) == ("240x320", 17), "576x432 would enlarge it"
    assert chosen(800, 1000, 3.0) == ("448x560", 17)
    assert chosen(100, 100, 3.0) == ("256x256", 17), "what must be enlarged is enlarged least"
    assert chosen(100, 100, 3.0, most=2.0) is None
    assert chosen(1080, 1920, 1.0) is None
    other_rate = (replace(BUCKET, fps=16.0),)
    with pytest.raises(InputError, match="different frame rates"):
        DatasetConfig(name="d", source=SourceConfig(path="x"), bucket=BUCKET, more_buckets=other_rate)


def test_one_dataset_holds_shapes_of_several_sizes_and_lengths(tmp_path: Path) -> None:
    """Each clip is cut in its own shape, and one pass over a film serves all."""
    write_frames(tmp_path / "wide.mp4", resized(scene(0, 60), (36, 64)))
    write_frames(tmp_path / "tall.mp4", resized(scene(1, 30), (64, 36)))
    write_frames(tmp_path / "still.png", [picture(2, (60, 60))])
    shapes = [ClipBucket(schedule=name, num_frames=n) for name in ("192x336", "336x192", "64x64") for n in (1, 9)]
    config = dataset(tmp_path, bucket=shapes[0], more_buckets=tuple(shapes[1:]))
    clips, skipped = plan_clips(config, LIMITS)
    assert not skipped
    assert {clip.path: (clip.schedule, clip.num_frames) for clip in clips} == {
        "wide.mp4": ("192x336", 9),
        "tall.mp4": ("336x192", 9),
        "still.png": ("64x64", 1),
    }
    with FootageReader(config.source, LIMITS, 1) as reader:
        for item in reader.read(clips):
            assert item.frames is not None
            assert item.frames.shape == (item.clip.num_frames, *ScaleSchedule.named(item.clip.schedule).pixels, 3)


def test_variants_have_keys_and_content_of_their_own(tmp_path: Path) -> None:
    """Two variants under one key overwrite each other; two of one content are an epoch for nothing."""
    write_frames(tmp_path / "film.mp4", scene(0, 50, speed=0.5))
    several = VariantConfig(windows=2, strides=(1, 2), crops=("centre", "start", "end"))
    config = dataset(tmp_path, variants=several, flip=True)
    clips, _ = plan_clips(config, LIMITS)
    slots = {(clip.start_s, clip.fps) for clip in clips}
    assert {start for start, fps in slots if fps == 8.0} == {int(i * 0.3125 * 25) / 25 for i in range(5)}
    assert {start for start, fps in slots if fps == 4.0} == {0.0, 15 / 25}, "a stride of 2 spans twice the time"
    assert len(clips) == len({clip.key for clip in clips}) == len(slots) * 3 * 2
    with FootageReader(config.source, LIMITS, 1) as reader:
        footage = list(reader.read(clips))
    assert [item.clip for item in footage] == clips
    contents = {item.frames.tobytes() for item in footage if item.frames is not None}
    assert len(contents) == len(clips)
    square = replace(config, variants=replace(several, windows=1, strides=(1,)), bucket=BUCKET)
    write_frames(tmp_path / "film.mp4", resized(scene(0, 50), (64, 64)))
    assert {clip.crop for clip in plan_clips(square, LIMITS)[0]} == {"centre"}, "a square has no other crop"


def test_windows_between_two_frames_do_not_judder(tmp_path: Path) -> None:
    """Half a frame off, the nearest frame would be now the one before and now the one after: repeats and gaps."""
    write_video(tmp_path / "film.mp4")
    bucket = ClipBucket(schedule="32x32", num_frames=17, fps=25.0)
    config = dataset(tmp_path, bucket=bucket, variants=VariantConfig(windows=2))
    clips, _ = plan_clips(config, LIMITS)
    assert len(clips) == 4
    with FootageReader(config.source, LIMITS, 1) as reader:
        for item in reader.read(clips):
            assert item.frames is not None
            first = round(item.clip.start_s * 25)
            assert [frame_number(frame) for frame in item.frames] == list(range(first, first + 17))


def everything(folder: Path) -> DatasetConfig:
    """A folder in which everything happens, and a dataset that asks for everything."""
    write_frames(folder / "a.mp4", scene(0, 40) + scene(1, 40))
    write_frames(folder / "b.mp4", resized(scene(0, 40), (60, 80)), crf=25)
    write_frames(folder / "c.mp4", scene(2, 40, speed=0.0))
    write_video(folder / "short.mp4", num_frames=5)
    (folder / "list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    (folder / "out.mp4").symlink_to("/dev/null")
    return dataset(
        folder,
        shots=ShotConfig(detector="content"),
        filters=FilterConfig(min_motion=0.02),
        flip=True,
        duplicates=DuplicateConfig(method="hash"),
        variants=VariantConfig(windows=2),
        max_clips_per_source=7,
    )


@pytest.mark.parametrize("processes", [1, 3])
def test_every_input_and_every_clip_is_in_one_place(tmp_path: Path, processes: int) -> None:
    """Sums that do not come out are clips lost; the number of decoders must change nothing."""
    config, accounts = everything(tmp_path), Accounts()
    found = list(iter_plan(config, LIMITS, accounts, processes=processes))
    assert accounts.is_balanced
    assert accounts.num_inputs == 6
    assert accounts.num_planned_inputs == len({item.path for item in found if isinstance(item, Clip)}) == 1
    assert accounts.num_clips == sum(isinstance(item, Clip) for item in found) == 7 * 2
    assert {kind: n for (kind, _), n in accounts.inputs_out.items()} == {
        "unreadable": 1,
        "refused": 1,
        "duplicate": 1,
        "filtered": 1,
    }
    assert accounts.inputs_out.total() == 5
    assert accounts.num_candidates == accounts.num_clips + accounts.clips_out.total()
    assert {reason for _, reason in accounts.clips_out} >= {"is beyond max_clips_per_source=7"}
    if processes == 3:
        assert found == list(iter_plan(config, LIMITS, Accounts()))


def test_difference_hashes_ignore_size_and_brightness() -> None:
    """A hash that changed with the encoder's brightness would find no copy."""
    from videoar.data_pipeline.decoding.sandbox.scanner import difference_hash

    gray = picture(5)[..., 0]
    brighter = np.clip(gray.astype(int) + 20, 0, 255).astype(np.uint8)
    small = resized([np.repeat(gray[..., None], 3, axis=2)], (40, 50))[0][..., 0]
    base = difference_hash(gray)
    assert (base ^ difference_hash(brighter)).bit_count() <= 2
    assert (base ^ difference_hash(small)).bit_count() <= 4
    assert (base ^ difference_hash(picture(6)[..., 0])).bit_count() > 18
