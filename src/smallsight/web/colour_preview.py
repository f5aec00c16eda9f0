"""The blurred preview of a picture: 4 x 4 colours as a bitmap inside the page, enlarged by the browser."""

from __future__ import annotations

import base64
import struct

_SIDE = 4
_ROW_BYTES, _PIXEL_BYTES, _HEADER_BYTES = 3 * _SIDE, 3 * _SIDE**2, 54
_HEADER = struct.pack("<2sIHHI", b"BM", _HEADER_BYTES + _PIXEL_BYTES, 0, 0, _HEADER_BYTES)
_HEADER += struct.pack("<IiiHHIIiiII", 40, _SIDE, _SIDE, 1, 24, 0, _PIXEL_BYTES, 0, 0, 0, 0)


def colour_preview(colours: bytes | None) -> str | None:
    """Return a data: address for RGB of 4 x 4 parts, rows first; None without colours."""
    if colours is None or len(colours) != _PIXEL_BYTES:
        return None
    # A bitmap has its rows from the bottom up, and its pixels as blue, green, red.
    pixels = bytearray(_PIXEL_BYTES)
    for channel in range(3):
        pixels[channel::3] = colours[2 - channel :: 3]
    rows = [pixels[start : start + _ROW_BYTES] for start in range(0, _PIXEL_BYTES, _ROW_BYTES)]
    encoded = base64.b64encode(_HEADER + b"".join(reversed(rows))).decode()
    return f"data:image/bmp;base64,{encoded}"
