"""Decodes a stream's packets to frames. A fault loses the frames from the fault to the next key frame, and no others.

A decoder conceals damage: it invents a picture and predicts the next ones from it. Its log reports this at once, but
the picture itself is marked only later, after others that depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import av
from av.codec.context import Flags

from videoar.data_pipeline.decoding.sandbox.avi_index import at_their_times
from videoar.data_pipeline.decoding.sandbox.demuxing import Log, has_lost_place, heard, is_end, is_picture, read_packets
from videoar.data_pipeline.decoding.sandbox.timestamps import RESTART_S, RESTARTING, Missing

_ONE_FRAME_A_PACKET = frozenset({"h264", "hevc", "vp9", "av1"})
"""Codecs in which a packet that shows no frame is damaged, unless the film is interlaced: then it may be a field."""
_HARMLESS = ("SEI", "mmco:", "number of reference frames")
"""Messages about errors in data that pictures do not need; many encoders cause them."""
_CONCEALED = ("concealing", "NALU")
"""Parts of messages that a decoder does not count as errors, although a picture is lost or invented."""


class Packets:
    """Reads forwards from where the container is, once. The stream is decoded by one thread, without delay."""

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream, self._codec = container, stream, stream.codec_context
        self._decoder = self._codec.codec.name
        self._has_one_each = self._codec.codec.canonical_name in _ONE_FRAME_A_PACKET
        self._is_avi, self._is_picture = container.format.name == "avi", is_picture(container)
        is_restarting = container.format.name in RESTARTING
        self._restart = RESTART_S / float(stream.time_base) if is_restarting else math.inf
        self._number = 0
        self._sent: dict[int, int] = {}  # timestamp: number, of packets whose frames were not yet shown
        self._gap: list[Any] = []  # since the last fault, in the order of packets: what is lost, and frames before it
        self._has_unknown = False  # whether something with an unknown time was lost in the gap
        self._is_waiting = self._has_shown = False
        self._start: int | None = None
        self._is_entering = True  # until a frame is shown whole: some refer to what comes before the key frame
        self._key: int | None = None  # the last one read
        self._leading_fault = math.inf  # number of a damaged packet after the key frame whose frame is shown before it
        self._key_number = 1
        self._last: int | None = None
        self._reason = ""

    def frames(self) -> Iterator[Any]:
        """Frames in the order of display, and in their places `Missing` for those that are lost."""
        self._codec.flags |= int(Flags.output_corrupt)  # damaged frames are returned and marked, not dropped silently
        held: list[Any] = []  # the last packet's: its end is lost, too, if the next one cannot be read
        packets = read_packets(self._container, self._stream)
        with heard() as log:
            for packet in at_their_times(packets, self._stream) if self._is_avi else packets:
                if packet is None or (log and has_lost_place(self._container, log)):
                    self._has_unknown, self._reason = True, self._reason or "some packets cannot be read"
                    self._break_off(held, 0)
                    held = []
                yield from self._shown(held)
                held = []
                if packet is not None and self._is_wanted(packet):
                    frames, is_faulty = self._decoded(packet, log)
                    numbered = [(self._sent.pop(frame.pts, None), frame) for frame in frames]
                    faults = [self._number] if is_faulty else []
                    faults += [fault for number, frame in numbered for fault in self._faults(number, frame)]
                    if faults:
                        self._break_off(numbered, min(faults))
                    elif self._is_picture:  # one packet: there is no next one to wait for
                        yield from self._shown(numbered)
                    else:
                        held = numbered
        yield from self._shown(held)
        if self._reason and not self._has_shown:
            raise ValueError(f"no frame can be decoded: {self._reason}")
        self._has_unknown |= bool(self._gap)  # unknown frames may have been lost, too
        yield from self._rest(None)

    def _is_wanted(self, packet: Any) -> bool:
        """Whether to decode a packet: after a fault, from the next key frame on."""
        if not packet.size:
            return is_end(packet) and not self._is_waiting  # the end, at which the decoder returns the rest
        pts = None if self._is_avi else packet.pts
        is_start = self._start is None and (packet.is_keyframe or math.isinf(self._restart))
        if is_start:  # a recorded stream may begin anywhere: frames before its first key frame do not count
            self._gap, self._has_unknown = [], False
            self._start = packet.dts if self._is_avi else pts
        if packet.is_keyframe and not self._is_hopeless:
            self._is_entering = self._is_entering or self._is_waiting
            self._is_waiting, self._leading_fault = False, math.inf
            self._key, self._key_number = pts, self._number + 1
        if self._is_waiting:
            if not packet.is_discard:  # those are never shown
                self._lose(pts)
            return False
        self._number += 1
        if pts is not None and not packet.is_discard:
            self._sent[pts] = self._number
        return True

    @property
    def _is_hopeless(self) -> bool:
        """Whether display times are unknown after a fault: AVI does not store them, and these codecs reorder frames."""
        return self._is_waiting and self._is_avi and self._has_one_each

    def _decoded(self, packet: Any, log: Log) -> tuple[list[Any], bool]:
        """Frames that are ready, and whether there is a fault in this packet or in what it refers to."""
        if log:
            log.clear()  # the demuxer's
        try:
            frames, is_faulty = packet.decode(), False
        except av.error.EOFError:
            return [], False
        except av.error.FFmpegError as error:
            if isinstance(error, MemoryError):
                raise
            frames, is_faulty, self._reason = [], True, self._reason or str(error)
        is_faulty = is_faulty or (bool(log) and any(self._is_fault(*message) for message in log))
        if is_faulty and self._is_leading(packet.pts):  # no frame after the key frame refers to it
            is_faulty, self._leading_fault = False, min(self._leading_fault, self._number)
        return frames, is_faulty

    def _is_fault(self, level: int, name: str, text: str) -> bool:
        if name != self._decoder or text.startswith(_HARMLESS):
            return False
        # At the start of a stretch, errors refer to missing references; frames are marked until all references exist.
        return any(part in text for part in _CONCEALED) or (level <= av.logging.ERROR and not self._is_entering)

    def _is_leading(self, pts: int | None) -> bool:
        """Whether a frame is shown before the key frame that was read before it."""
        return self._key is not None and pts is not None and pts < self._key and not self._is_avi

    def _faults(self, number: int | None, frame: Any) -> list[int]:
        """Numbers of the packets that this frame shows to be damaged: its own, and earlier ones that gave no frame."""
        if frame.pts is None:
            return [number or 0] if frame.is_corrupt and not self._is_entering else []
        passed = [pts for pts in self._sent if frame.pts - self._restart < pts < frame.pts]
        faults = []
        for pts in passed:
            if self._is_leading(pts):
                del self._sent[pts]
                self._lose(pts)
            elif self._has_one_each and not frame.interlaced_frame:
                faults.append(self._sent[pts])
            else:
                del self._sent[pts]
        if frame.is_corrupt and not self._is_leading(frame.pts) and not self._is_entering:
            faults.append(number or 0)
        if self._last is not None and -self._restart < frame.pts - self._last < 0 and math.isfinite(self._restart):
            faults.append(0)  # the time of a packet was lost, and guessed
        return faults

    def _break_off(self, numbered: Sequence[tuple[int | None, Any]], fault: int) -> None:
        """Keep what was decoded from packets before the faulty one; what follows is lost, up to a key frame."""
        try:
            rest = [] if self._is_waiting else self._codec.decode(None)
            for frame in rest:
                frame.time_base = self._stream.time_base
        except av.error.FFmpegError:
            rest = []
        self._has_unknown |= self._is_avi
        for number, frame in [*numbered, *((self._sent.pop(frame.pts, None), frame) for frame in rest)]:
            is_whole = number is not None and number < fault and not frame.is_corrupt
            if is_whole and not self._has_unknown and not self._needs_others(number, frame):
                self._gap.append(frame)
            else:
                self._lose(frame.pts)
        for pts in self._sent:
            self._lose(pts)
        self._sent.clear()
        self._codec.flush_buffers()
        self._is_waiting = True

    def _lose(self, pts: int | None) -> None:
        """Note a lost frame. In an AVI frames and packets have no time in common: all of the gap is lost."""
        if pts is None or self._is_avi:
            self._has_unknown = True
        else:
            self._gap.append(Missing(pts, self._stream.time_base))

    def _shown(self, numbered: Sequence[tuple[int | None, Any]]) -> Iterator[Any]:
        """Frames without a fault, after what the gap before them holds."""
        for number, frame in numbered:
            if self._needs_others(number, frame):
                self._lose(frame.pts)
                continue
            if self._gap or self._has_unknown:
                yield from self._rest(frame)
            self._is_entering, self._has_shown, self._last = False, True, frame.pts
            yield frame

    def _needs_others(self, number: int | None, frame: Any) -> bool:
        """Whether a frame depends on what is damaged, or comes before the key frame with which a stretch begins."""
        if self._is_leading(frame.pts):
            return self._is_entering or frame.is_corrupt or (number or math.inf) >= self._leading_fault
        is_unplaced = self._is_avi and self._has_unknown and not frame.key_frame
        return self._is_entering and (frame.is_corrupt or is_unplaced)

    def _rest(self, after: Any) -> Iterator[Any]:
        """The gap's frames in the order of display. If some are unknown, nothing between its two sides is known."""
        gap, is_open, base = self._gap, self._has_unknown, self._stream.time_base
        self._gap, self._has_unknown = [], False
        if after is not None and after.pts is None:
            raise ValueError("is damaged, and has no timestamps by which to go on")
        if not self._has_shown and self._start is not None:
            gap = [frame for frame in gap if frame.pts >= self._start]  # before it are parts of another film
            if self._is_avi:  # MPEG-4 with B-frames is shown one packet late
                gap = [Missing(self._start + (self._number > self._key_number), base)]
        if self._last is not None:  # frames up to a guessed time are not shown again
            gap = [frame for frame in gap if not -self._restart < frame.pts - self._last <= 0]
        if is_open:
            gap = [Missing(frame.pts, base) for frame in gap]
        if is_open and self._last is not None:
            yield Missing(self._last, base)
        for run in self._runs(gap):
            yield from run
        if is_open and after is not None:
            yield Missing(after.pts - 1, base)

    def _runs(self, gap: list[Any]) -> Iterator[list[Any]]:
        """Frames in groups sorted by timestamp; a new group begins where the clock restarts."""
        run: list[Any] = []
        for frame in gap:
            if run and frame.pts < max(run[-1].pts, run[0].pts) - self._restart:
                yield sorted(run, key=lambda item: item.pts)
                run = []
            run.append(frame)
        yield sorted(run, key=lambda item: item.pts)
