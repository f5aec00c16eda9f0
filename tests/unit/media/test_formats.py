from __future__ import annotations

import struct

import pytest
from PIL import Image

from smallsight.errors import UnsupportedFormatError
from smallsight.media.formats import READABLE_FORMATS, sniff_format


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_what_pillow_writes_is_recognised(encode, name):
    assert name in READABLE_FORMATS
    assert sniff_format(encode(Image.new("RGB", (4, 4)), name)) == name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (b"II+\0\x08\0\0\0", "TIFF"),
        (b"GIF87a", "GIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypmsf1\0\0\0\0msf1hevc", "HEIF"),
        (b"\0\0\0\x18ftypavis\0\0\0\0avisav01", "AVIF"),
    ],
)
def test_less_common_signatures(data, name):
    assert sniff_format(data) == name


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b'<?xml version="1.0"?>\n<!-- made by hand -->\n<svg xmlns="x">', "SVG"),
        (b"\xef\xbb\xbf<svg>", "SVG"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "video"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0", "sound"),
        (b"\x1aE\xdf\xa3\x01\0\0\0", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "Windows Media"),
        (b"RIFF\0\0\0\0WAVEfmt ", "sound"),
        (b"P6 4 4 255\n", "Netpbm"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "RAW photo (CR3)"),
        (b"FUJIFILMCCD-RAW 0201", "RAW photo (RAF)"),
        (b"IIRO\x08\0\0\0", "RAW photo (ORF)"),
        (b"IIU\0\x08\0\0\0", "RAW photo (RW2)"),
        (b"\0\0\2\0\1\0", "cursor"),
        (b"\0\0\2\0\0\0\0\0\0\0", "Targa"),
        (b"\0\0\x0a\0\0\0\0\0\0\0", "Targa"),
        (b"\x0a\5\1\x08\0\0", "PCX"),
        (b"icns\0\0\1\0", "icon"),
        (b"\xff\x0a\x00\x00", "JPEG XL"),
        (b"PK\3\4rest", "ZIP"),
        (b"BMW is a car maker, and this is a note about it.", "text"),
        ("Γειά σου Κόσμε".encode(), "text"),
        (("я" * 3000).encode()[:4097], "text"),
        (b"\x00\x01\x02\x03\x04", "match no known format"),
        (b"\xff\xfe\x00\x80\x81", "match no known format"),
    ],
)
def test_other_things_are_named(data, words):
    with pytest.raises(UnsupportedFormatError) as caught:
        sniff_format(data)
    assert words in caught.value.message
    assert caught.value.hint is not None


@pytest.mark.parametrize("length", range(1, 12))
def test_short_beginnings_never_fail_otherwise(length):
    for start in (b"RIFF\0\0\0\0WEBP", b"\0\0\0\x18ftypavif", b"BM" + bytes(10), b"\x89PNG\r\n\x1a\n"):
        try:
            sniff_format(start[:length])
        except UnsupportedFormatError as error:
            assert error.message  # noqa: PT017 - either outcome is fine, nothing else is


def tiff(order: str, *directories: dict[int, tuple[int, int, int]]) -> bytes:
    """Return a TIFF of directories of tags, each with type, count and value."""
    data = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    for tags in directories:
        data += struct.pack(f"{order}H", len(tags))
        for tag, (kind, count, value) in tags.items():
            packed = struct.pack(f"{order}H2x" if kind == 3 else f"{order}I", value)
            data += struct.pack(f"{order}HHI", tag, kind, count) + packed
        data += bytes(4)
    return data


SENSOR, LINEAR, RGB = 32_803, 34_892, 2
THUMBNAIL = {254: (4, 1, 1), 262: (3, 1, RGB), 330: (4, 1, 8 + 2 + 3 * 12 + 4)}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("directories", "words"),
    [
        ([{262: (3, 1, RGB), 50_706: (1, 4, 0x01040000)}], "RAW photo (DNG)"),
        ([{262: (3, 1, SENSOR)}], "a RAW photo."),
        ([{262: (3, 1, LINEAR)}], "a RAW photo."),
        ([THUMBNAIL, {262: (3, 1, SENSOR)}], "a RAW photo."),
    ],
)
def test_a_raw_photo_that_begins_as_a_tiff_is_not_its_thumbnail(order, directories, words):
    with pytest.raises(UnsupportedFormatError) as caught:
        sniff_format(tiff(order, *directories))
    assert words in caught.value.message
    assert "JPEG" in (caught.value.hint or "")


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_with_a_smaller_copy_in_it_stays_a_tiff(order):
    for directories in (
        [THUMBNAIL, {262: (3, 1, RGB)}],
        [THUMBNAIL],  # cut short
        [THUMBNAIL | {330: (4, 2**31, 2**32 - 1)}],
        [{}],
    ):
        assert sniff_format(tiff(order, *directories)) == "TIFF"
    whole = tiff(order, THUMBNAIL, {262: (3, 1, SENSOR)})
    for length in range(8, len(whole) - 16):
        assert sniff_format(whole[:length]) == "TIFF"
