"""Brings pixels in a colour space that a file names by numbers (ITU-T H.273) to sRGB, HDR by tone mapping.

PQ and HLG are brought to the brightness of a common screen as Chromium does, by the curve for reference white
of SMPTE ST 2094-50. Works with Pillow alone, since the decoding child does without numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any, TypeAlias

from PIL import Image, ImageMath

__all__ = ["SRGB_PRIMARIES", "CodedColour", "Transfer", "coded_colour", "to_srgb"]

Matrix: TypeAlias = tuple[tuple[float, ...], ...]
Primaries: TypeAlias = tuple[float, ...]

_D65 = (0.3127, 0.3290)
SRGB_PRIMARIES: Primaries = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65)
_BT2020: Primaries = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65)
_BT601: Primaries = (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65)
_PRIMARIES: dict[int, Primaries] = {
    1: SRGB_PRIMARIES,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: _BT601,
    7: _BT601,
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316),
    9: _BT2020,
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *_D65),
}
_BT2020_LUMA = (0.2627, 0.6780, 0.0593)
_IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))

_WHITE_NITS = 203.0  # of paper in an HDR picture (ITU-R BT.2408)
_PEAK_NITS = 1000.0  # where the file does not say how bright it gets
_MAX_PEAK_NITS = 10_000.0
_KAPPA = 0.65  # how soft the curve bends
_LEVELS = 65_535
_STRIP_PIXELS = 524_288


class Transfer(Enum):
    """How code values relate to light."""

    SRGB = auto()
    TELEVISION = auto()
    GAMMA = auto()
    PQ = auto()
    HLG = auto()


_TRANSFERS = {
    1: (Transfer.TELEVISION, 1.0),
    4: (Transfer.GAMMA, 2.2),
    5: (Transfer.GAMMA, 2.8),
    6: (Transfer.TELEVISION, 1.0),
    8: (Transfer.GAMMA, 1.0),
    13: (Transfer.SRGB, 1.0),
    14: (Transfer.TELEVISION, 1.0),
    15: (Transfer.TELEVISION, 1.0),
    16: (Transfer.PQ, 1.0),
    18: (Transfer.HLG, 1.0),
}


@dataclass(frozen=True, slots=True)
class CodedColour:
    """A colour space: x and y of red, green, blue and white; ``peak_nits`` is the brightest that occurs."""

    primaries: Primaries
    transfer: Transfer
    gamma: float = 1.0
    peak_nits: float = _PEAK_NITS


def coded_colour(
    primaries: int, transfer: int, *, is_video_like: bool, peak_nits: float | None = None
) -> CodedColour | None:
    """Return the colour space of two numbers of H.273, None if it is sRGB or not known.

    ``is_video_like`` takes the curves of television and unknown ones for that of sRGB, and unknown primaries
    for those of sRGB, as browsers do in AVIF and videos.
    """
    if not is_video_like and (primaries not in _PRIMARIES or transfer not in _TRANSFERS):
        return None
    corners = _PRIMARIES.get(primaries, SRGB_PRIMARIES)
    curve, gamma = _TRANSFERS.get(transfer, (Transfer.SRGB, 1.0))
    if is_video_like and curve is Transfer.TELEVISION:
        curve = Transfer.SRGB
    if curve is Transfer.SRGB and corners == SRGB_PRIMARIES:
        return None
    peak = _PEAK_NITS if not peak_nits else min(peak_nits, _MAX_PEAK_NITS)
    return CodedColour(corners, curve, gamma, peak)


def to_srgb(image: Image.Image, colour: CodedColour) -> Image.Image:
    """Return an image in sRGB, RGB; works on a few rows at a time, in little memory."""
    linear = _linear_table(colour.transfer, colour.gamma)
    converted = Image.new("RGB", image.size)
    num_rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, num_rows):
        strip = image.crop((0, top, image.width, min(top + num_rows, image.height)))
        converted.paste(_strip_to_srgb(strip, colour, linear), (0, top))
    return converted


def _strip_to_srgb(strip: Image.Image, colour: CodedColour, linear: list[float]) -> Image.Image:
    bands = [band.point(linear, "F") for band in strip.convert("RGB").split()]
    if colour.transfer in (Transfer.PQ, Transfer.HLG):
        bands = _times(_conversion(colour.primaries, _BT2020), bands)
        if colour.transfer is Transfer.HLG:
            bands = _scaled(bands, _hlg_system_gamma(bands))
        if colour.peak_nits > _WHITE_NITS * 1.01:
            bands = _scaled(bands, _tone_gain(bands, colour.peak_nits / _WHITE_NITS))
        bands = _times(_conversion(_BT2020, SRGB_PRIMARIES), bands)
    else:
        bands = _times(_conversion(colour.primaries, SRGB_PRIMARIES), bands)
    return Image.merge("RGB", [_encoded(band) for band in bands])


def _linear_table(transfer: Transfer, gamma: float) -> list[float]:
    """Return the light of each of 256 codes; reference white is 1, for HLG before its system gamma."""
    return [_linear(code / 255, transfer, gamma) for code in range(256)]


def _linear(code: float, transfer: Transfer, gamma: float) -> float:
    match transfer:
        case Transfer.PQ:
            power = code ** (32 / 2523)
            light = max(power - 0.8359375, 0.0) / (18.8515625 - 18.6875 * power)
            return float(light ** (16_384 / 2610) * 10_000 / _WHITE_NITS)
        case Transfer.HLG:
            if code <= 0.5:
                return code * code / 3
            return (math.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
        case Transfer.TELEVISION:
            return float(code**2.4)
        case Transfer.SRGB:
            return code / 12.92 if code <= 0.04045 else ((code + 0.055) / 1.055) ** 2.4
    return float(code**gamma)


@lru_cache(maxsize=1)
def _srgb_codes() -> list[int]:
    """Return the sRGB code of each 16-bit level of light."""
    lights = (level / _LEVELS for level in range(_LEVELS + 1))
    return [
        round(255 * (12.92 * one if one <= 0.0031308 else 1.055 * one ** (1 / 2.4) - 0.055)) for one in lights
    ]


def _encoded(band: Image.Image) -> Image.Image:
    def levels(args: dict[str, Any]) -> object:
        return args["int"](args["min"](args["max"](args["band"], 0.0), 1.0) * _LEVELS + 0.5)

    return _evaluated(levels, band=band).point(_srgb_codes(), "L")


def _scaled(bands: list[Image.Image], gain: Image.Image) -> list[Image.Image]:
    return [_evaluated(lambda args: args["band"] * args["gain"], band=one, gain=gain) for one in bands]


def _evaluated(formula: Callable[[dict[str, Any]], object], **bands: Image.Image) -> Image.Image:
    computed: Image.Image = ImageMath.lambda_eval(formula, **bands)
    return computed


def _times(matrix: Matrix, bands: list[Image.Image]) -> list[Image.Image]:
    """Return the bands of other primaries."""
    if matrix == _IDENTITY:
        return bands
    return [_sum(row, bands) for row in matrix]


def _sum(weights: tuple[float, ...], bands: list[Image.Image]) -> Image.Image:
    red, green, blue = weights
    return _evaluated(
        lambda args: args["r"] * red + args["g"] * green + args["b"] * blue,
        r=bands[0],
        g=bands[1],
        b=bands[2],
    )


def _hlg_system_gamma(bands: list[Image.Image]) -> Image.Image:
    """Return the gain that makes the light of a scene that of a display of 1,000 nits."""
    return _evaluated(
        lambda args: args["max"](args["luma"], 1e-9) ** 0.2 * (1000 / _WHITE_NITS),
        luma=_sum(_BT2020_LUMA, bands),
    )


def _tone_gain(bands: list[Image.Image], peak: float) -> Image.Image:
    """Return the gain of each pixel by its brightest colour; ``peak`` in units of reference white.

    Up to white the gain is constant; a quadratic Bezier curve leads from there to the peak, which becomes 1.
    """
    share = min(math.log(peak) / math.log(_PEAK_NITS / _WHITE_NITS), 1.0)
    white = 1.0 - 0.5 * share
    middle_x = (1 - _KAPPA) + _KAPPA / white
    middle_y = (1 - _KAPPA) * white + _KAPPA
    bend_x, slope_x = 1.0 - 2 * middle_x + peak, 2 * (middle_x - 1.0)
    bend_y, slope_y = white - 2 * middle_y + 1.0, 2 * (middle_y - white)

    def gain(args: dict[str, Any]) -> object:
        brightest = args["max"](args["max"](args["max"](args["r"], args["g"]), args["b"]), 1.0)
        at = args["min"](brightest, peak)
        root = (at * (4 * bend_x) + (slope_x * slope_x - 4 * bend_x)) ** 0.5
        step = (root - slope_x) * (0.5 / bend_x)
        return (step * step * bend_y + step * slope_y + white) / brightest

    return _evaluated(gain, r=bands[0], g=bands[1], b=bands[2])


@lru_cache(maxsize=8)
def _conversion(source: Primaries, target: Primaries) -> Matrix:
    """Return the matrix from linear light of some primaries to that of others, white staying white."""
    if source == target:
        return _IDENTITY
    to_xyz = _product(_adaptation(source[6:], target[6:]), _xyz(source))
    return _product(_inverse(_xyz(target)), to_xyz)


def _xyz(primaries: Primaries) -> Matrix:
    """Return the matrix from linear light to XYZ."""
    columns = [_white(*primaries[start : start + 2]) for start in (0, 2, 4)]
    colours: Matrix = tuple(zip(*columns, strict=True))
    scales = _applied(_inverse(colours), _white(*primaries[6:]))
    return tuple(tuple(one * scale for one, scale in zip(row, scales, strict=True)) for row in colours)


def _white(x: float, y: float) -> tuple[float, float, float]:
    return x / y, 1.0, (1.0 - x - y) / y


def _adaptation(source: Primaries, target: Primaries) -> Matrix:
    """Return the matrix that brings one white to another (Bradford)."""
    before, after = (_applied(_BRADFORD, _white(*one)) for one in (source, target))
    scale: Matrix = tuple(
        tuple(after[row] / before[row] if row == column else 0.0 for column in range(3)) for row in range(3)
    )
    return _product(_inverse(_BRADFORD), _product(scale, _BRADFORD))


def _applied(matrix: Matrix, vector: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sum(one * other for one, other in zip(row, vector, strict=True)) for row in matrix)


def _product(left: Matrix, right: Matrix) -> Matrix:
    columns = [_applied(left, column) for column in zip(*right, strict=True)]
    return tuple(zip(*columns, strict=True))


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    scale = 1 / (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
    return (
        (scale * (e * i - f * h), scale * (c * h - b * i), scale * (b * f - c * e)),
        (scale * (f * g - d * i), scale * (a * i - c * g), scale * (c * d - a * f)),
        (scale * (d * h - e * g), scale * (b * g - a * h), scale * (a * e - b * d)),
    )
