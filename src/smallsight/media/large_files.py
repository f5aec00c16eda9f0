"""Videos that are too large to be read into memory: open files, which a decoding child reads itself."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from smallsight.errors import PictureTooLargeError
from smallsight.media.files import open_regular_file, read_open_file
from smallsight.media.video_formats import is_container
from smallsight.settings import MIB, Limits

__all__ = ["LargeFile", "read_and_hash", "read_or_open"]

_HEAD_BYTES = 4096
_BLOCK_BYTES = MIB


@dataclass(frozen=True, slots=True)
class LargeFile:
    """An open video and its first bytes; use it in ``with``. Not on Windows: children get no files there."""

    file: BinaryIO
    head: bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()


def read_or_open(path: Path, limits: Limits, *, inside: Path | None = None) -> bytes | LargeFile:
    """Return the content of a picture or video, or a large video as an open file.

    Raises PictureNotFoundError, and PictureTooLargeError, as ``read_picture_file``.
    """
    file = open_regular_file(path, inside=inside)
    try:
        size_bytes = os.fstat(file.fileno()).st_size
        if os.name == "posix" and limits.max_file_bytes < size_bytes <= limits.max_video_bytes:
            head = file.read(_HEAD_BYTES)
            if is_container(head):
                return LargeFile(file, head)
        data = read_open_file(file, path, limits)
    except BaseException:
        file.close()
        raise
    file.close()
    return data


def read_and_hash(
    path: Path, limits: Limits, should_stop: Callable[[], bool], *, inside: Path | None = None
) -> tuple[str | None, bytes | None]:
    """Return the SHA-256 of a file, None once ``should_stop`` returns True, and its bytes if they were read.

    Raises PictureNotFoundError, and PictureTooLargeError, as ``read_or_open``.
    """
    data = read_or_open(path, limits, inside=inside)
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest(), data
    with data:
        digest = hashlib.sha256(data.head)
        num_bytes = len(data.head)
        while block := data.file.read(_BLOCK_BYTES):
            digest.update(block)
            num_bytes += len(block)
            if num_bytes > limits.max_video_bytes:
                raise PictureTooLargeError(
                    f"File is too large: at least {num_bytes} bytes (limit {limits.max_video_bytes}): {path}",
                    hint="raise limits.max_video_bytes or make the file smaller.",
                )
            if should_stop():
                return None, None
    return digest.hexdigest(), None
