"""Tells limits inside decoding libraries from damage, so that each is reported as what it is.

Runs in the decoding child, after a decoder has given up without saying why.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys

from PIL import Image

from smallsight.errors import PictureTooLargeError
from smallsight.media.container_scan import webp_canvas_px

if sys.platform != "win32":
    import resource

__all__ = ["lift_heif_limits", "raise_if_limited"]

_MAX_AVIF_SIDE_PX = 32_768  # of libavif
_HEAD_BYTES = 65_536  # sizes come before the pixels
_BYTES_PER_PIXEL = {"WEBP": 12, "AVIF": 12, "HEIF": 12}
_PROGRESSIVE_BYTES_PER_PIXEL = 3  # coefficients of two bytes, with colours at a quarter of the pixels


def lift_heif_limits() -> None:
    """Lift libheif's own limits if the memory of this process is limited, which guards better.

    They refuse photos in more than 1,000 tiles and large profiles.
    """
    if _memory_limit_bytes() is not None:
        with contextlib.suppress(ImportError):
            importlib.import_module("pillow_heif").options.DISABLE_SECURITY_LIMITS = True


def raise_if_limited(data: bytes, picture_format: str, opened: Image.Image | None) -> None:
    """Raise PictureTooLargeError or MemoryError if a limit explains why decoding failed."""
    size = webp_canvas_px(data) if picture_format == "WEBP" else None
    if opened is not None:
        # That of a JPEG before it was reduced is in its tile.
        tiles = getattr(opened, "tile", None)
        size = tiles[0][1][2:] if tiles else opened.size
    if size is not None:
        _raise_if_short_of_memory(size, picture_format, opened is not None and "progressive" in opened.info)
    if picture_format == "AVIF":
        _raise_if_side_is_long(data)
    elif picture_format == "HEIF" and opened is None:
        _raise_if_libheif_refuses(data)


def _memory_limit_bytes() -> int | None:
    if sys.platform == "win32":
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def _raise_if_short_of_memory(size: tuple[int, int], picture_format: str, is_progressive: bool) -> None:
    """Raise MemoryError if it explains an error: libjpeg and libwebp report that memory ran out as damage."""
    limit_bytes = _memory_limit_bytes()
    bytes_per_pixel = _BYTES_PER_PIXEL.get(picture_format, 0)
    if picture_format == "JPEG" and is_progressive:
        bytes_per_pixel = _PROGRESSIVE_BYTES_PER_PIXEL
    if limit_bytes is not None and size[0] * size[1] * bytes_per_pixel > limit_bytes // 2:
        raise MemoryError


def _raise_if_side_is_long(data: bytes) -> None:
    found = data.find(b"ispe", 0, _HEAD_BYTES)
    sides_px = [int.from_bytes(data[start : start + 4], "big") for start in (found + 8, found + 12)]
    if found >= 0 and max(sides_px) > _MAX_AVIF_SIDE_PX:
        raise PictureTooLargeError(
            f"The picture has a side that is too long for libavif: {max(sides_px)} px "
            f"(limit {_MAX_AVIF_SIDE_PX}).",
            hint="no setting raises this limit; save it as PNG or resize it.",
        )


def _raise_if_libheif_refuses(data: bytes) -> None:
    try:
        importlib.import_module("pillow_heif").open_heif(io.BytesIO(data))
    except (ImportError, OSError, RuntimeError, SyntaxError, ValueError) as error:
        if "Security limit exceeded: " in str(error):
            raise PictureTooLargeError(
                "The HEIF picture exceeds a limit of libheif.",
                hint="no setting raises this limit on this system; save it as JPEG.",
            ) from error
