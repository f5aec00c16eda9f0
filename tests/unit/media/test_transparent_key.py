"""A PNG's transparent colour (tRNS) at every depth, as browsers show it."""

from __future__ import annotations

import struct

import pytest

from handmade_files import png


@pytest.mark.parametrize(
    ("depth", "row", "key", "shown"),
    [
        (1, 0b0100_0000, 1, [0, 255]),
        (1, 0b0100_0000, 0, [255, 255]),
        (2, 0b0100_0000, 1, [255, 0]),
        (4, 0b1000_0000, 8, [255, 0]),
        (8, None, 85, [255, 0]),
    ],
)
def test_grey_of_few_bits(decoder, depth, row, key, shown):
    data = png(depth, 0, bytes([row]) if row is not None else bytes([85, 0]), 2, (key,))
    image_HWC = decoder.decode(data, max_side_px=2).image_HWC
    if key == 0:  # all that is left is white, so that it lies on the dark ground
        assert image_HWC[0, :, 0].tolist() == [32, 255]
    else:
        assert image_HWC[0, :, 0].tolist() == shown


def test_sixteen_bit_grey(decoder):
    """Pixels that differ from the key in their lower byte alone stay."""
    data = png(16, 0, struct.pack(">3H", 0x8081, 0x8082, 0), 3, (0x8081,))
    assert decoder.decode(data, max_side_px=3).image_HWC[0, :, 0].tolist() == [255, 128, 0]


def test_sixteen_bit_colours(decoder):
    pixels = [(0x0102, 0x0304, 0x0506), (0x0102, 0x0304, 0x0507), (0x9000, 0, 0x4000)]
    data = png(16, 2, struct.pack(">9H", *sum(pixels, ())), 3, pixels[0])
    image_HWC = decoder.decode(data, max_side_px=3).image_HWC
    assert image_HWC[0].tolist() == [[255, 255, 255], [1, 3, 5], [0x90, 0, 0x40]]


def test_a_dark_drawing_keyed_on_a_dark_ground_lies_on_white(decoder):
    row = bytes([0b00_01_00_01] * 16)  # two of the four greys of 2 bits: black is keyed
    image_HWC = decoder.decode(png(2, 0, row, 64, (0,)), max_side_px=64).image_HWC
    assert image_HWC[0, :4, 0].tolist() == [255, 85, 255, 85]
