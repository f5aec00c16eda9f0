"""PNGs with metadata of any size, and with damaged metadata, are read; only the picture itself matters."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from smallsight.errors import CorruptPictureError
from smallsight.media.png_chunks import without_needless_chunks

MIB = 1024 * 1024


def chunk(kind: bytes, data: bytes, *, is_intact: bool = True) -> bytes:
    checksum = zlib.crc32(kind + data) ^ (not is_intact)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def with_chunk(png: bytes, *chunks: bytes, before: bytes = b"IDAT") -> bytes:
    position = png.index(before) - 4
    return png[:position] + b"".join(chunks) + png[position:]


def big_profile(num_bytes: int) -> bytes:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile += bytes(num_bytes - len(profile))
    profile[:4] = struct.pack(">I", len(profile))
    return bytes(profile)


def text(zip_it: bool, kind: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    if kind == "itxt":
        info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>" + "h" * 2 * MIB, zip=zip_it)
    else:
        info.add_text("workflow", "node " * MIB, zip=zip_it)
    return info


@pytest.mark.parametrize("kind", ["itxt", "text"])
@pytest.mark.parametrize("zip_it", [True, False])
def test_texts_of_megabytes(decoder, encode, scene, kind, zip_it):
    data = encode(scene, "PNG", pnginfo=text(zip_it, kind))
    assert np.array_equal(decoder.decode(data, max_side_px=400).image_HWC, np.asarray(scene))


@pytest.mark.parametrize("num_bytes", [3 * MIB // 2, 3 * MIB, 20 * MIB])
@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_profiles_of_megabytes(decoder, encode, scene, name, num_bytes):
    options = {"lossless": True} if name == "WEBP" else {}
    data = encode(scene, name, icc_profile=big_profile(num_bytes), **options)
    assert np.array_equal(decoder.decode(data, max_side_px=400).image_HWC, np.asarray(scene))


def test_hundreds_of_texts(decoder, encode, scene):
    one = chunk(b"zTXt", b"history\0\0" + zlib.compress(bytes(MIB - 1)))
    data = with_chunk(encode(scene, "PNG"), *[one] * 100)
    assert decoder.decode(data).width_px == 400


@pytest.mark.parametrize(
    "damaged",
    [
        chunk(b"iCCP", b"name\0\0not zlib"),
        chunk(b"iCCP", b"name\0\1" + zlib.compress(b"x")),
        chunk(b"iCCP", b"a name that never ends"),
        chunk(b"iCCP", b""),
        chunk(b"zTXt", b"history\0\7x"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\1"),
        chunk(b"tEXt", b"Comment\0x", is_intact=False),
        chunk(b"eXIf", b"MM", is_intact=False),
        chunk(b"pHYs", b"x"),
        chunk(b"gAMA", b""),
        chunk(b"cHRM", b"123"),
        chunk(b"tIME", b""),
    ],
)
@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
def test_damaged_metadata_costs_only_itself(decoder, encode, scene, damaged, before):
    data = with_chunk(encode(scene, "PNG"), damaged, before=before)
    assert np.array_equal(decoder.decode(data, max_side_px=400).image_HWC, np.asarray(scene))


def test_damaged_pixels_are_damage(decoder, encode, scene):
    data = encode(scene, "PNG", pnginfo=text(True, "text"))
    with pytest.raises(CorruptPictureError):
        decoder.decode(data[: len(data) * 9 // 10], max_side_px=400)


def test_nothing_is_copied_when_nothing_is_needless(encode, scene):
    data = encode(scene, "PNG")
    assert without_needless_chunks(data) is data


def test_the_orientation_that_imagemagick_writes_is_kept(decoder, encode, scene):
    exif = Image.Exif()
    exif[0x0112] = 6
    raw = exif.tobytes()
    written = f"\nexif\n{len(raw):8}\n{raw.hex()}\n".encode()
    packed = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(written))
    decoded = decoder.decode(with_chunk(encode(scene, "PNG"), packed))
    assert (decoded.width_px, decoded.height_px) == (300, 400)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
def test_an_orientation_in_xmp_alone_turns_nothing_as_in_browsers(decoder, encode, scene, name):
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    if name == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        data = encode(scene, name, pnginfo=info)
    else:
        data = encode(scene, name, xmp=xmp.encode())
    assert b"Orientation" in data
    decoded = decoder.decode(data)
    assert (decoded.width_px, decoded.height_px) == (400, 300)
