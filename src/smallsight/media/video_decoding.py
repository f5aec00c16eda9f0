"""Opens one video in the current process, checks it against limits, and decodes single frames.

Runs in the disposable child: nothing here guards against crashes, hangs or memory use. ``video_limits`` owns
the limits and the errors; ``animation_frames`` and ``container_frames`` own the two kinds of video.
"""

from __future__ import annotations

from typing import BinaryIO

from smallsight.media.video_formats import ANIMATIONS
from smallsight.media.video_limits import VideoRequest, VideoSource, reporting_damage

__all__ = ["open_video"]


def open_video(data: bytes | BinaryIO, request: VideoRequest) -> VideoSource:
    """Open ``data``, which must be of ``request.format``; only a container may be an open file.

    Raises PictureTooLargeError, CorruptPictureError or UnsupportedFormatError, and MemoryError.
    """
    if request.format in ANIMATIONS and isinstance(data, bytes):
        from smallsight.media.animation_frames import AnimationFrames  # noqa: PLC0415 - one kind is needed

        return reporting_damage(request.format, lambda: AnimationFrames(data, request))
    from smallsight.media.container_frames import open_container  # noqa: PLC0415 - optional package

    return reporting_damage(request.format, lambda: open_container(data, request))
