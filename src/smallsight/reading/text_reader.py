"""Reads the text in images, a few at the same time, in a child process that starts on first use."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

import numpy as np

from smallsight.errors import DecoderFailedError, DecoderNotStartedError, MissingExtraError
from smallsight.machine.background import lower_priority
from smallsight.machine.cores import usable_cores
from smallsight.media.child_process import ChildEndedError, ChildProcess, ChildTimeoutError
from smallsight.reading.reading_child import ReadingChild
from smallsight.reading.reading_loop import WITHOUT_EXTENSION
from smallsight.reading.reading_turns import PICTURES_AT_ONCE, ReadingTurn, ReadingTurns
from smallsight.reading.text_line import TextLine
from smallsight.settings import MIB, Settings

_CHILD = "smallsight.reading.picture_reader_child"
_VERSION = "maps1"  # of what is done with the networks; change it whenever results may change
_TIMEOUT_S = 60.0
_PIXELS_IN_TIME = 4_000_000
_MAX_CHILD_RSS_BYTES = 440 * MIB  # usual pictures take it to 300 or so, in time; a large one to more
_PIXELS_AT_ONCE = 6_000_000  # two screenshots of a telephone
_MAX_TRIES = 2


def is_reading_available() -> bool:
    """Return whether the ``ocr`` extra is installed, without loading it."""
    return find_spec("rapidocr") is not None


class TextReader:
    """Reads a few images at the same time in one child, which is replaced when it fails or grows too large.

    Thread-safe. A result does not depend on what else is read.
    """

    def __init__(self, settings: Settings, *, in_background: bool = False) -> None:
        """With ``in_background`` other processes go before the child."""
        if not is_reading_available():
            raise MissingExtraError(
                "Reading text in pictures needs an optional package.", hint="pip install 'smallsight[ocr]'."
            )
        self._threads = settings.threads
        num_lanes = min(PICTURES_AT_ONCE, settings.threads or usable_cores())
        self.num_at_once = num_lanes + 1 if num_lanes > 1 else 1  # the last one waits in the child
        more = () if settings.kernels else (WITHOUT_EXTENSION,)
        self._more_arguments = (str(num_lanes), *more)
        self._in_background = in_background
        self._turns = ReadingTurns(self.num_at_once, _PIXELS_AT_ONCE)
        self._child: ReadingChild | None = None
        self._changing = threading.Lock()
        self._num_closed = 0
        networks = metadata.version("rapidocr")  # the package that carries them
        self.key = f"smallsight-{networks}-{_VERSION}-{settings.index.ocr_max_side_px}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child, which frees its memory; a later ``read`` starts another, one in progress fails."""
        with self._changing:
            self._num_closed += 1
            self._end_child()

    def start(self) -> None:
        """Begin to start the child, in the background, so that it is ready for the first image."""
        num_closed = self._num_closed

        def start() -> None:
            with self._changing, suppress(DecoderFailedError, DecoderNotStartedError, OSError, RuntimeError):
                if self._child is None and self._num_closed == num_closed:
                    self._child = self._new_child()

        with suppress(
            RuntimeError
        ):  # the system refused a thread; ``read`` tries again, and says what is wrong
            threading.Thread(target=start, name="smallsight-reading-start", daemon=True).start()

    def read(self, image_HWC: np.ndarray) -> list[TextLine]:
        """Return the lines of a uint8 RGB image in reading order.

        Raises DecoderFailedError for an image on which the child dies twice, or takes more than a minute; for
        a large one, a minute for each four million pixels. What happens beside another image proves nothing:
        the second try is alone in the child.
        """
        height_px, width_px = image_HWC.shape[:2]
        request = {"height_px": height_px, "width_px": width_px}
        pixels = np.ascontiguousarray(image_HWC).reshape(-1).data
        num_pixels = height_px * width_px
        timeout_s = _TIMEOUT_S * max(1.0, num_pixels / _PIXELS_IN_TIME)
        num_closed = self._num_closed
        for attempt in range(1, _MAX_TRIES + 1):
            with self._turns.turn(num_pixels, is_alone=attempt > 1 or self._has_grown()) as turn:
                try:
                    reply = self._ready_child(turn, num_closed).ask(request, pixels, timeout_s)
                    return [_line(found) for found in json.loads(bytes(reply))]
                except ChildEndedError as error:
                    if self._num_closed != num_closed:
                        raise DecoderFailedError("The text reader was closed.") from error
                    if isinstance(error, ChildTimeoutError) and not turn.was_shared:
                        raise DecoderFailedError(
                            f"Reading the text took too long (limit {timeout_s:g} s)."
                        ) from error
                    if attempt == _MAX_TRIES:
                        raise DecoderFailedError(f"The text reader died on this picture: {error}.") from error
        raise AssertionError("every try returns or raises")

    def _has_grown(self) -> bool:
        child = self._child
        return child is not None and child.rss_bytes() > _MAX_CHILD_RSS_BYTES

    def _ready_child(self, turn: ReadingTurn, num_closed: int) -> ReadingChild:
        with self._changing:
            if self._num_closed != num_closed:  # while it waited for its turn
                raise ChildEndedError("it was closed")
            child = self._child
            if child is not None and (not child.is_alive() or (turn.is_alone and self._has_grown())):
                self._end_child()
                child = None
            if child is None:
                child = self._child = self._new_child()
            return child

    def _new_child(self) -> ReadingChild:
        child = ReadingChild(
            lambda: ChildProcess(self._threads, module=_CHILD, more_arguments=self._more_arguments)
        )
        if self._in_background:
            lower_priority(child.pid)
        return child

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()


def _line(found: dict[str, Any]) -> TextLine:
    corners = tuple((float(x), float(y)) for x, y in found["box"])
    return TextLine(str(found["text"]), float(found["confidence"]), corners)
