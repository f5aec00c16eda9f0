"""Reads untrusted videos: detects the format, decodes frame by frame in a child, validates its replies.

This process holds at most one frame at a time, besides those that the caller keeps.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from smallsight.errors import DecoderFailedError, PictureError
from smallsight.media.child_messages import error_in_reply
from smallsight.media.child_process import ChildEndedError, ChildProcess, ChildStop, ChildTimeoutError
from smallsight.media.large_files import LargeFile
from smallsight.media.video_formats import ANIMATIONS, sniff_video
from smallsight.media.video_limits import VideoFacts
from smallsight.media.wire import OUT_OF_MEMORY
from smallsight.settings import MIB, Limits

__all__ = ["VideoFacts", "VideoReader"]

_CHILD = "smallsight.media.video_child"
_TIME_BYTES = 8


class VideoReader:
    """One open video: ``facts``, then frames. Use it in ``with``; the child ends with the block.

    ``data`` are its bytes, or a large file that stays open meanwhile. Not thread-safe. Opening and reading
    raise only subclasses of PictureError. With ``stop`` another thread can cancel both.
    """

    def __init__(self, data: bytes | LargeFile, limits: Limits, *, stop: ChildStop | None = None) -> None:
        self._limits = limits
        opened = data.file.fileno() if isinstance(data, LargeFile) else None
        video_format = sniff_video(data.head if isinstance(data, LargeFile) else data)
        self._remaining_s = limits.video_timeout_s
        if stop is not None and stop.is_called:
            raise DecoderFailedError("Reading this video was cancelled.")
        self._child = ChildProcess(
            limits.decode_memory_bytes,
            module=_CHILD,
            stop=stop,
            must_be_restricted=limits.require_sandbox,
            passed=() if opened is None else (opened,),
        )
        self._max_frames = limits.max_frames if video_format in ANIMATIONS else limits.max_video_frames
        request = {
            "format": video_format,
            "max_side_px": limits.max_image_side_px,
            "max_pixels": limits.max_video_pixels,
            "max_frames": self._max_frames,
            "max_duration_s": limits.max_video_s,
            "descriptor": opened,
        }
        try:
            sent = b"" if isinstance(data, LargeFile) else data
            reply, times = self._ask(request, sent, max_reply_bytes=_TIME_BYTES * self._max_frames)
            self.facts = self._checked_facts(reply, times)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child without waiting for its current work."""
        self._child.kill()

    def frames(self, indices: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield frames as uint8 RGB [height, width, 3]; in ascending order no frame is decoded twice."""
        for pixels_HWC, _ in self.timed_frames(indices):
            yield pixels_HWC

    def timed_frames(self, indices: Sequence[int]) -> Iterator[tuple[npt.NDArray[np.uint8], float]]:
        """Yield frames, and when a player shows each, in seconds since the first."""
        for index in indices:
            if not 0 <= index < self.facts.num_frames:
                raise IndexError(f"frame {index} of {self.facts.num_frames}")
            reply, pixels = self._ask(
                {"index": index}, b"", max_reply_bytes=3 * self._limits.max_video_pixels
            )
            try:
                width_px, height_px = (int(side) for side in reply["image_size"])
                time_s = float(reply["time_s"])
                if min(width_px, height_px) < 1 or not 0 <= time_s < math.inf:
                    raise ValueError("no pixels, or a time out of bounds")
                pixels_HWC = np.frombuffer(pixels, np.uint8).reshape(height_px, width_px, 3)
            except (KeyError, TypeError, ValueError) as error:
                raise _invalid_reply() from error
            yield pixels_HWC, time_s

    def _ask(
        self, request: dict[str, Any], data: bytes, *, max_reply_bytes: int
    ) -> tuple[dict[str, Any], memoryview]:
        started_s = time.monotonic()
        try:
            if self._remaining_s <= 0:
                raise ChildTimeoutError("its deadline passed")
            reply, pixels = self._child.exchange(
                {**request, "timeout_s": self._remaining_s},
                data,
                self._remaining_s,
                max_reply_bytes=max_reply_bytes,
            )
        except ChildTimeoutError as error:
            raise DecoderFailedError(
                f"Decoding the video took too long (limit {self._limits.video_timeout_s:g} s).",
                hint="raise limits.video_timeout_s, or make the video shorter or smaller.",
            ) from error
        except ChildEndedError as error:
            raise DecoderFailedError(
                f"The decoder crashed on this video: {error}.",
                hint="the file is damaged or malicious; others are not affected.",
            ) from error
        finally:
            self._remaining_s -= time.monotonic() - started_s
        if "error" in reply:
            raise self._error_in_reply(reply)
        return reply, pixels

    def _error_in_reply(self, reply: dict[str, Any]) -> PictureError:
        if reply["error"] == OUT_OF_MEMORY:
            return DecoderFailedError(
                f"Decoding needs too much memory (limit {self._limits.decode_memory_bytes // MIB} MiB).",
                hint="raise limits.decode_memory_bytes or make the video smaller.",
            )
        return error_in_reply(reply)

    def _checked_facts(self, reply: dict[str, Any], times: memoryview) -> VideoFacts:
        """Return the video's properties from a reply; raises DecoderFailedError if they are invalid."""
        try:
            width_px, height_px, num_frames = (
                int(reply[name]) for name in ("width_px", "height_px", "num_frames")
            )
            fps, duration_s = float(reply["fps"]), float(reply["duration_s"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _invalid_reply() from error
        is_valid = (
            min(width_px, height_px, num_frames) > 0
            and width_px * height_px <= self._limits.max_video_pixels
            and num_frames <= self._max_frames
            and len(times) in (0, _TIME_BYTES * num_frames)
            and math.isfinite(fps)
            and fps > 0
            and 0 < duration_s <= self._limits.max_video_s
        )
        times_s = array("d", bytes(times) if is_valid else b"")
        if not is_valid or not all(one <= other for one, other in pairwise([0.0, *times_s, duration_s])):
            raise _invalid_reply()
        return VideoFacts(width_px, height_px, num_frames, fps, duration_s, times_s or None)


def _invalid_reply() -> DecoderFailedError:
    return DecoderFailedError("The video decoder returned an invalid reply.")
