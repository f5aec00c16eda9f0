"""Reads the layers of an APNG, from which ``frame_canvas`` composes its frames; a fallback picture is none.

Pillow 13 composes some frames wrongly that follow one that is undone.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field

from PIL import Image, PngImagePlugin

from smallsight.media.frame_canvas import Disposal, FrameCanvas, Layer
from smallsight.media.png_chunks import png_chunks
from smallsight.media.transparent_key import apply_key

__all__ = ["ApngCanvas"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DISPOSALS = {0: Disposal.STAYS, 1: Disposal.CLEARED, 2: Disposal.UNDONE}
_SHARED = (b"PLTE", b"tRNS")


@dataclass(slots=True)
class _ApngParts:
    """What an APNG consists of: header and shared chunks, and the layers with their compressed pixels."""

    header: bytes = b""
    shared: list[tuple[bytes, bytes]] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    pixels: list[list[bytes]] = field(default_factory=list)


class ApngCanvas(FrameCanvas):
    """An opened APNG; frames after ``max_frames + 1`` are left out."""

    def __init__(self, data: bytes, max_frames: int) -> None:
        """Compose the first frame; raises ValueError if there is none or one lies outside of the picture."""
        self._parts = _parts(data, max_frames)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as opened:
            size = opened.size
            opened.getexif()  # reads what lies behind the pixels
            info = dict(opened.info)
        info.pop("transparency", None)
        for one in self._parts.layers:
            if one.left + one.width > size[0] or one.top + one.height > size[1]:
                raise ValueError("a frame lies outside of the picture")
        if not self._parts.layers:
            raise ValueError("no frames")
        super().__init__(size, self._parts.layers)
        self.info = info
        self.format = "PNG"

    def pixels(self, index: int) -> Image.Image:
        """Decode a frame from a PNG that holds nothing else."""
        layer = self._parts.layers[index]
        header = struct.pack(">II", layer.width, layer.height) + self._parts.header[8:]
        chunks = [(b"IHDR", header), *self._parts.shared]
        chunks += [(b"IDAT", one) for one in self._parts.pixels[index]]
        alone = _SIGNATURE + b"".join(_chunk(*one) for one in [*chunks, (b"IEND", b"")])
        with Image.open(io.BytesIO(alone), formats=("PNG",)) as opened:
            opened.load()
            image = apply_key(opened, alone)
            if isinstance(image, PngImagePlugin.PngImageFile) and image.mode.startswith("I;16"):
                image = Image.frombytes("L", image.size, image.tobytes()[1::2])  # the higher of two bytes
            return image.convert("RGBA")


def _parts(data: bytes, max_frames: int) -> _ApngParts:
    parts = _ApngParts()
    for kind, content in png_chunks(data):
        if kind == b"IHDR":
            parts.header = bytes(content)
        elif kind in _SHARED:
            parts.shared.append((kind, bytes(content)))
        elif kind == b"fcTL" and len(content) >= 26:
            if len(parts.layers) > max_frames:
                break
            width, height, left, top = struct.unpack(">4I", content[4:20])
            disposal = _DISPOSALS.get(content[24], Disposal.STAYS)
            parts.layers.append(Layer(left, top, width, height, disposal, is_blended=content[25] == 1))
            parts.pixels.append([])
        elif kind == b"IDAT" and parts.pixels:
            parts.pixels[-1].append(bytes(content))
        elif kind == b"fdAT" and parts.pixels:
            parts.pixels[-1].append(bytes(content[4:]))
    return parts


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
