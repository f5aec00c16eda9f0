"""Copies a PNG without the chunks that decoding its pixels does not need.

Text, edit histories and the workflows of image generators have no size limit, and Pillow rejects a PNG with a
text chunk of more than 1 MiB once decompressed. A colour profile is kept up to a bound. Damaged metadata is
dropped; everything from the first damaged length on is kept, for the decoder to report.
"""

from __future__ import annotations

import zlib
from collections.abc import Container, Iterator

__all__ = ["MAX_PROFILE_BYTES", "png_chunks", "without_needless_chunks"]

MAX_PROFILE_BYTES = 4 * 1024 * 1024  # profiles of printers take 1 to 3 MiB

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DECODED = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT"))
_MAX_EXIF_BYTES = 1024 * 1024
_MAX_RAW_EXIF_BYTES = 256 * 1024
_RAW_EXIF_KEYWORD = b"Raw profile type exif"  # written by ImageMagick before PNG had a chunk for EXIF


def without_needless_chunks(data: bytes) -> bytes:
    """Return the PNG without metadata, except EXIF and a colour profile of at most MAX_PROFILE_BYTES."""
    view = memoryview(data)
    kept: list[memoryview] = [view[: len(_SIGNATURE)]]
    position = kept_from = len(_SIGNATURE)
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(view[position : position + 4], "big")
        if end > len(data):
            break
        if not _is_kept(view[position:end]):
            kept.append(view[kept_from:position])
            kept_from = end
        position = end
    if kept_from == len(_SIGNATURE):
        return data
    return b"".join([*kept, view[kept_from:]])


def png_chunks(data: bytes, intact: Container[bytes] = ()) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the names and contents of the chunks of a PNG, up to a damaged length.

    Damaged ones of the names in ``intact`` are left out.
    """
    view = memoryview(data)
    position = len(_SIGNATURE)
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(view[position : position + 4], "big")
        if end > len(data):
            return
        kind = bytes(view[position + 4 : position + 8])
        if kind not in intact or _is_intact(view[position:end]):
            yield kind, view[position + 8 : end - 4]
        position = end


def _is_kept(chunk: memoryview) -> bool:
    kind = bytes(chunk[4:8])
    if kind in _DECODED or not kind[:1].islower():  # an unknown critical chunk is for the decoder to judge
        return True
    match kind:
        case b"eXIf":
            return len(chunk) <= _MAX_EXIF_BYTES and _is_intact(chunk)
        case b"iCCP":
            return _is_bounded(chunk, MAX_PROFILE_BYTES)
        case b"zTXt":
            return _is_raw_exif(chunk) and _is_bounded(chunk, _MAX_RAW_EXIF_BYTES)
        case b"tEXt":
            return _is_raw_exif(chunk) and len(chunk) <= _MAX_RAW_EXIF_BYTES and _is_intact(chunk)
    return False


def _is_raw_exif(chunk: memoryview) -> bool:
    return bytes(chunk[8 : 8 + len(_RAW_EXIF_KEYWORD)]) == _RAW_EXIF_KEYWORD


def _is_intact(chunk: memoryview) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _is_bounded(chunk: memoryview, max_bytes: int) -> bool:
    """Return whether what follows the chunk's name unpacks, to at most ``max_bytes``."""
    name_end = bytes(chunk[8:88]).find(b"\0")
    if name_end < 0 or len(chunk) < name_end + 14 or chunk[8 + name_end + 1] != 0 or not _is_intact(chunk):
        return False
    unpacking = zlib.decompressobj()
    try:
        num_bytes = len(unpacking.decompress(chunk[8 + name_end + 2 : -4], max_bytes + 1))
    except zlib.error:
        return False
    return num_bytes <= max_bytes and unpacking.eof
