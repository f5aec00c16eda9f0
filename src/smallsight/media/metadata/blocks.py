"""Finds the blocks of a picture file that hold metadata: EXIF, IPTC, XMP, and the texts of a PNG.

Reads lengths and offsets in bounded loops, and never fails on damaged files.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from PIL import Image

from smallsight.media.decoder_errors import DECODER_ERRORS
from smallsight.media.library_limits import lift_heif_limits
from smallsight.media.metadata.exif import IPTC_TAG, PHOTOSHOP_TAG, XMP_TAG, decode_unlabelled, tiff_values
from smallsight.media.metadata.iptc import iptc_of_photoshop
from smallsight.media.metadata.xmp import MAX_XMP_BYTES
from smallsight.media.png_chunks import png_chunks

__all__ = ["MetadataBlocks", "before_pixels", "find_blocks"]

_MAX_SEGMENTS = 10_000
_MAX_TEXTS = 16
_MAX_BLOCKS = 4  # of one kind
_EXIF_HEADER, _PHOTOSHOP_HEADER = b"Exif\0\0", b"Photoshop 3.0\0"
_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
_GIF_XMP, _GIF_XMP_END = b"!\xff\x0bXMP DataXMP", b"\x01\xff\xfe\xfd"
_PNG_XMP_KEYWORD = "XML:com.adobe.xmp"
_PNG_PROFILES = {
    "Raw profile type exif": "exif",
    "Raw profile type APP1": "app1",
    "Raw profile type iptc": "iptc",
    "Raw profile type xmp": "xmp",
}
_PNG_TEXTS = frozenset({"title", "description", "comment", "creation time"})
_TIME_BYTES = 7
_MAX_PNG_TEXT_BYTES = 128 * 1024


@dataclass(slots=True)
class MetadataBlocks:
    """The metadata blocks of one file.

    ``texts`` are the keywords and texts of a PNG, ``changed_at`` when its pixels changed, in UTC.
    """

    exif: list[bytes] = field(default_factory=list)
    iptc: list[bytes] = field(default_factory=list)
    xmp: list[bytes] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    changed_at: str | None = None


def find_blocks(data: bytes, picture_format: str) -> MetadataBlocks:
    """Return the metadata blocks of a picture of one of ``formats.READABLE_FORMATS``."""
    blocks = MetadataBlocks()
    match picture_format:
        case "JPEG":
            _find_in_jpeg(data, blocks)
        case "PNG":
            _find_in_png(data, blocks)
        case "WEBP":
            _find_in_webp(data, blocks)
        case "TIFF":
            _find_in_tiff(data, blocks)
        case "GIF":
            _find_in_gif(data, blocks)
        case "AVIF" | "HEIF":
            _find_with_pillow(data, picture_format, blocks)
    for some in (blocks.exif, blocks.iptc, blocks.xmp):
        del some[_MAX_BLOCKS:]
    return blocks


def before_pixels(data: bytes, picture_format: str) -> bytes:
    """Return the part of a JPEG that can hold metadata; any other file as it is."""
    if picture_format != "JPEG":
        return data
    return data[: max((end for _, _, end in _jpeg_segments(data)), default=2)]


def _find_in_jpeg(data: bytes, blocks: MetadataBlocks) -> None:
    photoshop: list[bytes] = []
    for marker, start, end in _jpeg_segments(data):
        if marker not in (0xE1, 0xED):
            continue
        content = data[start:end]
        if marker == 0xE1 and content.startswith(_EXIF_HEADER):
            blocks.exif.append(content)
        elif marker == 0xE1 and content.startswith(_XMP_HEADER):
            blocks.xmp.append(content.removeprefix(_XMP_HEADER))
        elif marker == 0xED and content.startswith(_PHOTOSHOP_HEADER):
            photoshop.append(content.removeprefix(_PHOTOSHOP_HEADER))
    blocks.iptc.append(iptc_of_photoshop(b"".join(photoshop)))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the markers of the segments before the pixels, and where their contents begin and end."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] in (0xDA, 0xD9):
            return
        if data[at + 1] == 0xFF:  # padding
            at += 1
            continue
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if size < 2 or at + 2 + size > len(data):
            return
        yield data[at + 1], at + 4, at + 2 + size
        at += 2 + size


def _find_in_png(data: bytes, blocks: MetadataBlocks) -> None:
    num_texts = 0
    for kind, content in png_chunks(data):
        if kind == b"eXIf":
            blocks.exif.append(bytes(content))
        elif kind == b"tIME" and len(content) == _TIME_BYTES:
            year, *rest = struct.unpack(">H5B", content)
            blocks.changed_at = "{:04}-{:02}-{:02} {:02}:{:02}:{:02}Z".format(year, *rest)
        elif kind in (b"tEXt", b"zTXt", b"iTXt") and _is_wanted(content):
            num_texts += 1
            if num_texts > _MAX_TEXTS:
                continue
            keyword, raw = _png_text(kind, bytes(content[: MAX_XMP_BYTES + 1024]))
            if keyword == _PNG_XMP_KEYWORD:
                blocks.xmp.append(raw)
            elif keyword in _PNG_PROFILES:
                _add_raw_profile(_PNG_PROFILES[keyword], raw, blocks)
            else:
                blocks.texts.append((keyword, decode_unlabelled(raw[:_MAX_PNG_TEXT_BYTES])))


def _is_wanted(content: memoryview) -> bool:
    keyword = bytes(content[:80]).partition(b"\0")[0].decode("latin-1")
    return keyword == _PNG_XMP_KEYWORD or keyword in _PNG_PROFILES or keyword.lower() in _PNG_TEXTS


def _png_text(kind: bytes, content: bytes) -> tuple[str, bytes]:
    """Return the keyword and the unpacked text of a chunk, empty where it is damaged or too long."""
    name, _, rest = content.partition(b"\0")
    keyword = name[:80].decode("latin-1")
    is_packed = kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        is_packed, rest = rest[:1] == b"\1", rest[2:]
        rest = rest.partition(b"\0")[2].partition(b"\0")[2]  # after the language and the translated keyword
    if is_packed:
        unpacking = zlib.decompressobj()
        try:
            rest = unpacking.decompress(rest, MAX_XMP_BYTES)
        except zlib.error:
            return keyword, b""
        if not unpacking.eof:
            return keyword, b""
    return keyword, rest


def _add_raw_profile(kind: str, raw: bytes, blocks: MetadataBlocks) -> None:
    """Add a block that ImageMagick or exiftool wrote as text: a name, a length and hexadecimal digits."""
    digits = b"".join(raw.strip().split(b"\n", 2)[2:])
    try:
        block = bytes.fromhex(digits.decode("ascii"))  # skips white space
    except ValueError:
        return
    if kind == "iptc":
        blocks.iptc.append(iptc_of_photoshop(block.removeprefix(_PHOTOSHOP_HEADER)) or block)
    elif block.startswith(_XMP_HEADER) or kind == "xmp":
        blocks.xmp.append(block.removeprefix(_XMP_HEADER))
    else:
        blocks.exif.append(block)


def _find_in_webp(data: bytes, blocks: MetadataBlocks) -> None:
    at = 12
    for _ in range(20 * _MAX_SEGMENTS):
        if at + 8 > len(data):
            return
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"EXIF":
            blocks.exif.append(data[at + 8 : at + 8 + size])
        elif name == b"XMP ":
            blocks.xmp.append(data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2


def _find_in_tiff(data: bytes, blocks: MetadataBlocks) -> None:
    values = tiff_values(data)
    blocks.exif.append(data)
    blocks.xmp.extend(values[tag] for tag in (XMP_TAG,) if tag in values)
    blocks.iptc.extend(values[tag] for tag in (IPTC_TAG,) if tag in values)
    blocks.iptc.append(iptc_of_photoshop(values.get(PHOTOSHOP_TAG, b"")))


def _find_in_gif(data: bytes, blocks: MetadataBlocks) -> None:
    start = data.find(_GIF_XMP)
    if start >= 0 and (end := data.find(_GIF_XMP_END, start)) >= 0:
        blocks.xmp.append(data[start + len(_GIF_XMP) : end])


def _find_with_pillow(data: bytes, picture_format: str, blocks: MetadataBlocks) -> None:
    if picture_format == "HEIF":
        lift_heif_limits()
    found: tuple[object, object] = None, None
    with warnings.catch_warnings(), suppress(*DECODER_ERRORS):
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=(picture_format,)) as opened:
            found = opened.info.get("exif"), opened.info.get("xmp")
    blocks.exif.extend(block for block in found[:1] if isinstance(block, bytes))
    blocks.xmp.extend(block for block in found[1:] if isinstance(block, bytes))
