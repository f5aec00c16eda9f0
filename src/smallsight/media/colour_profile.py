"""Brings pixels with an embedded ICC profile to sRGB, with LittleCMS through Pillow, in the decoding child.

A profile that is damaged, too large, or not for the picture's kind of pixels is ignored, as in browsers.
"""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageChops, ImageCms

from smallsight.media.png_chunks import MAX_PROFILE_BYTES

__all__ = ["changes_colours", "lab_to_srgb", "to_srgb"]

_KINDS = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}
_CHANNELS = {"RGB": 3, "L": 1, "CMYK": 4}
_STEPS = (0, 51, 102, 153, 204, 255)
_SAME = 2  # of 255: the profiles of sRGB that programs write differ by rounding
_PROFILE_ERRORS = (ImageCms.PyCMSError, OSError, TypeError, ValueError)


def to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Return an RGB, L or CMYK image in sRGB as RGB; the image itself if the profile changes nothing."""
    transform = _transform_of(profile, image.mode)
    if transform is None:
        return image
    try:
        converted = ImageCms.applyTransform(image, transform)
    except _PROFILE_ERRORS:
        return image
    return image if converted is None else converted


def changes_colours(profile: object, mode: str) -> bool:
    """Return whether ``to_srgb`` may return other pixels than those of an image of this mode."""
    return _transform_of(profile, mode) is not None


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """Return a CIE LAB image in sRGB as RGB; its white point is D50, as in files of graphics programs."""
    converted = ImageCms.applyTransform(image, _lab_transform())
    if converted is None:
        raise ValueError("LittleCMS converted nothing")
    return converted


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )


def _transform_of(profile: object, mode: str) -> ImageCms.ImageCmsTransform | None:
    if not isinstance(profile, bytes) or not 128 <= len(profile) <= MAX_PROFILE_BYTES:
        return None
    return _transform(profile, mode)


@lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transformation, or None if there is none that changes anything."""
    if profile[16:20].decode("latin-1") != _KINDS.get(mode):
        return None
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
        sample = _sample(mode)
        converted = ImageCms.applyTransform(sample, transform)
    except _PROFILE_ERRORS:
        return None
    if converted is None:
        return None
    if mode != "CMYK":
        bands = ImageChops.difference(converted, sample.convert("RGB")).getextrema()
        if max(high for _, high in bands) <= _SAME:  # type: ignore[misc]  # pairs, one a band
            return None
    return transform


def _sample(mode: str) -> Image.Image:
    """Return colours spread over the whole range of a mode, one row."""
    colours: list[tuple[int, ...]] = [()]
    for _ in range(_CHANNELS[mode]):
        colours = [(*colour, step) for colour in colours for step in _STEPS]
    return Image.frombytes(mode, (len(colours), 1), bytes(value for colour in colours for value in colour))
