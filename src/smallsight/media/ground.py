"""Chooses the ground on which a picture with transparency is laid: white, or dark where white hides it.

Stickers and logos made for dark pages are white on nothing. The choice depends on the visible pixels alone
and on a sample of fixed size, so that text reading, thumbnail, hashes and models get the same ground.
"""

from __future__ import annotations

from PIL import Image, ImageChops

__all__ = ["DARK", "WHITE", "choose_ground"]

WHITE = (255, 255, 255)
DARK = (32, 32, 32)

_SAMPLE_SIDE_PX = 512
_MIN_ALPHA = 16
_LIGHT = 200  # of 255, in the darkest of the three colours: paler ones cannot be told from white
_BLACK = 80  # of 255, in the lightest of the three colours
_MIN_TRANSPARENT_SHARE = 0.02  # less is the rounded corners of a window
_MIN_LIGHT_SHARE = 0.5
_MAX_BLACK_SHARE = 0.1  # more is an outline or a shadow, which shows white letters on white


def choose_ground(image: Image.Image) -> tuple[int, int, int]:
    """Return the colour on which an RGBA image shows."""
    sample = image
    if max(image.size) > _SAMPLE_SIDE_PX:
        scale = _SAMPLE_SIDE_PX / max(image.size)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        sample = image.resize(size, Image.Resampling.NEAREST)
    red, green, blue, alpha = sample.split()
    visible = alpha.point([255 if value >= _MIN_ALPHA else 0 for value in range(256)])
    num_visible = visible.histogram()[255]
    num_pixels = sample.width * sample.height
    if not num_visible or num_visible > num_pixels * (1 - _MIN_TRANSPARENT_SHARE):
        return WHITE
    darkest = ImageChops.darker(ImageChops.darker(red, green), blue)
    lightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    # The soft edge of a white letter is grey in proportion to its opacity in pictures of some programs.
    threshold = alpha.point([min(_LIGHT, value * 7 // 8) for value in range(256)])
    is_light = ImageChops.subtract(darkest, threshold, offset=1).point([0] + [255] * 255)
    is_black = lightest.point([255 if value < _BLACK else 0 for value in range(256)])
    is_black = ImageChops.subtract(is_black, is_light)
    num_light = is_light.histogram(visible)[255]
    num_black = is_black.histogram(visible)[255]
    hides = num_light >= num_visible * _MIN_LIGHT_SHARE and num_black < num_visible * _MAX_BLACK_SHARE
    return DARK if hides else WHITE
