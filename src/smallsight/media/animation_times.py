"""Reads how long each frame of an animated picture is shown, from raw bytes; never fails on damaged ones."""

from __future__ import annotations

from smallsight.media.container_scan import gif_frames, webp_durations_ms
from smallsight.media.iso_boxes import find_boxes
from smallsight.media.png_chunks import png_chunks

__all__ = ["frame_durations_ms", "num_png_frames"]

_SHORTEST_MS = 10  # browsers show a frame that is to be shown for no longer than this for
_DEFAULT_MS = 100  # this long
_MEDIA = (b"moov", b"trak", b"mdia")
_SAMPLE_TIMES = (*_MEDIA, b"minf", b"stbl", b"stts")


def frame_durations_ms(data: bytes, picture_format: str, stop_after: int) -> list[float]:
    """Return the duration of each frame as in browsers, for at most ``stop_after + 1`` frames."""
    match picture_format:
        case "GIF":
            found: list[float] = [frame.delay_ms for frame in gif_frames(data, stop_after)]
        case "WEBP":
            found = list(webp_durations_ms(data, stop_after))
        case "PNG":
            found = _png_durations_ms(data, stop_after)
        case "AVIF":
            found = _avif_durations_ms(data, stop_after)
        case _:
            found = []
    return [one if one > _SHORTEST_MS else _DEFAULT_MS for one in found]


def num_png_frames(data: bytes) -> int:
    """Return the number of frames that an APNG declares, 0 for any other PNG."""
    for kind, content in png_chunks(data):
        if kind == b"acTL":
            return int.from_bytes(content[:4], "big")
        if kind == b"IDAT":
            break
    return 0


def _png_durations_ms(data: bytes, stop_after: int) -> list[float]:
    durations_ms: list[float] = []
    for kind, content in png_chunks(data):
        if kind == b"fcTL":
            seconds = int.from_bytes(content[20:22], "big")
            durations_ms.append(1000 * seconds / (int.from_bytes(content[22:24], "big") or 100))
            if len(durations_ms) > stop_after:
                break
    return durations_ms


def _avif_durations_ms(data: bytes, stop_after: int) -> list[float]:
    """Return the durations in the first track, that of the pictures; a second one holds transparency."""
    header = next(find_boxes(data, *_MEDIA, b"mdhd"), b"")
    ticks_at = 20 if header[:1] == b"\1" else 12
    ticks_per_s = int.from_bytes(header[ticks_at : ticks_at + 4], "big") or 1000
    table = bytes(next(find_boxes(data, *_SAMPLE_TIMES), b""))
    durations_ms: list[float] = []
    for at in range(8, len(table) - 7, 8):
        num_samples = int.from_bytes(table[at : at + 4], "big")
        duration_ms = 1000 * int.from_bytes(table[at + 4 : at + 8], "big") / ticks_per_s
        durations_ms += [duration_ms] * min(num_samples, stop_after + 1 - len(durations_ms))
        if len(durations_ms) > stop_after:
            break
    return durations_ms
