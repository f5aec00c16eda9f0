"""Reads the text in images, in a child process that starts on first use."""

from __future__ import annotations

import json
from importlib import metadata
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

import numpy as np

from smallsight.errors import DecoderFailedError, MissingExtraError
from smallsight.machine.background import lower_priority
from smallsight.media.child_process import ChildEndedError, ChildProcess, ChildTimeoutError
from smallsight.reading.reading_loop import WITHOUT_EXTENSION
from smallsight.reading.text_line import TextLine
from smallsight.settings import MIB, Settings

_CHILD = "smallsight.reading.picture_reader_child"
_VERSION = "maps1"  # of what is done with the networks; change it whenever results may change
_TIMEOUT_S = 60.0
_PIXELS_IN_TIME = 4_000_000
_MAX_CHILD_RSS_BYTES = 440 * MIB  # usual pictures take it to 300 or so, in time; a large one to more
_MAX_REPLY_BYTES = 16 * MIB
_MAX_TRIES = 2


def is_reading_available() -> bool:
    """Return whether the ``ocr`` extra is installed, without loading it."""
    return find_spec("rapidocr") is not None


class TextReader:
    """Reads one image at a time; not thread-safe. The child is replaced when it fails or grows too large."""

    def __init__(self, settings: Settings, *, in_background: bool = False) -> None:
        """With ``in_background`` other processes go before the child."""
        if not is_reading_available():
            raise MissingExtraError(
                "Reading text in pictures needs an optional package.", hint="pip install 'smallsight[ocr]'."
            )
        self._threads = settings.threads
        self._more_arguments = () if settings.kernels else (WITHOUT_EXTENSION,)
        self._in_background = in_background
        self._child: ChildProcess | None = None
        networks = metadata.version("rapidocr")  # the package that carries them
        self.key = f"smallsight-{networks}-{_VERSION}-{settings.index.ocr_max_side_px}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child, which frees its memory; a later ``read`` starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def read(self, image_HWC: np.ndarray) -> list[TextLine]:
        """Return the lines of a uint8 RGB image in reading order.

        Raises DecoderFailedError for an image on which the child dies twice or takes more than a minute; for
        a large one, a minute for each four million pixels.
        """
        height_px, width_px = image_HWC.shape[:2]
        request = {"height_px": height_px, "width_px": width_px}
        pixels = np.ascontiguousarray(image_HWC).reshape(-1).data
        timeout_s = _TIMEOUT_S * max(1.0, height_px * width_px / _PIXELS_IN_TIME)
        for attempt in range(1, _MAX_TRIES + 1):
            try:
                _, reply = self._ready_child().exchange(
                    request, pixels, timeout_s, max_reply_bytes=_MAX_REPLY_BYTES
                )
                return [_line(found) for found in json.loads(bytes(reply))]
            except ChildTimeoutError as error:
                raise DecoderFailedError(
                    f"Reading the text took too long (limit {timeout_s:g} s)."
                ) from error
            except ChildEndedError as error:
                if attempt == _MAX_TRIES:
                    raise DecoderFailedError(f"The text reader died on this picture: {error}.") from error
        raise AssertionError("every try returns or raises")

    def _ready_child(self) -> ChildProcess:
        child = self._child
        if child is not None and (not child.is_alive() or child.rss_bytes() > _MAX_CHILD_RSS_BYTES):
            self.close()
            child = None
        if child is None:
            child = self._child = ChildProcess(
                self._threads, module=_CHILD, more_arguments=self._more_arguments
            )
            if self._in_background:
                lower_priority(child.pid)
        return child


def _line(found: dict[str, Any]) -> TextLine:
    corners = tuple((float(x), float(y)) for x, y in found["box"])
    return TextLine(str(found["text"]), float(found["confidence"]), corners)
