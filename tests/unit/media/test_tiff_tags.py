"""TIFFs whose tags say more than Pillow shows: copies, negatives, colours in planes, kinds of numbers."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from smallsight.media.caller_image import show_image
from smallsight.media.tiff_tags import is_copy, profile_of
from smallsight.settings import Limits

_BYTE, _SHORT, _LONG = 1, 3, 4
_SIZES = {_BYTE: "B", _SHORT: "H", _LONG: "I"}
_FORMATS = {"u": 1, "i": 2, "f": 3}
_COPY = {254: (_LONG, [1])}


def tiff(
    *pages: tuple[np.ndarray, dict[int, tuple[int, list[int]]]], order: str = "<", packs: bool = False
) -> bytes:
    """Write pages of any kind of number, [height, width] or [3, height, width], with more tags."""
    data = bytearray((b"II*\0" if order == "<" else b"MM\0*") + bytes(4))
    link_at = 4
    for pixels, more in pages:
        planes = pixels if pixels.ndim == 3 else pixels[None]
        strips, sizes = [], []
        for plane in planes:
            strips.append(len(data))
            stored = plane.astype(plane.dtype.newbyteorder(order)).tobytes()
            data += zlib.compress(stored) if packs else stored
            sizes.append(len(data) - strips[-1])
        num, height, width = planes.shape
        tags = {
            256: (_LONG, [width]),
            257: (_LONG, [height]),
            258: (_SHORT, [8 * pixels.itemsize] * num),
            259: (_SHORT, [8 if packs else 1]),
            262: (_SHORT, [2 if num == 3 else 1]),
            273: (_LONG, strips),
            277: (_SHORT, [num]),
            278: (_LONG, [height]),
            279: (_LONG, sizes),
            284: (_SHORT, [2 if num == 3 else 1]),
            339: (_SHORT, [_FORMATS[pixels.dtype.kind]] * num),
        } | more
        link_at = _write_directory(data, tags, link_at, order)
    return bytes(data)


def _write_directory(
    data: bytearray, tags: dict[int, tuple[int, list[int]]], link_at: int, order: str
) -> int:
    entries = bytearray()
    for tag, (kind, numbers) in sorted(tags.items()):
        value = struct.pack(order + _SIZES[kind] * len(numbers), *numbers)
        if len(value) > 4:
            value, start = b"", value
            value = struct.pack(order + "I", len(data))
            data += start + bytes(len(start) % 2)
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + value.ljust(4, b"\0")
    struct.pack_into(order + "I", data, link_at, len(data))
    data += struct.pack(order + "H", len(tags)) + entries + bytes(4)
    return len(data) - 4


def colours(side: int = 8) -> np.ndarray:
    """Return red, green, blue and white quarters, uint8 [3, side, side]."""
    planes = np.zeros((3, side, side), np.uint8)
    half = side // 2
    planes[0, :half, :half] = planes[1, :half, half:] = planes[2, half:, :half] = 255
    planes[:, half:, half:] = 255
    return planes


def full_size(decoder, data: bytes) -> np.ndarray:
    return decoder.decode(data, wants_full_size=True).full_size_HWC


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_colours_in_planes_are_those_of_the_file(decoder, order):
    data = tiff((colours().astype(np.uint16) * 257, {}), order=order)
    expected = np.moveaxis(colours(), 0, 2)
    assert np.array_equal(full_size(decoder, data), expected)
    assert np.array_equal(show_image(Image.open(io.BytesIO(data)), Limits()), expected)


@pytest.mark.parametrize("number", ["u2", "f4"])
def test_deep_grey_that_counts_from_white_is_no_negative(decoder, number):
    grey = np.array([[0, 85, 170, 255]], np.uint8)
    deep = grey.astype(np.uint16) * 257 if number == "u2" else (grey / 255).astype(np.float32)
    negative = tiff((deep.max() - deep, {262: (_SHORT, [0])}))
    positive = tiff((deep, {}))
    assert full_size(decoder, positive)[0, :, 0].tolist() == [0, 85, 170, 255]
    assert np.array_equal(full_size(decoder, negative), full_size(decoder, positive))
    assert np.array_equal(
        show_image(Image.open(io.BytesIO(negative)), Limits()), full_size(decoder, positive)
    )


@pytest.mark.parametrize("packs", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_grey_of_every_kind_of_number_is_that_of_the_file(decoder, kind, order, packs):
    shown = np.linspace(0, 255, 64).round()
    if kind[0] == "f":
        numbers, most = shown / 255, 1
    else:
        most = np.iinfo(kind).max
        numbers = np.interp(shown, [0, 255], [np.iinfo(kind).min, most]).round()
    positive = numbers[None].astype(kind)
    negative = (numbers[::-1] if kind[0] == "i" else most - numbers)[None].astype(kind)
    for stored, photometric in ((positive, 1), (negative, 0)):
        data = tiff((stored, {262: (_SHORT, [photometric])}), order=order, packs=packs)
        greys = full_size(decoder, data)[0, :, 0].astype(int)
        assert np.abs(greys - shown).max() <= 1, (photometric, greys)


@pytest.mark.parametrize("kind", ["i1", "u4"])
def test_an_opened_tiff_has_the_numbers_of_its_file(decoder, kind):
    numbers = np.linspace(np.iinfo(kind).min, np.iinfo(kind).max, 64).astype(kind)[None]
    data = tiff((numbers, {}))
    opened = Image.open(io.BytesIO(data))
    opened.load()
    assert np.array_equal(show_image(opened, Limits()), full_size(decoder, data))


def test_grey_with_its_alpha_in_another_plane_is_seen(decoder):
    planes = np.stack([np.full((8, 8), 90, np.uint8), np.full((8, 8), 255, np.uint8)])
    data = tiff((planes, {284: (_SHORT, [2]), 338: (_SHORT, [2])}), packs=True)
    assert full_size(decoder, data)[0, 0].tolist() == [90, 90, 90]


def test_a_thumbnail_before_the_picture_is_not_the_picture(decoder):
    small = np.zeros((2, 3), np.uint8)
    page, other = np.full((20, 30), 200, np.uint8), np.full((20, 30), 90, np.uint8)
    data = tiff((small, _COPY), (page, {}), (small, _COPY), (other, {}))
    decoded = decoder.decode(data, max_side_px=100, wants_full_size=True, wants_pages=True)
    assert (decoded.width_px, decoded.height_px) == (30, 20)
    assert [int(one[0, 0, 0]) for one in decoded.pages_HWC] == [200, 90]


def test_a_file_of_copies_only_shows_the_first(decoder):
    first, second = np.full((4, 6), 60, np.uint8), np.full((2, 3), 9, np.uint8)
    assert full_size(decoder, tiff((first, _COPY), (second, _COPY)))[0, 0, 0] == 60


def test_the_older_tag_of_a_reduced_copy():
    data = tiff((np.zeros((2, 3), np.uint8), {255: (_SHORT, [2])}))
    assert is_copy(Image.open(io.BytesIO(data)))
    assert not is_copy(Image.new("L", (1, 1)))


def swapped_profile() -> bytes:
    """A profile that shows red as green and green as red."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


@pytest.mark.parametrize("has_profile", [[True, False], [False, True], [True, False, True, False]])
def test_each_page_has_its_own_profile_or_none(decoder, has_profile):
    """Pillow 13.0.0 gives a page without a profile that of a page before it."""
    red = np.zeros((3, 8, 8), np.uint8)
    red[0] = 200
    profile = {34_675: (_BYTE, list(swapped_profile()))}
    data = tiff(*((red, profile if has else {}) for has in has_profile))
    pages = decoder.decode(data, max_side_px=8, wants_pages=True).pages_HWC
    shown = [page[0, 0].tolist() for page in pages]
    assert shown == [[0, 200, 0] if has else [200, 0, 0] for has in has_profile]

    with Image.open(io.BytesIO(data)) as image:
        for index in (*range(len(has_profile)), 0):
            image.seek(index)
            is_green = np.asarray(show_image(image, Limits()))[0, 0].tolist() == [0, 200, 0]
            assert is_green == has_profile[index]


def test_a_profile_that_the_caller_gives_to_a_tiff_holds():
    with Image.open(io.BytesIO(tiff((np.full((3, 8, 8), 200, np.uint8), {})))) as image:
        image.info["icc_profile"] = swapped_profile()
        assert profile_of(image) == swapped_profile()
