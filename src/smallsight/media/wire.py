"""The frames that parent and child exchange over pipes: two lengths, a JSON header, raw bytes."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

from smallsight.errors import PictureError

__all__ = [
    "COLOUR_SIDE",
    "HASH_GREY_SIDE_PX",
    "OUT_OF_MEMORY",
    "VIDEO",
    "error_as_reply",
    "ppm_header",
    "read_bytes",
    "read_header",
    "write_frame",
    "write_header",
]

COLOUR_SIDE = 4  # a picture is summed up in 4 x 4 colours
HASH_GREY_SIDE_PX = 64
OUT_OF_MEMORY = "out_of_memory"
VIDEO = "video"  # asks for what the container of a video says

_LENGTHS = struct.Struct(">IQ")
_MAX_HEADER_BYTES = 65_536
_MAX_DETAIL_CHARS = 300


def write_frame(stream: BinaryIO, header: dict[str, Any], *parts: bytes | memoryview) -> None:
    """Write one frame and flush it; raises OSError when the other side is gone.

    A memoryview has one dimension, of bytes.
    """
    write_header(stream, header, sum(map(len, parts)))
    stream.writelines(parts)
    stream.flush()


def write_header(stream: BinaryIO, header: dict[str, Any], num_bytes: int) -> None:
    """Write how a frame begins; the caller writes ``num_bytes`` and flushes."""
    encoded = json.dumps(header).encode()
    stream.write(_LENGTHS.pack(len(encoded), num_bytes) + encoded)


def ppm_header(size: tuple[int, int]) -> bytes:
    """Return what a PPM file of this width and height begins with; RGB pixels follow it."""
    return b"P6\n%d %d\n255\n" % size


def error_as_reply(error: PictureError) -> dict[str, Any]:
    """Return the header with which a child reports an error; ``detail`` is for the log."""
    cause = error.__cause__
    detail = None if cause is None else f"{type(cause).__name__}: {cause}"[:_MAX_DETAIL_CHARS]
    return {"error": error.code, "message": error.message, "hint": error.hint, "detail": detail}


def read_header(stream: BinaryIO) -> tuple[dict[str, Any], int]:
    """Return a frame's header and how many bytes follow it.

    Raises EOFError when the stream ends, and ValueError for anything but a JSON object of reasonable size.
    """
    header_bytes, num_bytes = _LENGTHS.unpack(read_bytes(stream, _LENGTHS.size))
    if header_bytes > _MAX_HEADER_BYTES:
        raise ValueError("the header is too long")
    try:
        header = json.loads(read_bytes(stream, header_bytes))
    except RecursionError as error:
        raise ValueError("the header is nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("the header is not an object")
    return header, num_bytes


def read_bytes(stream: BinaryIO, num_bytes: int) -> bytes:
    """Return exactly ``num_bytes``, or raise EOFError."""
    data = stream.read(num_bytes)
    if len(data) != num_bytes:
        raise EOFError("the stream ended inside a frame")
    return data
