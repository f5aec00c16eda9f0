"""Reads from raw bytes in which colour space a picture's pixels are, where numbers and no profile say it."""

from __future__ import annotations

from smallsight.media.coded_colour import SRGB_PRIMARIES, CodedColour, Transfer, coded_colour
from smallsight.media.iso_boxes import primary_properties
from smallsight.media.png_chunks import png_chunks

__all__ = ["file_colour"]

_PNG_CHUNKS = frozenset((b"cICP", b"cLLI", b"mDCV", b"gAMA", b"cHRM", b"sRGB"))
_SRGB_CODE, _OF_WHOLE_RANGE = bytes([1, 13]), bytes([0, 1])  # of cICP
_COMMON_GAMMA = 0.45455
_LUMINANCE_UNITS = 10_000  # in one candela per square metre
_MAX_DIFFERENCE = 0.005
_MAX_GAMMA_ERROR = 0.05


def file_colour(data: bytes, picture_format: str, *, has_profile: bool) -> CodedColour | None:
    """Return the colour space, None if it is sRGB, not told or told by the ICC profile. Never fails."""
    if picture_format == "PNG":
        return _png_colour(data, has_profile=has_profile)
    if picture_format in ("AVIF", "HEIF") and not has_profile:
        return _iso_colour(data)
    return None


def _png_colour(data: bytes, *, has_profile: bool) -> CodedColour | None:
    """Return what cICP says, which goes before a profile, or else gAMA and cHRM, which come after it."""
    chunks: dict[bytes, bytes] = {}
    for kind, content in png_chunks(data, intact=_PNG_CHUNKS):
        if kind == b"IDAT":
            break
        if kind in _PNG_CHUNKS:
            chunks.setdefault(kind, bytes(content[:32]))
    code = chunks.get(b"cICP", b"")
    if len(code) == 4 and code[2:] == _OF_WHOLE_RANGE:  # others are ignored, as in browsers
        if has_profile and code[:2] == _SRGB_CODE:
            return CodedColour(SRGB_PRIMARIES, Transfer.SRGB)
        peak = _number(chunks.get(b"cLLI", b""), 0) or _number(chunks.get(b"mDCV", b""), 16)
        return coded_colour(code[0], code[1], is_video_like=False, peak_nits=peak / _LUMINANCE_UNITS)
    if has_profile or b"sRGB" in chunks:
        return None
    return _old_png_colour(chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b""))


def _old_png_colour(gamma_chunk: bytes, primaries_chunk: bytes) -> CodedColour | None:
    gamma = _number(gamma_chunk, 0) / 100_000
    if not 0.1 <= gamma <= 10:
        return None
    primaries = SRGB_PRIMARIES
    if len(primaries_chunk) == 32:
        white_x, white_y, *colours = (_number(primaries_chunk, at) / 100_000 for at in range(0, 32, 4))
        primaries = (*colours, white_x, white_y)
    is_srgb = all(
        abs(one - other) < _MAX_DIFFERENCE for one, other in zip(primaries, SRGB_PRIMARIES, strict=True)
    )
    if is_srgb and abs(gamma / _COMMON_GAMMA - 1) < _MAX_GAMMA_ERROR:
        return None
    return CodedColour(primaries, Transfer.GAMMA, 1 / gamma) if _is_real(primaries) else None


def _is_real(primaries: tuple[float, ...]) -> bool:
    """Return whether the colours span a triangle, and all coordinates are within bounds."""
    red_x, red_y, green_x, green_y, blue_x, blue_y, *_ = primaries
    area = (green_x - red_x) * (blue_y - red_y) - (blue_x - red_x) * (green_y - red_y)
    return abs(area) > 0.01 and min(primaries[1::2]) > 0.001 and max(primaries) <= 1


def _iso_colour(data: bytes) -> CodedColour | None:
    properties = list(primary_properties(data))
    for name, content in properties:
        if name == b"colr" and bytes(content[:4]) == b"nclx" and len(content) >= 8:
            primaries, transfer = (int.from_bytes(content[at : at + 2], "big") for at in (4, 6))
            peak_nits = _iso_peak_nits(dict(properties))
            return coded_colour(primaries, transfer, is_video_like=True, peak_nits=peak_nits)
    return None


def _iso_peak_nits(properties: dict[bytes, memoryview]) -> float:
    if (level := properties.get(b"clli")) is not None:
        return float(int.from_bytes(level[:2], "big"))
    if (mastered := properties.get(b"mdcv")) is not None:
        return _number(bytes(mastered[:24]), 16) / _LUMINANCE_UNITS
    return 0.0


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 4], "big")
