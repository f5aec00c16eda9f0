"""Decides what kind of picture a content is, or a video, from its format, frames and camera."""

from __future__ import annotations

from enum import StrEnum

from smallsight.media.video_formats import CONTAINERS

__all__ = ["Kind", "kind_of"]

_MOVING = frozenset(("GIF", "PNG", "WEBP", "AVIF"))


class Kind(StrEnum):
    """The kinds of pictures."""

    PHOTO = "photo"  # a camera made it
    ANIMATION = "animation"
    VIDEO = "video"
    DOCUMENT = "document"  # several pages
    PICTURE = "picture"


def kind_of(picture_format: str | None, num_frames: int | None, *, has_camera: bool) -> Kind:
    """Return the kind; scanners name themselves in TIFFs, and cameras write bursts as pages of a HEIC."""
    if picture_format in CONTAINERS:
        return Kind.VIDEO
    is_one = (num_frames or 1) == 1
    if not is_one and picture_format == "TIFF":
        return Kind.DOCUMENT
    if not is_one and picture_format in _MOVING:
        return Kind.ANIMATION
    if has_camera:
        return Kind.PHOTO
    return Kind.DOCUMENT if not is_one and picture_format == "HEIF" else Kind.PICTURE
