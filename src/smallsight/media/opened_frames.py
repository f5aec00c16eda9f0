"""Walks over the frames or pages of an opened picture that are read, in the decoding child."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image

from smallsight.errors import PictureTooLargeError, UnsupportedFormatError
from smallsight.media.decoder_errors import DECODER_ERRORS
from smallsight.media.frame_choice import (
    MAX_FRAMES_LOOKED_AT,
    contrast,
    differs,
    miniature,
    shows_something,
)
from smallsight.media.reading_size import MAX_FRAMES_READ, MAX_PAGES, is_paged
from smallsight.media.tiff_tags import is_copy, repair_layout

__all__ = ["OpenedFrames"]

_MAX_SECONDS = 3.0  # for further frames: what takes longer is left out
_MIN_GAIN = 16  # of 255: less is the noise of compression


@dataclass(slots=True, eq=False)
class OpenedFrames:
    """An opened picture whose frames end before ``end``; the current one is loaded."""

    opened: Image.Image
    format: str
    end: int

    def show(self, to_rgb: Callable[[], Image.Image]) -> Image.Image:
        """Return the first frame that shows something, and leave it loaded.

        If none does, it is the one that shows the most. Pages are not moments: the first one stays.
        """
        first = to_rgb()
        if is_paged(self.format) or self.end < 2 or shows_something(first):
            return first
        shown, best = 0, first
        for index, rgb in self._following(1, 1, MAX_FRAMES_LOOKED_AT, to_rgb):
            if contrast(rgb) > contrast(best) + _MIN_GAIN:
                shown, best = index, rgb
            if shows_something(rgb):
                break
        if self.opened.tell() != shown:
            self.opened.seek(shown)
            self.opened.load()
        return best

    def pages(self, first: Image.Image, to_rgb: Callable[[], Image.Image]) -> Iterator[Image.Image]:
        """Yield further pages after the current one, ``first``, or frames that look different, in order."""
        shown = self.opened.tell() if self.end > 1 else 0
        if is_paged(self.format):
            yield from (rgb for _, rgb in self._following(shown + 1, 1, MAX_PAGES - 1, to_rgb))
            return
        end = min(self.end, shown + MAX_FRAMES_LOOKED_AT)
        step = max(1, (end - shown) // (2 * MAX_FRAMES_READ))
        seen = [miniature(first)]
        for _, rgb in self._following(shown + step, step, MAX_FRAMES_LOOKED_AT // step, to_rgb):
            if len(seen) == MAX_FRAMES_READ:
                return
            small = miniature(rgb)
            if all(differs(small, one) for one in seen):
                seen.append(small)
                yield rgb

    def _following(
        self, start: int, step: int, at_most: int, to_rgb: Callable[[], Image.Image]
    ) -> Iterator[tuple[int, Image.Image]]:
        """Yield frames; one that is damaged, too large or a copy of another is left out."""
        started_s = time.monotonic()
        for index in range(start, min(self.end, start + step * at_most), step):
            if time.monotonic() - started_s > _MAX_SECONDS:
                return
            try:
                self.opened.seek(index)
                if is_copy(self.opened):
                    continue
                repair_layout(self.opened)
                self.opened.load()
                yield index, to_rgb()
            except (*DECODER_ERRORS, PictureTooLargeError, UnsupportedFormatError):
                continue
