"""Planning: every source is looked at once, and cut into clips or left out with a reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from videoar.cluster.errors import InputError
from videoar.data_pipeline.config import DatasetConfig, SourceConfig
from videoar.data_pipeline.decode import DecodeError, DecodeLimits, Decoder, Probe
from videoar.data_pipeline.sampling import Window, clip_starts
from videoar.data_pipeline.sources import Skipped, Source, list_sources, local_copy
from videoar.data_pipeline.storage import Storage
from videoar.tokenizer.config import ClipBucket
from videoar.tokenizer.scales import latent_frames

_SLOWEST = 0.95
"""A source may have this fraction of the bucket's frame rate; below it frames would repeat and motion would stutter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One clip of the plan: a key for ever, and where its frames come from."""

    key: str
    path: str
    """Source file, relative to its folder; the index of a drawing."""
    etag: str
    start_s: float
    """Of its first frame, in seconds from the source's first."""
    mirrored: bool
    caption: str
    label: int | None


def plan_clips(dataset: DatasetConfig, limits: DecodeLimits) -> tuple[list[Clip], list[Skipped]]:
    """The clips of a dataset in order, and what was left out. InputError when nothing is left."""
    latent_frames(dataset.bucket.num_frames)
    sources, skipped = list_sources(dataset.source)
    clips: list[Clip] = []
    if dataset.source.kind == "shapes":
        clips = _shape_clips(dataset, sources)
    else:
        for found, reason in _folder_clips(dataset, sources, limits):
            clips += found
            skipped += [reason] if reason else []
    if not clips:
        raise InputError(
            f"{dataset.name}.source.path", dataset.source.path,
            f"gives no clip of {dataset.bucket.num_frames} frames at {dataset.bucket.fps:g} frames/s "
            f"({summary(Counter(item.reason for item in skipped))})", "use other clips or a smaller bucket",
        )  # fmt: skip
    return clips, skipped


def summary(reasons: Counter[str], most: int = 3) -> str:
    """The commonest reasons in one line."""
    return "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(most)) or "nothing was there"


def _shape_clips(dataset: DatasetConfig, sources: Sequence[Source]) -> list[Clip]:
    if dataset.flip:
        raise InputError(
            f"{dataset.name}.flip", True, "would contradict captions that say left and right", "leave it off for shapes"
        )
    return [
        Clip(
            key=f"shape_{int(source.path):08d}", path=source.path, etag=source.etag, start_s=0.0, mirrored=False,
            caption=source.caption, label=source.label,
        )
        for source in sources
    ]  # fmt: skip


def _folder_clips(
    dataset: DatasetConfig, sources: Sequence[Source], limits: DecodeLimits
) -> Iterator[tuple[list[Clip], Skipped | None]]:
    storage, decoder = Storage.open(dataset.source.path), Decoder(limits)
    taken: set[str] = set()
    try:
        for source in sources:
            found, reason = _probe_and_cut(dataset, storage, decoder, source)
            fresh = [clip for clip in found if clip.key not in taken]
            if len(fresh) < len(found):
                reason = "the captions table names the same part of it twice"
            taken.update(clip.key for clip in fresh)
            yield fresh, Skipped(source=source.path, reason=reason) if reason else None
    finally:
        decoder.close()


def _probe_and_cut(
    dataset: DatasetConfig, storage: Storage, decoder: Decoder, source: Source
) -> tuple[list[Clip], str]:
    """The clips of one file, and why there are none (empty when there are)."""
    try:
        with local_copy(storage, source.path) as path:
            probe = decoder.probe(path)
    except DecodeError as error:
        return [], f"cannot be opened: {_without_path(str(error), storage.path(source.path))}"
    reason = _unfit(probe, source, dataset.bucket)
    if reason:
        return [], reason
    starts = _starts(dataset, source, probe)
    flips = (False, True) if dataset.flip else (False,)
    clips = [_clip(source, start, mirrored) for start in starts for mirrored in flips]
    return clips, "" if clips else "is shorter than one clip"


def _unfit(probe: Probe, source: Source, bucket: ClipBucket) -> str:
    if source.is_image:
        return "" if bucket.num_frames == 1 else "is an image, and the bucket asks for video"
    if probe.fps <= 0 or probe.duration_s <= 0:
        return "does not tell its frame rate and duration"
    if bucket.num_frames > 1 and probe.fps < _SLOWEST * bucket.fps:
        return f"has {probe.fps:.3g} frames/s, fewer than the bucket's {bucket.fps:g}"
    return ""


def _starts(dataset: DatasetConfig, source: Source, probe: Probe) -> list[float]:
    if source.is_image:
        return [0.0]
    window = usable(dataset.source, source, probe.duration_s)
    bucket, limit = dataset.bucket, dataset.max_clips_per_source
    starts = clip_starts(window, probe.fps, bucket.num_frames, bucket.fps, dataset.stride_s)
    if 0 < limit < len(starts):
        starts = [starts[i * len(starts) // limit] for i in range(limit)]
    return starts


def usable(config: SourceConfig, source: Source, duration_s: float) -> Window:
    """The part of a file that both the configuration's fractions and the captions table allow."""
    end_s = duration_s if source.end_s is None else min(source.end_s, duration_s)
    return Window(
        start_s=max(source.start_s, config.start_fraction * duration_s),
        end_s=min(end_s, config.end_fraction * duration_s),
    )


def _clip(source: Source, start_s: float, mirrored: bool) -> Clip:
    name = hashlib.sha256(source.path.encode()).hexdigest()[:16]
    return Clip(
        key=f"{name}_{round(start_s * 1000):09d}" + ("m" if mirrored else ""), path=source.path, etag=source.etag,
        start_s=start_s, mirrored=mirrored, caption=source.caption, label=source.label,
    )  # fmt: skip


def _without_path(reason: str, path: str) -> str:
    """Reasons are counted; a path in each would make them all different."""
    return reason.replace(f"file:{path}", "the file").replace(path, "the file")
