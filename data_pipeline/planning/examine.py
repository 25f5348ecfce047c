"""Examines one file: opens it, cuts it into shots and clips, and applies the rules. Other files change nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from videoar.data_pipeline.config.datasets import DatasetConfig, SourceConfig
from videoar.data_pipeline.config.pictures import PictureConfig
from videoar.data_pipeline.decoding.client import DecodeError, DecodeLimits, Probe, VideoDecoder, reason_of
from videoar.data_pipeline.decoding.frame_sampling import Window
from videoar.data_pipeline.decoding.scan import Scan, check_libraries, needs_scan, scan_source
from videoar.data_pipeline.planning.buckets import choose_bucket
from videoar.data_pipeline.planning.clip import Clip, Slot, evenly_spaced, num_variants, slots_along, variants
from videoar.data_pipeline.planning.duplicates import Look, look_of_hashes, look_of_vector
from videoar.data_pipeline.planning.filters import TOO_SHORT, cannot_be_cut, clip_reasons, shot_reasons, source_reasons
from videoar.data_pipeline.planning.opinions import Models, Opinion
from videoar.data_pipeline.sources.source import Skipped, SkippedKind, Source, current_etag, local_copy

DAMAGED = "is a part whose frames are damaged"


@dataclass(frozen=True, slots=True)
class Candidate:
    """The variants of one slot that the rules accept, and what they look like."""

    clips: tuple[Clip, ...]
    look: Look | None
    """Used to find duplicates; None if duplicates are not searched."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An input, a shot or some clips that are left out, and the parts of the file that they cover."""

    record: Skipped
    parts: tuple[Window, ...] = ()


@dataclass(slots=True)
class Examined:
    """The result of examining one input, before it is compared with others."""

    source: Source
    duration_s: float | None = None
    """Length of its file; 0 for an image, None if it could not be opened."""
    window: Window | None = None
    """The part of the file that is used; None for an image, and if the file could not be opened."""
    shots: tuple[Window, ...] = ()
    """The parts of the window that clips are cut from, in order."""
    candidates: list[Candidate] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    num_candidates: int = 0
    """Clips that could be cut from it."""
    kinds: tuple[str, ...] = ()
    """Special kinds of its pictures: fields of `PictureConfig`."""
    remarks: tuple[str, ...] = ()
    """Why the whole input would have been left out, with filters.score_only."""

    def leave_out(self, reason: str, kind: SkippedKind = "filtered") -> Examined:
        """Leave out the whole input."""
        record = Skipped(source=self.source.name, reason=reason, kind=kind)
        self.left_out.append(LeftOut(record, () if self.window is None else (self.window,)))
        return self

    def drop(self, reason: str, parts: Sequence[Window], start_s: float | None = None, num_clips: int = 0) -> None:
        """Leave out a shot, or some clips."""
        record = Skipped(
            source=self.source.name,
            reason=reason,
            kind="filtered",
            is_input=False,
            start_s=start_s,
            num_clips=num_clips,
        )
        self.left_out.append(LeftOut(record, tuple(parts)))

    @property
    def is_closed(self) -> bool:
        """Whether the whole input is left out."""
        return any(item.record.is_input for item in self.left_out)

    def shown(self, place: Clip | Slot) -> Window:
        """The part of its file that a clip shows: its last frame is shown for one tick, but not beyond the shot."""
        index = bisect_right(self.shots, place.start_s, key=lambda shot: shot.start_s) - 1
        end_s = self.shots[index].end_s if index >= 0 else place.until_s
        return Window(start_s=place.start_s, end_s=min(place.until_s, end_s))


def usable_window(config: SourceConfig, source: Source, duration_s: float) -> Window:
    """The part of a file that both the configuration's fractions and the table allow."""
    end_s = duration_s if source.end_s is None else min(source.end_s, duration_s)
    return Window(
        start_s=max(source.start_s, config.start_fraction * duration_s),
        end_s=min(end_s, config.end_fraction * duration_s),
    )


class Examiner:
    """Examines the files of one dataset. Several threads may use it, each with its own decoder."""

    def __init__(self, dataset: DatasetConfig, limits: DecodeLimits) -> None:
        self._dataset, self._filters, self._limits = dataset, dataset.filters, limits
        self._models = Models(dataset)
        check_libraries(dataset)

    @property
    def source(self) -> SourceConfig:
        """Where the inputs are."""
        return self._dataset.source

    @property
    def pictures(self) -> PictureConfig:
        """How decoders handle special kinds of pictures."""
        return self._dataset.source.pictures

    def examine(self, sources: Sequence[Source], decoder: VideoDecoder) -> list[Examined]:
        """What each of the inputs in one file gives."""
        path, probe = "", None
        try:
            tag = sources[0].etag or current_etag(self._dataset.source, sources[0])
            sources = [source if source.etag == tag else replace(source, etag=tag) for source in sources]
            with local_copy(self._dataset.source, sources[0], self._limits.max_bytes) as path:
                probe = decoder.probe(path)
                return self._open(sources, decoder, path, probe)
        except DecodeError as error:
            reason = f"cannot be opened: {reason_of(error, path)}"
            return [self._begun(source, probe).leave_out(reason, "unreadable") for source in sources]

    def _open(self, sources: Sequence[Source], decoder: VideoDecoder, path: str, probe: Probe) -> list[Examined]:
        group = [self._admit(source, probe) for source in sources]
        scan = self._scan([examined.source for examined in group if not examined.is_closed], decoder, path, probe)
        for examined in group:
            if not examined.is_closed:
                self._cut(examined, decoder, path, probe, scan)
        return group

    def _begun(self, source: Source, probe: Probe | None) -> Examined:
        """The input with the facts of its header; `probe` is None if it could not be read."""
        if probe is None:
            return Examined(source)
        if probe.is_image:
            return Examined(source, 0.0, kinds=probe.kinds)
        window = usable_window(self._dataset.source, source, probe.duration_s)
        return Examined(source, probe.duration_s, window, kinds=probe.kinds)

    def _admit(self, source: Source, probe: Probe) -> Examined:
        examined = self._begun(source, probe)
        if reason := cannot_be_cut(self._dataset, source, probe):
            return examined.leave_out(reason)
        examined.remarks = tuple(source_reasons(self._filters, source, probe))
        return (
            examined.leave_out(examined.remarks[0]) if examined.remarks and not self._filters.score_only else examined
        )

    def _scan(self, sources: Sequence[Source], decoder: VideoDecoder, path: str, probe: Probe) -> Scan | None:
        """One pass over the part of the file that the inputs use; None if no scan is needed."""
        if not sources or not needs_scan(self._dataset):
            return None
        windows = [usable_window(self._dataset.source, source, probe.duration_s) for source in sources]
        whole = Window(
            start_s=min(window.start_s for window in windows),
            end_s=max(window.end_s for window in windows) if probe.duration_s else self._limits.max_duration_s,
        )
        return scan_source(self._dataset, decoder, path, probe, whole)

    def _cut(self, examined: Examined, decoder: VideoDecoder, path: str, probe: Probe, scan: Scan | None) -> None:
        """Cut one input into slots, ask the models about each, and apply the rules."""
        slots = self._slots(examined, probe, scan)
        opinions = [Opinion()] * len(slots)
        if slots and self._models.are_needed(examined.source):
            opinions = self._models.opinions(decoder, path, examined.source, slots)
        for slot, opinion in zip(slots, opinions, strict=True):
            self._judge(examined, probe, scan, slot, opinion)

    def _slots(self, examined: Examined, probe: Probe, scan: Scan | None) -> list[Slot]:
        """The places of an input's clips, ordered by their ends; shots without one are recorded."""
        shots: list[Window | None] = [examined.window]
        damaged: list[Window] = []
        if examined.window is not None and scan is not None:
            shots, damaged = list(scan.shots(examined.window)), scan.damage_in(examined.window)
        slots, used = [], []
        shortest = self._dataset.shots.min_shot_s if len(shots) > 1 else 0.0
        for shot in shots:
            if shot is not None and shot.end_s - shot.start_s < shortest:
                examined.drop(f"is a shot shorter than shots.min_shot_s={shortest:g}", [shot], shot.start_s)
                continue
            found, reason = self._slots_of(shot, probe)
            slots += found
            if reason:
                examined.drop(reason, [] if shot is None else [shot], None if shot is None else shot.start_s)
            elif shot is not None:
                used.append(shot)
        for part in damaged:
            examined.drop(DAMAGED, [part], part.start_s)
        examined.shots = tuple(used)
        if not slots:
            reason = examined.left_out[0].record.reason
            examined.left_out = examined.left_out if len(shots) > 1 else []
            examined.leave_out(reason)
        limited = self._limited(examined, probe, slots)
        return sorted(limited, key=lambda slot: (slot.end_s, slot.start_s))

    def _slots_of(self, shot: Window | None, probe: Probe) -> tuple[list[Slot], str]:
        """The places within one shot (None: an image), or why there is none."""
        reasons = list(shot_reasons(self._filters, shot)) if shot is not None else []
        buckets, most = self._dataset.buckets, self._filters.max_enlarge
        bucket = choose_bucket(buckets, probe, shot, most)
        if bucket is None:
            bucket = choose_bucket(buckets, probe, shot, None)
            reasons.append(f"would be enlarged more than filters.max_enlarge={most}" if bucket else TOO_SHORT)
        if bucket is None or (reasons and not self._filters.score_only):
            return [], reasons[0]
        found = slots_along(self._dataset, bucket, shot, probe.fps)
        return [replace(slot, remarks=tuple(reasons)) for slot in found], "" if found else TOO_SHORT

    def _limited(self, examined: Examined, probe: Probe, slots: list[Slot]) -> list[Slot]:
        """At most max_clips_per_source slots, evenly spread; the rest is counted as left out."""
        limit = self._dataset.max_clips_per_source
        taken = evenly_spaced(slots, limit)
        examined.num_candidates = count = sum(num_variants(self._dataset, probe, slot) for slot in slots)
        if len(taken) < len(slots):
            kept = sum(num_variants(self._dataset, probe, slot) for slot in taken)
            chosen = {id(slot) for slot in taken}
            parts = [examined.shown(slot) for slot in slots if id(slot) not in chosen]
            examined.drop(f"is beyond max_clips_per_source={limit}", parts, num_clips=count - kept)
        return taken

    def _judge(self, examined: Examined, probe: Probe, scan: Scan | None, slot: Slot, opinion: Opinion) -> None:
        """Accept all variants of a slot, or leave all out."""
        motion = scan.motion_of(slot.start_s, slot.end_s) if scan is not None else None
        reasons = list(clip_reasons(self._filters, motion, dict(opinion.scores)))
        clips = tuple(variants(self._dataset, examined.source, probe, slot))
        if reasons and not self._filters.score_only:
            examined.drop(reasons[0], [examined.shown(slot)], slot.start_s, len(clips))
            return
        remark = "; ".join((*examined.remarks, *slot.remarks, *reasons))
        known = [
            replace(clip, motion=motion, scores=opinion.scores, caption=clip.caption or opinion.caption, remark=remark)
            for clip in clips
        ]
        examined.candidates.append(Candidate(tuple(known), self._look(scan, slot, opinion)))

    def _look(self, scan: Scan | None, slot: Slot, opinion: Opinion) -> Look | None:
        if opinion.vector is not None:
            return look_of_vector(opinion.vector)
        if self._dataset.duplicates.method != "hash" or scan is None:
            return None
        hashes = scan.signature(slot.start_s, slot.end_s)
        return None if hashes is None else look_of_hashes(hashes)
