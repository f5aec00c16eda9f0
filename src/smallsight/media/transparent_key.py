"""Finds the pixels of a PNG that its transparent colour (the chunk tRNS) makes transparent, at every depth.

Pillow compares the key with pixels that it has scaled to 8 bits, so that keys of 1, 2, 4 and 16 bits never or
wrongly match.
"""

from __future__ import annotations

import io
import sys

from PIL import Image, ImageChops, PngImagePlugin

__all__ = ["apply_key", "apply_loaded_key"]

_IHDR_DEPTH_AT = 24  # the signature, the chunk's length and name, and two sides come before it


def apply_key(opened: Image.Image, data: bytes) -> Image.Image:
    """Return a loaded PNG with its transparent colour as an alpha channel; other images unchanged.

    16-bit grey becomes 8-bit grey.
    """
    key = opened.info.get("transparency")
    depth = data[_IHDR_DEPTH_AT]
    if not isinstance(opened, PngImagePlugin.PngImageFile) or opened.mode in ("P", "PA"):
        return opened
    if isinstance(key, int) and opened.mode in ("1", "L"):
        grey = opened.convert("L")
        return _with_alpha(grey, _equals(grey, key * 255 // ((1 << depth) - 1)))
    if isinstance(key, int) and opened.mode.startswith("I;16"):
        return _with_alpha(*_deep_grey(opened, key))
    if isinstance(key, tuple) and opened.mode == "RGB":
        if depth != 16:
            return _with_alpha(opened, _all_equal(opened, key))
        low = _low_bytes(data)
        hidden = ImageChops.darker(
            _all_equal(opened, tuple(value >> 8 for value in key)),
            _all_equal(low, tuple(value & 0xFF for value in key)),
        )
        return _with_alpha(opened, hidden)
    return opened


def apply_loaded_key(image: Image.Image) -> Image.Image:
    """Return a loaded image with its transparent colour as an alpha channel; other images unchanged.

    Of a PNG's depth only what Pillow keeps is left: 2 and 4 bits are recognised by the values in use, and of
    16-bit colours the upper 8 bits are compared.
    """
    key = image.info.get("transparency")
    if isinstance(key, int) and image.mode in ("1", "L"):
        grey = image.convert("L")
        return _with_alpha(grey, _equals(grey, _scaled_key(grey, key, is_bit=image.mode == "1")))
    if isinstance(key, int) and image.mode.startswith("I;16"):
        return _with_alpha(*_deep_grey(image, key))
    if isinstance(key, tuple) and image.mode == "RGB" and len(key) == 3:
        is_deep = max(key) > 255
        return _with_alpha(image, _all_equal(image, tuple(value >> 8 if is_deep else value for value in key)))
    return image


def _scaled_key(grey: Image.Image, key: int, *, is_bit: bool) -> int:
    """Return a grey PNG's key at 8 bits."""
    if is_bit:
        return key * 255
    used = [value for value, count in enumerate(grey.histogram()) if count]
    for depth in (2, 4):
        step = 255 // ((1 << depth) - 1)
        if key < 1 << depth and all(value % step == 0 for value in used):
            return key * step
    return key


def _deep_grey(image: Image.Image, key: int) -> tuple[Image.Image, Image.Image]:
    """Return 16-bit grey as 8 bits, and where it equals the key."""
    raw = image.tobytes()
    is_big = image.mode == "I;16B" or (image.mode == "I;16N" and sys.byteorder == "big")
    low, high = (Image.frombytes("L", image.size, raw[start ^ is_big :: 2]) for start in (0, 1))
    return high, ImageChops.darker(_equals(low, key & 0xFF), _equals(high, key >> 8))


def _low_bytes(data: bytes) -> Image.Image:
    """Return the lower 8 of the 16 bits of an RGB PNG's pixels, which Pillow drops."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as opened:
        opened.tile = [tile._replace(args="RGB;16L") for tile in opened.tile]  # the byte order swapped
        opened.load()
        return opened.copy()


def _all_equal(image: Image.Image, key: tuple[int, ...]) -> Image.Image:
    red, green, blue = (_equals(band, value) for band, value in zip(image.split(), key, strict=True))
    return ImageChops.darker(ImageChops.darker(red, green), blue)


def _equals(band: Image.Image, value: int) -> Image.Image:
    """Return 255 where an 8-bit band has the value, 0 elsewhere."""
    return band.point([255 if one == value else 0 for one in range(256)])


def _with_alpha(image: Image.Image, hidden: Image.Image) -> Image.Image:
    image = image.copy()
    image.info.pop("transparency", None)
    image.putalpha(ImageChops.invert(hidden))
    return image
