"""Embedded ICC profiles are applied; the right colours are those that Chromium shows of the same files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms

from handmade_files import DISPLAY_P3, profile_with_primaries

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


PROPHOTO = profile_with_primaries(
    {b"rXYZ": (0.7977, 0.2880, 0.0), b"gXYZ": (0.1352, 0.7119, 0.0), b"bXYZ": (0.0313, 0.0001, 0.8249)}, 1.8
)
# The red and green colours exchanged: the numbers say green, every viewer shows red.
SWAPPED = profile_with_primaries(
    {b"rXYZ": (0.3851, 0.7169, 0.0971), b"gXYZ": (0.4361, 0.2225, 0.0139), b"bXYZ": (0.1431, 0.0606, 0.7141)},
    2.2,
)


def centre(decoder, data: bytes) -> np.ndarray:
    decoded = decoder.decode(data, max_side_px=64, wants_full_size=True)
    assert np.array_equal(decoded.image_HWC[32, 32], decoded.full_size_HWC[32, 32])
    return decoded.image_HWC[32, 32].astype(int)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize(
    ("profile", "stored", "shown"),
    [
        (PROPHOTO, (179, 70, 26), (255, 0, 0)),
        (DISPLAY_P3, (233, 54, 40), (255, 0, 0)),
        (SWAPPED, (0, 255, 0), (255, 0, 0)),
        (PROPHOTO, (255, 255, 255), (255, 255, 255)),
    ],
)
def test_a_profile_is_applied(decoder, encode, name, profile, stored, shown):
    options = {"quality": 100} if name in ("JPEG", "WEBP", "AVIF") else {}
    data = encode(Image.new("RGB", (64, 64), stored), name, icc_profile=profile, **options)
    assert np.abs(centre(decoder, data) - shown).max() <= 12


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_a_profile_of_a_picture_with_alpha_or_a_palette(decoder, encode, mode):
    image = Image.new("RGBA", (64, 64), (0, 255, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image = image.convert("RGB").convert("P") if mode == "P" else image
    assert np.abs(centre(decoder, encode(image, "PNG", icc_profile=SWAPPED)) - (255, 0, 0)).max() <= 12


def test_heic(decoder, encode):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    data = encode(Image.new("RGB", (64, 64), (233, 54, 40)), "HEIF", icc_profile=DISPLAY_P3, quality=100)
    assert np.abs(centre(decoder, data) - (255, 0, 0)).max() <= 12


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "I;16"])
@pytest.mark.parametrize(
    "profile",
    [b"", b"junk", bytes(200), SWAPPED[:100], SWAPPED[:300], SWAPPED[:128] + bytes(len(SWAPPED) - 128), SRGB],
)
def test_a_profile_that_is_broken_or_of_another_kind_is_ignored(decoder, encode, mode, profile):
    image = Image.new(mode, (64, 64), 90 if mode in ("L", "I;16") else (10, 200, 90, 0)[: len(mode)])
    data = encode(image, "TIFF", icc_profile=profile)
    plain = encode(image, "TIFF")
    assert np.array_equal(centre(decoder, data), centre(decoder, plain))


def test_an_ordinary_srgb_profile_changes_no_pixel(decoder, encode, scene):
    with_profile = decoder.decode(encode(scene, "PNG", icc_profile=SRGB), max_side_px=400)
    assert np.array_equal(with_profile.image_HWC, np.asarray(scene))
