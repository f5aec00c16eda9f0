"""Composes the frames of a GIF as browsers do, each decoded by Pillow alone.

Pillow fills what a frame leaves uncovered or has removed with the background colour or with the first colour
of the palette; in browsers it is transparent.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from smallsight.media.container_scan import GifFrame, gif_canvas_px, gif_frames

__all__ = ["GifCanvas"]

_CLEAR, _RESTORE = (2,), (3, 4)  # ways of removing a frame; old programs write 4 for 3
_NOTHING = (0, 0, 0, 0)
_TABLE_FLAG = 0x80


class GifCanvas(Image.Image):
    """An opened GIF: RGBA, with the methods of Pillow's multi-frame images."""

    def __init__(self, data: bytes, max_frames: int, max_pixels: int) -> None:
        """Compose the first frame. Frames of more than ``max_pixels`` are damaged."""
        super().__init__()
        self.format = "GIF"
        self._data = data
        self._frames = list(gif_frames(data, max_frames))
        self._max_pixels = max_pixels
        self._size = gif_canvas_px(data)
        self._mode = "RGBA"
        self._restart()
        self.seek(0)

    @property
    def n_frames(self) -> int:
        """The number of frames, at most one more than ``max_frames``."""
        return len(self._frames)

    def tell(self) -> int:
        """Return the number of the current frame."""
        return self._shown

    def seek(self, frame: int) -> None:
        """Compose a frame; raises EOFError if there is none, and Pillow's errors for a damaged one."""
        if not 0 <= frame < len(self._frames):
            raise EOFError(f"frame {frame} of {len(self._frames)}")
        if frame < self._shown:
            self._restart()
        while self._shown < frame:
            self._compose(self._shown + 1)

    def _restart(self) -> None:
        self._canvas = Image.new("RGBA", self._size, _NOTHING)
        self._kept: _Kept | None = None
        self._shown = -1
        self.im = self._canvas.im

    def _compose(self, index: int) -> None:
        frame = self._frames[index]
        pixels = self._pixels(frame)
        if self._kept is not None:
            self._canvas.paste(self._kept.pixels, self._kept.place)
        place = frame.left, frame.top, *self._end(frame)
        kept = None
        if frame.disposal in _RESTORE:
            kept = _Kept(self._canvas.crop(place), place)
        elif frame.disposal in _CLEAR:
            kept = _Kept(Image.new("RGBA", (place[2] - place[0], place[3] - place[1]), _NOTHING), place)
        self._canvas.paste(pixels, place[:2], mask=pixels.getchannel("A"))
        self._kept, self._shown = kept, index
        self.im = self._canvas.im

    def _end(self, frame: GifFrame) -> tuple[int, int]:
        right, bottom = frame.left + frame.width, frame.top + frame.height
        return max(frame.left, min(right, self._size[0])), max(frame.top, min(bottom, self._size[1]))

    def _pixels(self, frame: GifFrame) -> Image.Image:
        """Decode a frame from a copy of the file that holds nothing else."""
        if frame.width * frame.height > self._max_pixels:
            raise ValueError("a frame is larger than the picture may be")
        data, size = self._data, frame.width.to_bytes(2, "little") + frame.height.to_bytes(2, "little")
        tables_end = 13 + (3 << (data[10] & 7) + 1 if data[10] & _TABLE_FLAG else 0)
        control = b"" if frame.control_at is None else data[frame.control_at : frame.control_at + 8]
        alone = b"".join(
            (
                b"GIF89a",
                size,
                data[10:tables_end],
                control,
                b",\0\0\0\0",
                size,
                data[frame.start + 9 : frame.end],
                b";",
            )
        )
        with Image.open(io.BytesIO(alone), formats=("GIF",)) as opened:
            return opened.convert("RGBA")


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """What lies where a frame was, once it is removed."""

    pixels: Image.Image
    place: tuple[int, int, int, int]
