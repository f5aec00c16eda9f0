"""Detects picture formats from the first bytes, without decoding and whatever the file name."""

from __future__ import annotations

import importlib.util
import re

from smallsight.errors import UnsupportedFormatError
from smallsight.media.raw_photos import raw_photo

__all__ = ["NEEDS_HEIF", "READABLE_FORMATS", "describe_bytes", "has_heif", "readable_format", "sniff_format"]

NEEDS_HEIF = "HEIC pictures need an optional package."
READABLE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")

_PICTURE_SIGNATURES = (
    ("JPEG", (b"\xff\xd8\xff",)),
    ("PNG", (b"\x89PNG\r\n\x1a\n",)),
    ("GIF", (b"GIF87a", b"GIF89a")),
    ("TIFF", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
)
_BMP_HEADER_SIZES = frozenset((12, 16, 40, 52, 56, 64, 108, 124))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_ISO_KINDS = dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), "sound (MPEG-4)") | {b"crx ": "a RAW photo (CR3)"}
_KNOWN_SIGNATURES = (
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP document"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"\0\0\2\0\0\0\0\0", "a Targa picture (TGA)"),
    (b"\0\0\x0a\0\0\0\0\0", "a Targa picture (TGA)"),
    (b"\0\0\2\0", "a cursor (CUR)"),
    (b"\x0a\5\1", "a PCX picture"),
    (b"icns", "an icon (ICNS)"),
    (b"FUJIFILMCCD-RAW", "a RAW photo (RAF)"),
    (b"IIRO", "a RAW photo (ORF)"),
    (b"IIU\0", "a RAW photo (RW2)"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"DDS ", "a DirectDraw texture"),
    (b"qoif", "a QOI picture"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"\0\0\1\xba", "a video (MPEG)"),
    (b"\0\0\1\xb3", "a video (MPEG)"),
    (b"FLV\1", "a video (Flash)"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a video (Windows Media)"),
    (b"OggS", "sound or video (Ogg)"),
    (b"ID3", "sound (MP3)"),
    (b"fLaC", "sound (FLAC)"),
    (b"PK\3\4", "a ZIP archive or office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a Windows program"),
)
_RIFF_KINDS = {b"AVI ": "a video (AVI)", b"WAVE": "sound (WAV)"}
_NETPBM = re.compile(rb"P[1-7][\s#]")
_SVG_TAG = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_HTML_TAG = re.compile(rb"<(!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_HEAD_BYTES = 4096


def has_heif() -> bool:
    """Return whether the ``heif`` extra is installed, without importing it."""
    return importlib.util.find_spec("pillow_heif") is not None


def sniff_format(data: bytes) -> str:
    """Return the format that the first bytes indicate, one of READABLE_FORMATS.

    Raises UnsupportedFormatError for anything else, with a guess at what the bytes are.
    """
    found = readable_format(data)
    if found == "TIFF" and (raw := raw_photo(data)) is not None:
        raise UnsupportedFormatError(
            f"Unsupported picture format: it looks like {raw}.", hint="export it as JPEG or PNG."
        )
    if found is not None:
        return found
    raise UnsupportedFormatError(
        f"Unsupported picture format: {describe_bytes(data)}.",
        hint="use JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC.",
    )


def readable_format(data: bytes) -> str | None:
    """Return the format that the first bytes indicate, one of READABLE_FORMATS, or None."""
    for name, signatures in _PICTURE_SIGNATURES:
        if data.startswith(signatures):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADER_SIZES:
        return "BMP"
    if data[4:8] == b"ftyp":
        brands = _brands(data)
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIF"
    return None


def _brands(data: bytes) -> frozenset[bytes]:
    """Return the major and compatible brands of an ISO base media file."""
    end = min(int.from_bytes(data[:4], "big"), 256, len(data))
    compatible = (data[start : start + 4] for start in range(16, end - 3, 4))
    return frozenset((data[8:12], *compatible))


def describe_bytes(data: bytes) -> str:
    """Return a clause that says what bytes other than a readable picture look like."""
    head = data[:_HEAD_BYTES]
    if not head:
        return "the file is empty"
    for signature, description in _KNOWN_SIGNATURES:
        if head.startswith(signature):
            return f"it looks like {description}"
    if head[4:8] == b"ftyp":
        return f"it looks like {_ISO_KINDS.get(head[8:12], 'a video (MPEG-4 or QuickTime)')}"
    if head[:4] == b"RIFF" and head[8:12] in _RIFF_KINDS:
        return f"it looks like {_RIFF_KINDS[head[8:12]]}"
    if _NETPBM.match(head):
        return "it looks like a Netpbm picture (PPM, PGM, PBM)"
    if _SVG_TAG.search(head):
        return "it looks like an SVG drawing"
    if _HTML_TAG.search(head):
        return "it looks like a web page (HTML)"
    if _is_text(head):
        return "it looks like a text file"
    return "its first bytes match no known format"


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character cut off by _HEAD_BYTES is not an error
            return False
        text = head[: error.start].decode()
    return all(character.isprintable() or character in "\t\r\n\f\ufeff" for character in text)
