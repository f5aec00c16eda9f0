"""The disposable child for one video: ``python -m smallsight.media.video_child MEMORY_BYTES PARENT_PID``.

It locks itself down like the child for pictures, opens the one video it receives, and returns requested
frames until its input ends.
"""

from __future__ import annotations

import contextlib
import os
import sys
from array import array
from dataclasses import asdict
from typing import Any, BinaryIO

from smallsight.errors import CorruptPictureError, PictureTooLargeError, UnsupportedFormatError
from smallsight.media.picture_decoding import prepare_pillow
from smallsight.media.sandbox import allow_cpu_seconds, lock_down
from smallsight.media.video_decoding import open_video
from smallsight.media.video_formats import has_video
from smallsight.media.video_limits import VideoRequest, VideoSource
from smallsight.media.wire import OUT_OF_MEMORY, error_as_reply, read_bytes, read_header, write_frame

__all__ = ["main", "serve"]


def main(arguments: list[str]) -> int:
    """Lock down, then serve requests on standard input and output; return the exit code."""
    memory_bytes, parent_pid = int(arguments[0]), int(arguments[1])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    prepare_pillow()
    if has_video():
        with contextlib.suppress(ImportError):  # a broken extra must not affect animations
            import av  # noqa: PLC0415 - optional package

            av.logging.set_level(None)
    reasons = lock_down(memory_bytes, parent_pid)
    write_frame(replies, {"ready": True, "not_in_force": reasons})
    return serve(sys.stdin.buffer, replies)


def serve(requests: BinaryIO, replies: BinaryIO) -> int:
    """Serve requests until the input ends or memory runs out; return the exit code."""
    source: VideoSource | None = None
    while True:
        try:
            header, num_bytes = read_header(requests)
        except EOFError:
            return 0
        try:
            data = read_bytes(requests, num_bytes)
            allow_cpu_seconds(header.pop("timeout_s"))
            reply, pixels, source = _answer(header, data, source)
        except MemoryError:
            write_frame(replies, {"error": OUT_OF_MEMORY})
            return 1
        except (CorruptPictureError, PictureTooLargeError, UnsupportedFormatError) as error:
            reply, pixels = error_as_reply(error), b""
        write_frame(replies, reply, pixels)


def _answer(
    header: dict[str, Any], data: bytes, source: VideoSource | None
) -> tuple[dict[str, Any], bytes, VideoSource]:
    """Open the video, or return a frame of the one that is open."""
    if source is None:
        descriptor = header.pop("descriptor")
        file = data if descriptor is None else os.fdopen(descriptor, "rb")
        if not isinstance(file, bytes):
            file.seek(0)  # the parent has read its first bytes
        source = open_video(file, VideoRequest(**header))
        facts = asdict(source.facts)
        times_s = array("d", facts.pop("times_s") or ())
        return facts, times_s.tobytes(), source
    image = source.frame(header["index"])
    reply = {"image_size": image.size, "time_s": source.time_s(header["index"])}
    return reply, image.tobytes(), source


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
