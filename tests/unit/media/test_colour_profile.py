"""Embedded ICC profiles are applied; the right colours are those that Chromium shows of the same files."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile_with_primaries(primaries: dict[bytes, tuple[float, float, float]], gamma: float) -> bytes:
    """Build a matrix profile by hand: its colours in XYZ at D50, and one gamma."""

    def fixed(number: float) -> bytes:
        return struct.pack(">i", round(number * 65_536))

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    values = {kind: b"XYZ " + bytes(4) + b"".join(map(fixed, xyz)) for kind, xyz in primaries.items()}
    values[b"wtpt"] = b"XYZ " + bytes(4) + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    values.update(dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))
    values[b"desc"] = b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(78)
    values[b"cprt"] = b"text" + bytes(4) + b"none" + bytes(4)
    table, body, position = struct.pack(">I", len(values)), b"", 128 + 4 + 12 * len(values)
    for kind, value in values.items():
        table += kind + struct.pack(">II", position + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    rest = table + body
    header = struct.pack(">I4sI4s4s4s", 128 + len(rest), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    return header.ljust(128, b"\0") + rest


PROPHOTO = profile_with_primaries(
    {b"rXYZ": (0.7977, 0.2880, 0.0), b"gXYZ": (0.1352, 0.7119, 0.0), b"bXYZ": (0.0313, 0.0001, 0.8249)}, 1.8
)
DISPLAY_P3 = profile_with_primaries(
    {
        b"rXYZ": (0.5151, 0.2412, -0.0011),
        b"gXYZ": (0.2919, 0.6922, 0.0419),
        b"bXYZ": (0.1572, 0.0666, 0.7841),
    },
    2.2,
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
