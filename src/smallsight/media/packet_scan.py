"""Reads when the frames of a video are shown from its packets, in one pass that decodes nothing."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av

from smallsight.errors import CorruptPictureError
from smallsight.media.video_limits import VideoRequest, check_length

__all__ = ["PacketScan", "scan_packets"]

_FALLBACK_RATE = Fraction(25)
_MAX_RATE_ERROR = Fraction(1, 20)
_MAX_END_ERROR_S = 1.0
_MIN_LATE_S = 0.5


@dataclass(frozen=True, slots=True)
class PacketScan:
    """What the packets of a stream say.

    ``shown_at`` are the sorted timestamps of all frames, None if any is missing or occurs twice; ``keys``
    those of key frames. ``times_s`` is None if frames are evenly spaced, at ``rate``.
    """

    num_frames: int
    shown_at: Sequence[int] | None
    keys: Sequence[int]
    rate: Fraction
    duration_s: float
    times_s: Sequence[float] | None


def scan_packets(
    container: av.container.InputContainer, stream: av.VideoStream, request: VideoRequest
) -> PacketScan:
    """Read all packets of a stream; raises PictureTooLargeError once there are too many."""
    packets: list[tuple[int | None, int | None]] = []  # presentation time, else decoding time; the former
    keys: list[int] = []
    last_at, held_ticks = -(2**63), 0
    for packet in container.demux(stream):
        if packet.size == 0 or packet.is_discard:
            continue
        at = packet.dts if packet.pts is None else packet.pts
        packets.append((at, packet.pts))
        if packet.is_keyframe and packet.pts is not None:
            keys.append(packet.pts)
        # Where frames are reordered, a packet's duration is not how long its frame is shown.
        is_last = at is not None and at >= last_at
        held_ticks = (packet.duration or 0) if is_last else 0
        last_at = at if at is not None and is_last else last_at
        if len(packets) > request.max_frames:
            check_length(len(packets), 0.0, request)
    if not packets:
        raise CorruptPictureError("The video has no frames.", hint="copy it again.")
    ticks = sorted(at for at, _ in packets if at is not None)
    rate = _rate(stream, ticks if len(ticks) == len(packets) else [])
    duration_s, times_s = float(len(packets) / rate), None
    if len(ticks) == len(packets) and stream.time_base is not None:
        late_s = _late_s(container, stream, ticks[0])
        exact = array("d", (late_s + float((one - ticks[0]) * stream.time_base) for one in ticks))
        end_s = exact[-1] + float(held_ticks * stream.time_base)
        if not held_ticks or request.format == "MATROSKA":
            end_s = max(end_s, _declared_end_s(container, stream, request, late_s))
        if not _is_even(exact, end_s, float(rate)):
            times_s = exact
            duration_s = end_s if end_s > exact[-1] else end_s + min(1.0, end_s / len(exact))
    known = sorted({pts for _, pts in packets if pts is not None})
    shown_at = known if len(known) == len(packets) else None
    return PacketScan(len(packets), shown_at, sorted(keys), rate, duration_s, times_s)


def _rate(stream: av.VideoStream, ticks: Sequence[int]) -> Fraction:
    """Return the average frame rate: the declared one, unless the timestamps differ by more than 5 %.

    Screen and browser recordings write a frame when something changes, and declare an arbitrary rate.
    """
    declared = stream.average_rate or stream.guessed_rate or _FALLBACK_RATE
    if len(ticks) < 2 or ticks[-1] == ticks[0] or stream.time_base is None:
        return declared
    measured = (len(ticks) - 1) / ((ticks[-1] - ticks[0]) * stream.time_base)
    return declared if abs(declared - measured) <= measured * _MAX_RATE_ERROR else measured


def _late_s(container: av.container.InputContainer, stream: av.VideoStream, first_tick: int) -> float:
    """Return how long after the sound the first frame is shown; less than half a second counts as nothing."""
    start: Any = container.start_time  # None, whatever its type says, where the file does not tell
    if start is None or stream.time_base is None:
        return 0.0
    late_s = float(first_tick * stream.time_base) - start / av.time_base
    return late_s if late_s >= _MIN_LATE_S else 0.0


def _declared_end_s(
    container: av.container.InputContainer, stream: av.VideoStream, request: VideoRequest, late_s: float
) -> float:
    """Return how long the file says it is, 0 if it does not or is of a kind that estimates it."""
    duration_s = 0.0
    if request.format == "MP4" and stream.duration is not None and stream.time_base is not None:
        duration_s = late_s + float(stream.duration * stream.time_base)
    elif request.format == "MATROSKA" and container.duration is not None:
        duration_s = container.duration / av.time_base
    return duration_s if 0 < duration_s <= request.max_duration_s else 0.0


def _is_even(times_s: Sequence[float], end_s: float, rate: float) -> bool:
    """Return whether every frame is shown when its number says, to a frame's length, the last one too."""
    if abs(end_s - len(times_s) / rate) > max(_MAX_END_ERROR_S, 1.5 / rate):
        return False
    return all(abs(time_s * rate - number) <= 1 for number, time_s in enumerate(times_s))
