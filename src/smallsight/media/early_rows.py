"""Sends the rows of a large JPEG while later ones are decoded, in the decoding child.

Packing and writing them takes an eighth of decoding. Pillow reads a file block by block, and between two
blocks its image shows how far it is: a new image is black, and a JPEG is decoded from the top, so that all
rows above one with a colour are complete.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import BinaryIO

from PIL import Image, ImageFile, JpegImagePlugin

from smallsight.media.colour_profile import changes_colours
from smallsight.media.pixels import orientation_of
from smallsight.media.wire import ppm_header, write_header

__all__ = ["EarlyRows", "RowsNotSentError", "is_shown_as_decoded"]

_MIN_PIXELS = 1_500_000  # below, a thread costs what it saves
_ROWS_AT_ONCE = 64
_ZEROS = bytes(65_536)


def is_shown_as_decoded(opened: Image.Image) -> bool:
    """Return whether the decoded pixels of a picture are those that it shows, and are worth sending early."""
    return (
        type(opened) is JpegImagePlugin.JpegImageFile
        and opened.mode == "RGB"
        and len(opened.tile) == 1
        and opened.width * opened.height >= _MIN_PIXELS
        and "transparency" not in opened.info
        and orientation_of(opened) == 1
        and not changes_colours(opened.info.get("icc_profile"), "RGB")
    )


class RowsNotSentError(Exception):
    """Rows cannot be written, so that no reply can follow. Ends the child."""


class EarlyRows:
    """One reply whose pixels may leave before it is known that they can all be decoded.

    If they do, another frame has to follow: ``{"holds": true}`` if they ``are_sent``, or else another reply.
    """

    def __init__(self, replies: BinaryIO) -> None:
        self._replies = replies
        self.are_sent = False

    @contextmanager
    def sent(self, opened: JpegImagePlugin.JpegImageFile, data: bytes) -> Iterator[None]:
        """Send a picture of these bytes while the block decodes it; after an error, zeros instead of rows."""
        try:
            sender = _Sender(self._replies, *opened.size)
        except RuntimeError:  # the system has no room for another thread
            yield
            return
        header = ppm_header(opened.size)
        part_bytes = [0, len(header) + 3 * opened.width * opened.height, 0, 0]
        write_header(self._replies, _reply(opened.size, part_bytes), sum(part_bytes))
        self._replies.write(header)
        opened.fp = _WatchedBytes(data, lambda: sender.look_at(opened))
        try:
            yield
            sender.send_all(opened)
            self.are_sent = True
        finally:
            sender.close()


def _reply(size: tuple[int, int], part_bytes: list[int]) -> dict[str, object]:
    return {
        "width_px": size[0],
        "height_px": size[1],
        "num_frames": 1,
        "whole_size": size,
        "image_size": size,
        "colours": "",
        "page_sizes": [],
        "part_bytes": part_bytes,
        "is_early": True,
    }


class _WatchedBytes(io.BytesIO):
    """The bytes of a file that is decoded, which tells when more of them are read."""

    def __init__(self, data: bytes, on_read: Callable[[], None]) -> None:
        super().__init__(data)
        self._on_read = on_read

    def read(self, size: int | None = -1, /) -> bytes:
        self._on_read()
        return super().read(size)


class _Sender:
    """A thread that writes complete rows. Pillow lets other threads run while it decodes and writes."""

    def __init__(self, replies: BinaryIO, width: int, height: int) -> None:
        self._replies = replies
        self._width, self._height = width, height
        self._shown = Image.new("RGB", (1, 1))  # becomes the image that is being decoded
        self._num_complete = self._num_sent = 0
        self._ends: SimpleQueue[int] = SimpleQueue()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._send, name="smallsight-rows", daemon=True)
        self._thread.start()

    def look_at(self, opened: Image.Image) -> None:
        """Pass on rows of an image that have been completed since the last call."""
        self._shown.im = opened.im
        end = self._num_complete
        while end + 2 * _ROWS_AT_ONCE <= self._height and self._has_colour(end + _ROWS_AT_ONCE):
            end += _ROWS_AT_ONCE
        if end > self._num_complete:
            self._num_complete = end
            self._ends.put(end)

    def send_all(self, opened: Image.Image) -> None:
        """Send what is left of an image that is complete, and wait for it."""
        self._shown.im = opened.im
        self._ends.put(self._height)
        self._thread.join()

    def close(self) -> None:
        """End the thread; rows that were not sent are zeros."""
        self._ends.put(0)
        self._thread.join()
        if self._error is not None:
            raise RowsNotSentError("the parent cannot be told anything more") from self._error
        num_missing = 3 * self._width * (self._height - self._num_sent)
        for begin in range(0, num_missing, len(_ZEROS)):
            self._replies.write(_ZEROS[: num_missing - begin])
        self._replies.flush()

    def _has_colour(self, row: int) -> bool:
        return self._shown.crop((0, row, self._width, row + 1)).getbbox() is not None

    def _send(self) -> None:
        try:
            while self._num_sent < self._height and (end := self._ends.get()):
                tile = ImageFile._Tile("raw", (0, self._num_sent, self._width, end), 0, ("RGB", 0, 1))  # noqa: SLF001 - for plugins
                ImageFile._save(self._shown, self._replies, [tile], 4 * self._width)  # noqa: SLF001 - for plugins
                self._num_sent = end
        except Exception as error:  # noqa: BLE001 - for the thread that waits
            self._error = error
