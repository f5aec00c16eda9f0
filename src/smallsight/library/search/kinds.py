"""Decides what kind of picture a content is, from its format, its frames and whether a camera is known."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Kind", "kind_of"]

_MOVING = frozenset(("GIF", "PNG", "WEBP", "AVIF"))


class Kind(StrEnum):
    """The kinds of pictures."""

    PHOTO = "photo"  # a camera made it
    ANIMATION = "animation"
    DOCUMENT = "document"  # several pages
    PICTURE = "picture"


def kind_of(picture_format: str | None, num_frames: int | None, *, has_camera: bool) -> Kind:
    """Return the kind; scanners name themselves in TIFFs, and cameras write bursts as pages of a HEIC."""
    is_one = (num_frames or 1) == 1
    if not is_one and picture_format == "TIFF":
        return Kind.DOCUMENT
    if not is_one and picture_format in _MOVING:
        return Kind.ANIMATION
    if has_camera:
        return Kind.PHOTO
    return Kind.DOCUMENT if not is_one and picture_format == "HEIF" else Kind.PICTURE
