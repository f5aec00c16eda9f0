"""Metadata is found in every format that can hold it, by the real child; damage only costs words."""

from __future__ import annotations

import io
import random
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

from handmade_metadata import exif_block, iptc_records, photoshop_resources, xmp_of
from smallsight.media.decoder import PictureDecoder
from smallsight.media.metadata.reading import SidecarKind, read_picture_words
from smallsight.settings import Limits

XMP = xmp_of("Ein Boot und 猫", ["море"])
EXIF = exif_block({270: b"Nur in EXIF", 0x9C9E: "כלב".encode("utf-16-le")})
IPTC = iptc_records((1, 90, b"\x1b%G"), (2, 25, "ελιά".encode()), (2, 120, b"Nur in IPTC"))
JIS = exif_block({}, "<", {0x9286: b"JIS\0\0\0\0\0" + "猫です".encode("iso2022_jp")})


@pytest.fixture(scope="module")
def decoder() -> Iterator[PictureDecoder]:
    with PictureDecoder(Limits()) as shared:
        yield shared


def encoded(picture_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 120, 40)).save(out, picture_format, **options)
    return out.getvalue()


def png(**texts: str) -> bytes:
    info = PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text, zip=True)
    return encoded("PNG", pnginfo=info)


def with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    return jpeg[:2] + bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content + jpeg[2:]


def tiff() -> bytes:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[700], tags[33723] = XMP, IPTC
    tags.tagtype[700] = tags.tagtype[33723] = 1
    tags[270] = "Nur in EXIF"
    return encoded("TIFF", tiffinfo=tags)


def gif() -> bytes:
    trailer = b"\x01" + bytes(range(0xFF, -1, -1)) + b"\0"
    data = encoded("GIF")
    return data[:-1] + b"!\xff\x0bXMP DataXMP" + XMP + trailer + b";"


def raw_profile(name: str, block: bytes) -> bytes:
    text = f"\n{name}\n{len(block):8}\n{block.hex()}\n".encode()
    chunk = b"zTXt" + f"Raw profile type {name}".encode() + b"\0\0" + zlib.compress(text)
    whole = (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    data = encoded("PNG")
    return data[:33] + whole + data[33:]


FILES = {
    "jpeg": lambda: with_segment(
        encoded("JPEG", xmp=XMP, exif=b"Exif\0\0" + EXIF),
        0xED,
        b"Photoshop 3.0\0" + photoshop_resources(IPTC),
    ),
    "png": lambda: png(**{"XML:com.adobe.xmp": XMP.decode()}),
    "png exif": lambda: encoded("PNG", exif=EXIF),
    "png text": lambda: png(Description="Ein Boot und 猫", Comment="Created with GIMP"),
    "png iptc": lambda: raw_profile("iptc", photoshop_resources(IPTC)),
    "png app1": lambda: raw_profile("APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP),
    "webp": lambda: encoded("WEBP", xmp=XMP, exif=EXIF),
    "avif": lambda: encoded("AVIF", xmp=XMP, exif=EXIF),
    "tiff": tiff,
    "gif": gif,
    "jis": lambda: encoded("JPEG", exif=b"Exif\0\0" + JIS),
    "none": lambda: encoded("BMP"),
}
BOTH, BOAT, CATALAN = {"море", "כלב"}, "Ein Boot und 猫", {"ελιά"}
EXPECTED = {
    "jpeg": (BOAT, "xmp:dc:description", BOTH | CATALAN),
    "png": (BOAT, "xmp:dc:description", {"море"}),
    "png exif": ("Nur in EXIF", "exif:ImageDescription", {"כלב"}),
    "png text": (BOAT, "png:Description", set()),
    "png iptc": ("Nur in IPTC", "iptc:Caption-Abstract", CATALAN),
    "png app1": (BOAT, "xmp:dc:description", {"море"}),
    "webp": (BOAT, "xmp:dc:description", BOTH),
    "avif": (BOAT, "xmp:dc:description", BOTH),
    "tiff": (BOAT, "xmp:dc:description", {"море"} | CATALAN),
    "gif": (BOAT, "xmp:dc:description", {"море"}),
    "jis": ("猫です", "exif:UserComment", set()),
    "none": (None, None, set()),
}


@pytest.mark.parametrize("name", FILES)
def test_the_child_reads_the_words_of_every_format(decoder, name):
    words = decoder.read_words(FILES[name]())
    caption = (None, None) if words.caption is None else (words.caption.text, words.caption.origin)
    assert (*caption, {one.text for one in words.keywords}) == EXPECTED[name]


def test_the_child_reads_sidecars(decoder):
    takeout = b'{"title": "a.jpg", "photoTakenTime": {}, "description": "Am Meer"}'
    assert decoder.read_words(XMP, SidecarKind.XMP).caption.text == BOAT
    assert decoder.read_words(takeout, SidecarKind.TAKEOUT).caption.text == "Am Meer"
    assert not decoder.read_words(takeout, SidecarKind.XMP)
    assert not decoder.read_words(XMP, SidecarKind.TAKEOUT)


@pytest.mark.parametrize("name", [name for name in FILES if name != "none"])
def test_damaged_files_have_fewer_words_and_no_errors(name):
    data = FILES[name]()
    picture_format = {"jis": "JPEG"}.get(name, name.split()[0].upper())
    chance = random.Random(name)
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        read_picture_words(bytes(damaged[: chance.randint(1, len(damaged))]), picture_format)
        read_picture_words(bytes(damaged), picture_format)
