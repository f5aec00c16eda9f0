"""The disposable child process: ``python -m smallsight.media.decode_child MEMORY_BYTES PARENT_PID``.

It locks itself down, reports that, then serves one decoding request after another until its input ends.
Standard output carries only the protocol in ``wire``; whatever native libraries print is discarded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO, TypeAlias

from PIL import Image, PpmImagePlugin  # noqa: F401 - importing the plugin registers it

from smallsight.errors import CorruptPictureError, PictureTooLargeError, UnsupportedFormatError
from smallsight.media.early_rows import EarlyRows
from smallsight.media.metadata.container_facts import read_container
from smallsight.media.metadata.reading import SidecarKind, read_picture_words, read_sidecar_words
from smallsight.media.picture_decoding import DecodeRequest, decode_picture, prepare_pillow
from smallsight.media.sandbox import allow_cpu_seconds, lock_down
from smallsight.media.sandbox_trial import try_forbidden_things
from smallsight.media.wire import (
    OUT_OF_MEMORY,
    VIDEO,
    error_as_reply,
    ppm_header,
    read_bytes,
    read_header,
    write_frame,
    write_header,
)

__all__ = ["main", "serve"]

_Part: TypeAlias = bytes | Image.Image  # RGB


def main(arguments: list[str]) -> int:
    """Lock down, then serve requests on standard input and output; return the exit code."""
    memory_bytes, parent_pid = int(arguments[0]), int(arguments[1])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    prepare_pillow()
    reasons = lock_down(memory_bytes, parent_pid)
    write_frame(replies, {"ready": True, "not_in_force": reasons})
    return serve(sys.stdin.buffer, replies, memory_bytes)


def serve(requests: BinaryIO, replies: BinaryIO, memory_bytes: int) -> int:
    """Serve requests until the input ends or memory runs out; return the exit code."""
    while True:
        try:
            header, num_bytes = read_header(requests)
        except EOFError:
            return 0
        if header.get("trial"):
            write_frame(replies, {"trial": try_forbidden_things(memory_bytes)})
            continue
        early = EarlyRows(replies)
        try:
            reply, parts = _answer(header, read_bytes(requests, num_bytes), early)
        except MemoryError:
            write_frame(replies, {"error": OUT_OF_MEMORY})
            return 1
        if early.are_sent and "error" not in reply:
            reply, parts = {"holds": True}, ()
        _write_reply(replies, reply, parts)
        del parts  # pixels, which would stay until the next picture


def _write_reply(replies: BinaryIO, reply: dict[str, Any], parts: Sequence[_Part]) -> None:
    """Write a reply; images go out as PPM, which Pillow writes without holding all of their bytes."""
    write_header(replies, reply, sum(map(_num_bytes, parts)))
    for part in parts:
        if isinstance(part, bytes):
            replies.write(part)
        else:
            part.save(replies, "PPM")
    replies.flush()


def _num_bytes(part: _Part) -> int:
    if isinstance(part, bytes):
        return len(part)
    return len(ppm_header(part.size)) + 3 * part.width * part.height


def _answer(
    header: dict[str, Any], data: bytes, early: EarlyRows
) -> tuple[dict[str, Any], tuple[_Part, ...]]:
    allow_cpu_seconds(header.pop("timeout_s"))
    if "words_of" in header:
        return {}, (_read_words(header["words_of"], data, header["now_s"]),)
    try:
        decoded = decode_picture(data, DecodeRequest(**header), early)
    except (CorruptPictureError, PictureTooLargeError, UnsupportedFormatError) as error:
        return error_as_reply(error), ()
    image = decoded.image
    parts = (
        decoded.hash_grey,
        image or b"",
        decoded.thumbnail_webp or b"",
        decoded.full_size or b"",
        *(page or b"" for page in decoded.pages),
    )
    reply = {
        "width_px": decoded.width_px,
        "height_px": decoded.height_px,
        "num_frames": decoded.num_frames,
        "whole_size": decoded.whole_size,
        "image_size": None if image is None else image.size,
        "colours": decoded.colours.hex(),
        "page_sizes": [None if page is None else page.size for page in decoded.pages],
        "part_bytes": [_num_bytes(part) for part in parts],
    }
    return reply, parts


def _read_words(kind: str, data: bytes, now_s: float) -> bytes:
    """Return the words of a sidecar of a kind, of a video, or of a picture of a format, as JSON."""
    if kind == VIDEO:
        return read_container(data, now_s).to_json().encode()
    if kind in list(SidecarKind):
        return read_sidecar_words(data, SidecarKind(kind), now_s).to_json().encode()
    return read_picture_words(data, kind, now_s).to_json().encode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
