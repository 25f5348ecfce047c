"""The times of an AVI's packets. The demuxer counts packets, and does not count those that it passes over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from videoar.data_pipeline.decoding.sandbox.demuxing import is_end

_HEADER = 8
"""Bytes from where the index points to the packet's data."""


def at_their_times(packets: Iterator[Any], stream: Any) -> Iterator[Any]:
    """The packets with the times that the file's index gives to their places; None where some are missing before.

    What lies between places of the index is no packet. If the index is missing, or does not know the first packet, all
    packets are as they are.
    """
    number, index = 0, stream.index_entries
    for packet in packets:
        if packet is None:
            yield None
            continue
        at = len(index) if is_end(packet) and number else _find(index, packet, number)
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


def _find(index: Any, packet: Any, first: int) -> int | None:
    """The number of the entry for a packet, from the first one on."""
    return next((at for at in range(first, len(index)) if index[at].pos + _HEADER == packet.pos), None)


def _place(packet: Any, entry: Any) -> None:
    shift = entry.timestamp - (packet.dts or 0)
    if not shift:
        return
    packet.dts = entry.timestamp
    packet.pts = None if packet.pts is None else packet.pts + shift
    packet.is_keyframe = entry.is_keyframe  # the demuxer looked it up at the wrong time
