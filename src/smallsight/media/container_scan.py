"""Reads canvas sizes, frame counts and durations from raw bytes, before any decoder allocates memory.

Pillow allocates a GIF's or WebP's canvas while opening it, and counts GIF and TIFF frames by parsing every
one without a bound. These functions read only lengths and offsets, stop early, and never fail on damaged
files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "GifFrame",
    "count_gif_frames",
    "count_tiff_frames",
    "gif_canvas_px",
    "gif_frames",
    "webp_canvas_px",
    "webp_durations_ms",
]

_GIF_BLOCK_START = re.compile(rb"[!,;]")


@dataclass(frozen=True, slots=True)
class GifFrame:
    """One frame of a GIF: its place, and where its bytes and those of its graphic control begin and end."""

    left: int
    top: int
    width: int
    height: int
    start: int
    end: int
    control_at: int | None
    disposal: int
    delay_ms: int


def gif_canvas_px(data: bytes) -> tuple[int, int]:
    """Return (width, height) of a GIF's canvas, widened to hold its first frame."""
    width_px, height_px = _little(data, 6, 2), _little(data, 8, 2)
    for start in _gif_frame_starts(data):
        width_px = max(width_px, _little(data, start + 1, 2) + _little(data, start + 5, 2))
        height_px = max(height_px, _little(data, start + 3, 2) + _little(data, start + 7, 2))
        break
    return width_px, height_px


def count_gif_frames(data: bytes, stop_after: int) -> int:
    """Return the number of frames of a GIF, or ``stop_after + 1`` when there are more."""
    num_frames = 0
    for _ in _gif_frame_starts(data):
        num_frames += 1
        if num_frames > stop_after:
            break
    return num_frames


def count_tiff_frames(data: bytes, stop_after: int) -> int:
    """Return the number of pages of a TIFF or BigTIFF, or ``stop_after + 1`` when there are more."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    is_big = 43 in (data[2], data[3])
    offset_bytes, count_bytes, entry_bytes = (8, 8, 20) if is_big else (4, 2, 12)

    def number(start: int, length: int) -> int:
        return int.from_bytes(data[start : start + length], order)

    seen: set[int] = set()
    offset = number(8 if is_big else 4, offset_bytes)
    while 0 < offset < len(data) and offset not in seen and len(seen) <= stop_after:
        seen.add(offset)
        num_entries = number(offset, count_bytes)
        offset = number(offset + count_bytes + num_entries * entry_bytes, offset_bytes)
    return len(seen)


def gif_frames(data: bytes, stop_after: int) -> Iterator[GifFrame]:
    """Yield where the frames of a GIF are and how they are shown, at most ``stop_after + 1``."""
    control_at: int | None = None
    num_frames = 0
    for kind, position, end in _gif_blocks(data):
        if kind == b"!" and data[position + 1 : position + 3] == b"\xf9\x04":
            control_at = position
        elif kind == b",":
            yield _gif_frame(data, position, end, control_at)
            control_at = None
            num_frames += 1
            if num_frames > stop_after:
                return


def _gif_frame(data: bytes, start: int, end: int, control_at: int | None) -> GifFrame:
    left, top, width, height = (_little(data, start + at, 2) for at in (1, 3, 5, 7))
    disposal, delay_ms = 0, 0
    if control_at is not None:
        disposal = _little(data, control_at + 3, 1) >> 2 & 7
        delay_ms = 10 * _little(data, control_at + 4, 2)
    return GifFrame(left, top, width, height, start, end, control_at, disposal, delay_ms)


def webp_durations_ms(data: bytes, stop_after: int) -> list[int]:
    """Return the duration of each frame of an animated WebP, for at most ``stop_after + 1`` frames."""
    durations_ms: list[int] = []
    position = 12
    while position + 8 <= len(data) and len(durations_ms) <= stop_after:
        size = _little(data, position + 4, 4)
        if data[position : position + 4] == b"ANMF":
            durations_ms.append(_little(data, position + 20, 3))
        position += 8 + size + size % 2
    return durations_ms


def webp_canvas_px(data: bytes) -> tuple[int, int]:
    """Return (width, height) of a WebP's canvas, or (0, 0) if its first chunk does not hold it."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        return _little(data, 24, 3) + 1, _little(data, 27, 3) + 1
    if chunk == b"VP8L":
        bits = _little(data, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return _little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF
    return 0, 0


def _gif_frame_starts(data: bytes) -> Iterator[int]:
    """Yield where each image descriptor begins."""
    return (position for kind, position, _ in _gif_blocks(data) if kind == b",")


def _gif_blocks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the first byte of each extension and image descriptor, where it is, and where the block ends."""
    position = 13 + _gif_colour_table_bytes(data, 10)
    while found := _GIF_BLOCK_START.search(data, position):
        position = found.start()
        match data[position : position + 1]:
            case b"!":
                end = _after_gif_sub_blocks(data, position + 2)
                yield b"!", position, end
                position = end
            case b",":
                tables_bytes = _gif_colour_table_bytes(data, position + 9)
                end = _after_gif_sub_blocks(data, position + 11 + tables_bytes)
                yield b",", position, end
                position = end
            case _:
                return


def _gif_colour_table_bytes(data: bytes, flags_at: int) -> int:
    flags = _little(data, flags_at, 1)
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_gif_sub_blocks(data: bytes, position: int) -> int:
    end = len(data)
    while position < end and data[position]:
        position += data[position] + 1
    return position + 1


def _little(data: bytes, start: int, length: int) -> int:
    """Read an unsigned little-endian number; bytes past the end count as missing."""
    return int.from_bytes(data[start : start + length], "little")
