"""Corrects the times of an AVI's packets, which the demuxer counts without the packets that it skips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from videoar.data_pipeline.decoding.sandbox.demuxing import is_end

_HEADER = 8
"""Bytes from where the index points to the packet's data."""


def at_their_times(packets: Iterator[Any], stream: Any) -> Iterator[Any]:
    """The packets with the times that the file's index gives to their places; None where some are missing before.

    Packets that are not in the index are replaced by None. If the index is missing or lacks the first packet, all
    packets are yielded unchanged.
    """
    number, index = 0, stream.index_entries
    places, known = dict[int, int](), 0
    for packet in packets:
        if packet is None:
            yield None
            continue
        while known < len(index):  # the demuxer may add entries as it reads
            places.setdefault(index[known].pos + _HEADER, known)
            known += 1
        at = len(index) if is_end(packet) and number else places.get(packet.pos)
        if at is not None and at < number:
            at = None  # it is before packets that were already read
        if at is None and not number:
            yield packet
            break
        if at is None and number < len(index):
            yield None
            continue
        if at is not None and any(index[passed].size for passed in range(number, at)):
            yield None
        if at is not None and at < len(index):
            _place(packet, index[at])
            number = at + 1
        yield packet
    yield from packets


def _place(packet: Any, entry: Any) -> None:
    shift = entry.timestamp - (packet.dts or 0)
    if not shift:
        return
    packet.dts = entry.timestamp
    packet.pts = None if packet.pts is None else packet.pts + shift
    packet.is_keyframe = entry.is_keyframe  # the demuxer looked it up at the wrong time
