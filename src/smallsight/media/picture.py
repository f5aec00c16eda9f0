"""The value that decoding returns: one picture's facts, pixels, thumbnail and hashes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DecodedPicture"]


@dataclass(frozen=True, slots=True, eq=False)
class DecodedPicture:
    """One decoded picture, upright and in sRGB, with transparency on the ground that ``ground`` chooses.

    ``format`` is JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF or HEIF. ``width_px`` and ``height_px`` are those of
    the file once upright, not of ``image_HWC``, also of a JPEG that is decoded at a reduced size.
    ``num_frames`` is 1 for still pictures. ``image_HWC``, of the requested size, and ``full_size_HWC`` are
    uint8 RGB; for a small picture they are the same array. Both hashes are unsigned 64-bit numbers, made from
    ``hash_grey_HW``, uint8 64 x 64. ``colours`` are RGB of 4 x 4 parts of the picture, rows first, with a
    thumbnail. ``pages_HWC`` is what is read: the picture, often ``image_HWC`` itself, and further pages or
    frames. Fields that were not requested are None or empty. Of a video of ``duration_s`` seconds it is the
    frame that a player shows at ``still_s``, and ``format`` is one of ``video_formats.CONTAINERS``.
    """

    format: str
    width_px: int
    height_px: int
    num_frames: int
    image_HWC: npt.NDArray[np.uint8] | None
    thumbnail_webp: bytes | None
    phash: int | None
    dhash: int | None
    full_size_HWC: npt.NDArray[np.uint8] | None = None
    hash_grey_HW: npt.NDArray[np.uint8] | None = None
    colours: bytes | None = None
    pages_HWC: tuple[npt.NDArray[np.uint8], ...] = ()
    duration_s: float | None = None
    still_s: float | None = None
