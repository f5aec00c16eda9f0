"""Reads the layers of a GIF, from which ``frame_canvas`` composes its frames.

Pillow fills what a frame leaves uncovered or has removed with the background colour or with the first colour
of the palette; in browsers it is transparent.
"""

from __future__ import annotations

import io

from PIL import Image

from smallsight.media.container_scan import gif_canvas_px, gif_frames
from smallsight.media.frame_canvas import Disposal, FrameCanvas, Layer

__all__ = ["GifCanvas"]

# Old programs write 4 for 3.
_DISPOSALS = {2: Disposal.CLEARED, 3: Disposal.UNDONE, 4: Disposal.UNDONE}
_TABLE_FLAG = 0x80


class GifCanvas(FrameCanvas):
    """An opened GIF; frames after ``max_frames + 1`` are left out."""

    def __init__(self, data: bytes, max_frames: int, max_pixels: int) -> None:
        """Compose the first frame. Frames of more than ``max_pixels`` are damaged."""
        self._data = data
        self._gif_frames = list(gif_frames(data, max_frames))
        self._max_pixels = max_pixels
        layers = [
            Layer(one.left, one.top, one.width, one.height, _DISPOSALS.get(one.disposal, Disposal.STAYS))
            for one in self._gif_frames
        ]
        super().__init__(gif_canvas_px(data), layers)
        self.format = "GIF"

    def pixels(self, index: int) -> Image.Image:
        """Decode a frame from a copy of the file that holds nothing else."""
        frame = self._gif_frames[index]
        if frame.width * frame.height > self._max_pixels:
            raise ValueError("a frame is larger than the picture may be")
        data, size = self._data, frame.width.to_bytes(2, "little") + frame.height.to_bytes(2, "little")
        tables_end = 13 + (3 << (data[10] & 7) + 1 if data[10] & _TABLE_FLAG else 0)
        control = b"" if frame.control_at is None else data[frame.control_at : frame.control_at + 8]
        head, descriptor = b"GIF89a" + size + data[10:tables_end] + control, b",\0\0\0\0" + size
        alone = head + descriptor + data[frame.start + 9 : frame.end] + b";"
        with Image.open(io.BytesIO(alone), formats=("GIF",)) as opened:
            return opened.convert("RGBA")
