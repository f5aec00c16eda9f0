"""Reads what the metadata of a picture file or a sidecar says; runs in the disposable child."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from smallsight.media.metadata.blocks import MetadataBlocks, find_blocks
from smallsight.media.metadata.exif import read_exif
from smallsight.media.metadata.fields import FieldRole, MetadataField
from smallsight.media.metadata.iptc import read_iptc
from smallsight.media.metadata.takeout import read_takeout
from smallsight.media.metadata.words import FileWords, choose_words
from smallsight.media.metadata.xmp import read_xmp

__all__ = ["SidecarKind", "read_picture_words", "read_sidecar_words"]

_PNG_ROLES = {
    "title": FieldRole.TITLE,
    "description": FieldRole.DESCRIPTION,
    "comment": FieldRole.COMMENT,
    "creation time": FieldRole.TAKEN,
}
_FAR_FUTURE_S = 1e11


class SidecarKind(StrEnum):
    """The kinds of files beside a picture that hold words about it."""

    XMP = "xmp"
    TAKEOUT = "takeout"


def read_picture_words(data: bytes, picture_format: str, latest_s: float = _FAR_FUTURE_S) -> FileWords:
    """Return the words in a picture's metadata: XMP goes before IPTC, EXIF and the texts of a PNG.

    Dates after ``latest_s`` are ignored. EXIF goes first for dates.
    """
    return choose_words(_fields(find_blocks(data, picture_format)), latest_s)


def read_sidecar_words(data: bytes, kind: SidecarKind, latest_s: float = _FAR_FUTURE_S) -> FileWords:
    """Return the words of a sidecar, none if its bytes are not of its kind."""
    return choose_words(read_xmp(data) if kind is SidecarKind.XMP else read_takeout(data), latest_s)


def _fields(blocks: MetadataBlocks) -> Iterator[MetadataField]:
    for block in blocks.xmp:
        yield from read_xmp(block)
    for block in blocks.iptc:
        yield from read_iptc(block)
    for block in blocks.exif:
        yield from read_exif(block)
    for keyword, text in blocks.texts:
        if (role := _PNG_ROLES.get(keyword.lower())) is not None:
            yield MetadataField(role, text, f"png:{keyword.capitalize()}")
    if blocks.changed_at is not None:
        yield MetadataField(FieldRole.CHANGED, blocks.changed_at, "png:tIME")
