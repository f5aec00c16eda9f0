"""Composes the frames of an animated picture from layers, as browsers do.

``gif_canvas`` and ``apng_canvas`` own how layers are stored; Pillow decodes each alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from PIL import Image

__all__ = ["Disposal", "FrameCanvas", "Layer"]

_NOTHING = (0, 0, 0, 0)


class Disposal(Enum):
    """What becomes of a layer before the next one is drawn."""

    STAYS = auto()
    CLEARED = auto()  # its place becomes transparent
    UNDONE = auto()  # its place becomes what it was before


@dataclass(frozen=True, slots=True)
class Layer:
    """The place of what a frame draws, and how; ``is_blended`` lays its transparency on what is there."""

    left: int
    top: int
    width: int
    height: int
    disposal: Disposal
    is_blended: bool = True


class FrameCanvas(Image.Image):
    """An opened animation: RGBA, with the methods of Pillow's multi-frame images."""

    def __init__(self, size: tuple[int, int], layers: Sequence[Layer]) -> None:
        super().__init__()
        self._layers = layers
        self._size = size
        self._mode = "RGBA"
        self._restart()
        self.seek(0)

    def pixels(self, index: int) -> Image.Image:
        """Return a layer as RGBA; raises Pillow's errors for a damaged one."""
        raise NotImplementedError

    @property
    def n_frames(self) -> int:
        """The number of frames."""
        return len(self._layers)

    def tell(self) -> int:
        """Return the number of the current frame."""
        return self._shown

    def seek(self, frame: int) -> None:
        """Compose a frame; raises EOFError if there is none."""
        if not 0 <= frame < len(self._layers):
            raise EOFError(f"frame {frame} of {len(self._layers)}")
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
        layer, pixels = self._layers[index], self.pixels(index)
        if self._kept is not None:
            self._canvas.paste(self._kept.pixels, self._kept.place)
        right, bottom = layer.left + layer.width, layer.top + layer.height
        place = (
            layer.left,
            layer.top,
            max(layer.left, min(right, self._size[0])),
            max(layer.top, min(bottom, self._size[1])),
        )
        kept = None
        if layer.disposal is Disposal.UNDONE:
            kept = _Kept(self._canvas.crop(place), place)
        elif layer.disposal is Disposal.CLEARED:
            kept = _Kept(Image.new("RGBA", (place[2] - place[0], place[3] - place[1]), _NOTHING), place)
        pixels = pixels.crop((0, 0, place[2] - place[0], place[3] - place[1]))
        if layer.is_blended:
            pixels = Image.alpha_composite(self._canvas.crop(place), pixels)
        self._canvas.paste(pixels, place)
        self._kept, self._shown = kept, index
        self.im = self._canvas.im


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """What lies where a layer was, once it is removed."""

    pixels: Image.Image
    place: tuple[int, int, int, int]
