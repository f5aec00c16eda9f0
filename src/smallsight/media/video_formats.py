"""Detects videos from their first bytes: containers, which need the ``video`` extra, and animated pictures.

Does not decode and ignores the file name.
"""

from __future__ import annotations

import importlib.util

from smallsight.errors import MissingDecoderError, UnsupportedFormatError
from smallsight.media.animation_times import frame_durations_ms, num_png_frames
from smallsight.media.container_scan import count_gif_frames
from smallsight.media.formats import NEEDS_HEIF, describe_bytes, has_heif, readable_format

__all__ = [
    "ANIMATIONS",
    "CONTAINERS",
    "has_video",
    "is_animation",
    "is_container",
    "sniff_video",
    "solved_errors",
]

# The only FFmpeg demuxer that may open each format: no other is tried, whatever the bytes contain.
CONTAINERS = {
    "MP4": "mov,mp4,m4a,3gp,3g2,mj2",
    "MATROSKA": "matroska,webm",
    "AVI": "avi",
    "MPEG-TS": "mpegts",
    "MPEG": "mpeg",
    "OGG": "ogg",
    "FLV": "flv",
}
ANIMATIONS = ("GIF", "WEBP", "PNG", "AVIF")

_NEEDS_VIDEO = "Videos need an optional package."
_SIGNATURES = (
    (b"\x1aE\xdf\xa3", "MATROSKA"),
    (b"\0\0\1\xba", "MPEG"),
    (b"OggS", "OGG"),
    (b"FLV\1", "FLV"),
)
_OTHER_BRANDS = (b"M4A ", b"M4B ", b"M4P ", b"crx ")  # sound, and RAW photos of Canon
_OLD_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip")
_TS_PACKETS = (  # bytes of a packet, and where its sync byte is
    (188, 0),
    (192, 4),  # AVCHD camcorders and Blu-ray discs put a time before each
    (204, 0),  # receivers put a checksum after each
)
_TS_NUM_PACKETS = 3
_TS_SYNC = 0x47
_WEBP_ANIMATED = 0x02


def has_video() -> bool:
    """Return whether the ``video`` extra is installed, without importing it."""
    return importlib.util.find_spec("av") is not None


def solved_errors() -> list[str]:
    """Return what was said of files for which an extra was missing that is there now."""
    return [*([NEEDS_HEIF] if has_heif() else []), *([_NEEDS_VIDEO] if has_video() else [])]


def is_container(data: bytes) -> bool:
    """Return whether the first bytes are those of a video file that is not an animated picture."""
    return _container(data) is not None


def is_animation(data: bytes) -> bool:
    """Return whether the bytes are a GIF, WebP, APNG or AVIF of more than one frame."""
    match readable_format(data):
        case "GIF":
            return count_gif_frames(data, 1) > 1
        case "WEBP":
            return data[12:16] == b"VP8X" and bool(data[20:21]) and bool(data[20] & _WEBP_ANIMATED)
        case "PNG":
            return num_png_frames(data) > 1
        case "AVIF":
            return len(frame_durations_ms(data, "AVIF", 1)) > 1
    return False


def sniff_video(data: bytes) -> str:
    """Return one of CONTAINERS or ANIMATIONS; a GIF, WebP or APNG of one frame counts as a video.

    Raises UnsupportedFormatError for anything else, and MissingDecoderError if the extra is missing.
    """
    container = _container(data)
    if container is not None:
        if not has_video():
            raise MissingDecoderError(_NEEDS_VIDEO, hint="pip install 'smallsight[video]'.")
        return container
    picture = readable_format(data)
    if picture in ("GIF", "WEBP") or (picture == "PNG" and num_png_frames(data)):
        return picture
    if picture == "AVIF" and frame_durations_ms(data, "AVIF", 1):
        return picture
    looks_like = describe_bytes(data) if picture is None else f"it is a picture ({picture})"
    raise UnsupportedFormatError(
        f"Unsupported video format: {looks_like}.",
        hint="use MP4, MOV, WebM, Matroska, AVI, MPEG, Ogg, FLV, or an animated GIF, WebP, PNG or AVIF.",
    )


def _container(data: bytes) -> str | None:
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "AVI"
    if data[4:8] == b"ftyp":
        return "MP4" if readable_format(data) is None and data[8:12] not in _OTHER_BRANDS else None
    if data[4:8] in _OLD_QUICKTIME:
        return "MP4"
    return "MPEG-TS" if any(_has_sync(data, *packet) for packet in _TS_PACKETS) else None


def _has_sync(data: bytes, packet_bytes: int, sync_at: int) -> bool:
    """Return whether the first packets of a transport stream begin as they must."""
    end = _TS_NUM_PACKETS * packet_bytes
    return len(data) > 2 * packet_bytes and set(data[sync_at:end:packet_bytes]) == {_TS_SYNC}
