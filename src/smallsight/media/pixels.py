"""Converts decoded images to upright 8-bit sRGB: reduces size, grey depth, transparency and orientation."""

from __future__ import annotations

import math

from PIL import Image, ImageChops

from smallsight.errors import UnsupportedFormatError
from smallsight.media import coded_colour
from smallsight.media.coded_colour import CodedColour
from smallsight.media.colour_profile import lab_to_srgb, to_srgb
from smallsight.media.decoder_errors import DECODER_ERRORS
from smallsight.media.ground import choose_ground
from smallsight.media.tiff_tags import grey_numbers, zero_is_white

__all__ = ["fit_within", "orientation_of", "scaled_size", "to_rgb", "turn_upright"]

_ORIENTATION_TAG = 0x0112
_XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DEEP_GREY = frozenset(("I", "F", "I;16", "I;16B", "I;16L", "I;16N"))
_INDEXED = frozenset(("1", "P", "PA"))
_WITH_ALPHA = frozenset(("LA", "La", "RGBA", "RGBa"))
_OPAQUE = frozenset(("L", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"))
_MAX_16_BIT = 65_535
_MAX_12_BIT = 4_095


def scaled_size(size: tuple[int, int], side_px: int) -> tuple[int, int]:
    """Return ``size`` reduced so that its longest side is at most ``side_px``; no side is below 1."""
    scale = min(1.0, side_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def fit_within(image: Image.Image, side_px: int, *, gap: float = 2.0) -> Image.Image:
    """Return ``image`` itself when it fits, else a copy with its longest side at ``side_px``.

    Box averaging reduces to ``gap`` times the result, then bicubic: 1 is fastest, 3 as good as bicubic alone.
    """
    size = scaled_size(image.size, side_px)
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=gap)


def orientation_of(opened: Image.Image) -> int:
    """Return the EXIF orientation that is still to be applied, 1 if there is none or it is invalid.

    Browsers do not turn pictures by XMP, which programs leave unchanged when they turn the pixels.
    """
    for key in _XMP_KEYS:
        opened.info.pop(key, None)
    try:
        orientation = opened.getexif().get(_ORIENTATION_TAG, 1)
    except DECODER_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return ``image`` with EXIF orientation 1-8 applied; any other value leaves it unchanged."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def to_rgb(
    image: Image.Image,
    min_size: tuple[int, int],
    *,
    is_full_range: bool,
    profile: object = None,
    coded: CodedColour | None = None,
    shares: bool = False,
) -> Image.Image:
    """Return a loaded image as sRGB, box-averaged while it is at least twice ``min_size``.

    Transparency is laid on white, or on a dark ground where white would hide the picture. ``is_full_range``
    means that 16-bit grey uses all of 0-65535, as in PNG; otherwise the range is estimated from the pixels.
    ``coded`` is the colour space if the file names it by numbers, otherwise ``profile`` is the embedded ICC
    profile, if any. With ``shares`` an image that needs no change is returned itself, otherwise a copy.
    Raises UnsupportedFormatError for a colour space that no format of pictures has.
    """
    numbers = grey_numbers(image)
    if numbers.mode in _DEEP_GREY:
        is_float = image.mode == "F"
        grey = _deep_grey_to_8bit(numbers, min_size, is_full_range=is_full_range, is_float=is_float)
        if zero_is_white(image):
            grey = ImageChops.invert(grey)
        return _in_srgb(grey, profile, coded)
    image = numbers
    if image.mode in _INDEXED or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in _WITH_ALPHA:
        return _on_ground(image, min_size, profile, coded)
    if image.mode == "LAB":
        return lab_to_srgb(_shrink_by_averaging(image, min_size))
    if image.mode in _OPAQUE:
        image = _shrink_by_averaging(image, min_size)
        return _in_srgb(image, profile, coded, shares=shares)
    raise UnsupportedFormatError(
        f"Pictures in the colour space {image.mode} are not supported.", hint="save the picture as RGB."
    )


def _shrink_by_averaging(image: Image.Image, min_size: tuple[int, int]) -> Image.Image:
    factors = (max(1, image.width // min_size[0] // 2), max(1, image.height // min_size[1] // 2))
    return image if factors == (1, 1) else image.reduce(factors)


def _in_srgb(
    image: Image.Image, profile: object, coded: CodedColour | None, *, shares: bool = False
) -> Image.Image:
    if coded is not None and image.mode != "CMYK":
        return coded_colour.to_srgb(image, coded)
    converted = to_srgb(image, profile)
    if converted.mode != "RGB" or (converted is image and not shares):
        converted = converted.convert("RGB")
    return converted


def _on_ground(
    image: Image.Image, min_size: tuple[int, int], profile: object, coded: CodedColour | None
) -> Image.Image:
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    is_grey = image.mode == "LA"
    image = image.convert("RGBA")
    colour = choose_ground(image)
    image = _shrink_by_averaging(image, min_size)
    pixels = _in_srgb(image.convert("L" if is_grey else "RGB"), profile, coded)
    ground = Image.new("RGB", image.size, colour)
    ground.paste(pixels, mask=image.getchannel("A"))
    return ground


def _deep_grey_to_8bit(
    image: Image.Image, min_size: tuple[int, int], *, is_full_range: bool, is_float: bool
) -> Image.Image:
    """Return mode L. Pillow's own conversion clips at 255, which turns 16-bit pictures white."""
    if image.mode != "F":
        image = image.convert("I")
    image = _shrink_by_averaging(image, min_size).convert("F")
    low, high = _span(image.getextrema(), is_float=is_float)
    if is_full_range:
        low, high = 0.0, float(_MAX_16_BIT)
    scale = 255.0 / (high - low)
    offset = 0.5 - low * scale
    return image.point(lambda value: value * scale + offset).convert("L")


def _span(extrema: object, *, is_float: bool) -> tuple[float, float]:
    """Return the values that become black and white, for data whose file does not state its range."""
    match extrema:
        case (float() | int() as low, float() | int() as high) if math.isfinite(low) and math.isfinite(high):
            pass
        case _:  # holes in scientific data
            return 0.0, 1.0
    if low >= 0:
        if is_float and high <= 1:
            return 0.0, 1.0
        if high <= 255:
            return 0.0, 255.0
        if not is_float and _MAX_12_BIT < high <= _MAX_16_BIT:
            return 0.0, float(_MAX_16_BIT)
    return (float(low), float(high)) if high > low else (low - 1.0, high + 1.0)
