"""An AVIF is cropped to the part that its file says is shown, before it is turned, as a HEIC is."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from handmade_files import iso_box, with_property
from smallsight.media.clean_aperture import clean_aperture

WIDTH_PX, HEIGHT_PX = 64, 48


@pytest.fixture(scope="module")
def avif() -> bytes:
    """Four quarters: blue, red, green and yellow."""
    image = Image.new("RGB", (WIDTH_PX, HEIGHT_PX), (200, 60, 30))
    image.paste((20, 40, 220), (0, 0, 32, 24))
    image.paste((10, 160, 70), (0, 24, 32, 48))
    image.paste((240, 230, 10), (32, 24, 64, 48))
    saved = io.BytesIO()
    image.save(saved, "AVIF", quality=100, subsampling="4:4:4")
    return saved.getvalue()


def aperture(width: int, height: int, right: int, down: int, *, parts: int = 1) -> bytes:
    """Return the property; ``right`` and ``down`` are from the middle, all in parts of a pixel."""
    return iso_box(b"clap", struct.pack(">IIIIiIiI", width, parts, height, parts, right, parts, down, parts))


@pytest.mark.parametrize(
    ("given", "box"),
    [
        (aperture(32, 24, 0, 0), (16, 12, 48, 36)),
        (aperture(32, 24, -16, -12), (0, 0, 32, 24)),
        (aperture(32, 24, 16, 12), (32, 24, 64, 48)),
        (aperture(62, 46, 0, 0, parts=2), None),  # 31 x 23 pixels begin at half of one
        (aperture(62, 46, 1, 1, parts=2), (17, 13, 48, 36)),
        (aperture(64, 48, 0, 0), None),
        (aperture(64, 48, 1, 0), None),
        (aperture(66, 48, 0, 0), None),
        (aperture(0, 24, 0, 0), None),
        (aperture(32, 24, 0, 0, parts=0), None),
        (iso_box(b"clap", bytes(8)), None),
    ],
)
def test_the_part_that_is_shown(avif, given, box):
    assert clean_aperture(with_property(avif, given), (WIDTH_PX, HEIGHT_PX)) == box


def test_a_picture_is_cropped_and_then_turned(avif, decoder):
    part = with_property(avif, aperture(32, 24, 16, -12))
    red = decoder.decode(part, max_side_px=64)
    assert (red.width_px, red.height_px, red.image_HWC.shape) == (32, 24, (24, 32, 3))
    assert np.abs(red.image_HWC.astype(int) - (200, 60, 30)).max() <= 4
    both = with_property(with_property(avif, aperture(32, 48, 16, 0)), iso_box(b"irot", b"\1"))
    turned = decoder.decode(both, max_side_px=64).image_HWC.astype(int)
    assert turned.shape == (32, 48, 3)
    assert np.abs(turned[16, 8] - (200, 60, 30)).max() <= 4  # the upper part is on the left
    assert np.abs(turned[16, 40] - (240, 230, 10)).max() <= 4


def test_a_picture_without_one_stays_whole(avif, decoder):
    assert clean_aperture(avif, (WIDTH_PX, HEIGHT_PX)) is None
    assert decoder.decode(avif, max_side_px=64).image_HWC.shape == (HEIGHT_PX, WIDTH_PX, 3)


def test_pillow_heif_crops_alike(avif):
    pillow_heif = pytest.importorskip("pillow_heif")
    part = with_property(avif, aperture(32, 24, 16, -12))
    assert pillow_heif.open_heif(io.BytesIO(part)).size == (32, 24)
