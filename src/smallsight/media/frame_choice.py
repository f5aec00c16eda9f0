"""Chooses frames of an animation: the first one that shows something, and some that look different."""

from __future__ import annotations

from PIL import Image, ImageChops

__all__ = ["MAX_FRAMES_LOOKED_AT", "contrast", "differs", "miniature", "shows_something"]

MAX_FRAMES_LOOKED_AT = 40  # stickers have fewer; each must be decoded to be looked at

_MIN_CONTRAST = 48  # of 255: fainter frames are on their way in
_MINIATURE_SIDE_PX = 128
_MIN_DIFFERENCE = 24  # of 255, in any pixel of the miniature


def contrast(rgb: Image.Image) -> int:
    """Return the greatest difference between two pixels in one colour, 0 for a blank frame."""
    return max(int(high) - int(low) for low, high in rgb.getextrema())  # type: ignore[misc]  # one pair a band


def shows_something(rgb: Image.Image) -> bool:
    """Return whether a frame is more than blank or nearly blank."""
    return contrast(rgb) >= _MIN_CONTRAST


def miniature(rgb: Image.Image, *, is_grey: bool = True) -> Image.Image:
    """Return a small copy for comparison; letters are told apart by grey alone."""
    side_px = _MINIATURE_SIDE_PX
    small = rgb.resize((side_px, side_px), Image.Resampling.BOX, reducing_gap=2.0)
    return small.convert("L") if is_grey else small


def differs(one: Image.Image, other: Image.Image) -> bool:
    """Return whether two miniatures, both grey or both in colour, differ visibly anywhere."""
    difference = ImageChops.difference(one, other)
    return any(int(band.getextrema()[1]) >= _MIN_DIFFERENCE for band in difference.split())  # type: ignore[arg-type]
