"""Pictures made on the spot, and one decoder shared by the tests of this folder."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from shown_by_chromium import Chromium, chromium, why_not
from smallsight.media.decoder import PictureDecoder
from smallsight.settings import Limits


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    def encode_picture(image: Image.Image, picture_format: str, **options: object) -> bytes:
        stream = io.BytesIO()
        image.save(stream, picture_format, **options)
        return stream.getvalue()

    return encode_picture


@pytest.fixture(scope="session")
def scene() -> Image.Image:
    """A photo-like picture: a gradient, soft shapes, and a different colour in each corner."""
    y, x = np.mgrid[0:300, 0:400]
    red = 128 + 100 * np.sin(x / 60) * np.cos(y / 45)
    green = x * 255 / 399
    blue = 255 * np.exp(-((x - 260) ** 2 + (y - 120) ** 2) / 6000)
    pixels_HWC = np.stack([red, green, blue], axis=-1).clip(0, 255).astype(np.uint8)
    for row, column, colour in (
        (0, 0, (255, 0, 0)),
        (0, 320, (0, 255, 0)),
        (240, 0, (0, 0, 255)),
        (240, 320, (255, 255, 0)),
    ):
        pixels_HWC[row : row + 60, column : column + 80] = colour
    return Image.fromarray(pixels_HWC)


@pytest.fixture(scope="session")
def png_header() -> Callable[..., bytes]:
    """Make a PNG that announces a size and holds one byte of compressed nothing."""

    def make(width_px: int, height_px: int, colour_type: int = 2) -> bytes:
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = struct.pack(">IIBBBBB", width_px, height_px, 8, colour_type, 0, 0, 0)
        return (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(b"\0"))
            + chunk(b"IEND", b"")
        )

    return make


@pytest.fixture(scope="session")
def decoder() -> Iterator[PictureDecoder]:
    with PictureDecoder(Limits()) as shared:
        yield shared


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    """What shows the same bytes; without it, these tests are skipped."""
    if reason := why_not():
        pytest.skip(reason)
    with chromium() as opened:
        yield opened
