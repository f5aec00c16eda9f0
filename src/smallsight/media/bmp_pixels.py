"""Reads the kinds of BMP that Pillow 13 refuses or reads wrongly.

These are colours at other bits than the usual ones, 16 bits with transparency, two bits, and run lengths, of
which Pillow loses rows without pixels and refuses pictures that end early.
Source: Microsoft's BITMAPV5HEADER and "Bitmap Compression".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["OddBmp", "odd_bmp"]

_MASKS_AT = 54  # in the file, behind the 40 bytes that all these headers begin with
_HEADERS_WITH_MASKS = (52, 56, 108, 124)
_HEADERS_WITH_ALPHA = (56, 108, 124)
_RAW, _RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS = 0, 1, 2, 3, 6
_ROWS_AT_ONCE = 64
_USUAL_MASKS = {  # with what Pillow reads them as
    32: {
        (0xFF0000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0),
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
    },
    16: {(0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0)},
}
_Indices = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class OddBmp:
    """A BMP whose pixels are read here; ``size`` is known before they are."""

    size: tuple[int, int]
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    is_top_down: bool
    palette_RGB: npt.NDArray[np.uint8]
    data: memoryview

    def image(self) -> Image.Image:
        """Return the pixels as RGB or RGBA; raises ValueError if there are too few."""
        if self.compression in (_BITFIELDS, _ALPHA_BITFIELDS):
            pixels_HWC = self._masked()
        elif self.compression in (_RLE8, _RLE4):
            pixels_HWC = self._coloured(_run_lengths(self.data, self.size, is_rle4=self.bits == 4))
        else:
            pixels_HWC = self._coloured(self._two_bits())
        image = Image.fromarray(np.ascontiguousarray(pixels_HWC if self.is_top_down else pixels_HWC[::-1]))
        image.format = "BMP"
        return image

    def _masked(self) -> npt.NDArray[np.uint8]:
        numbers_HW = self._rows(f"<u{self.bits // 8}", self.size[0])
        masks = self.masks if self.masks[3] else self.masks[:3]
        pixels_HWC = np.empty((*numbers_HW.shape, len(masks)), np.uint8)
        for start in range(0, self.size[1], _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            for channel, mask in enumerate(masks):
                pixels_HWC[rows, :, channel] = _channel(numbers_HW[rows], mask)
        return pixels_HWC

    def _two_bits(self) -> _Indices:
        four_HW = self._rows("u1", -(-self.size[0] // 4))
        indices = np.stack([four_HW >> shift & 3 for shift in (6, 4, 2, 0)], axis=-1)
        return indices.reshape(self.size[1], -1)[:, : self.size[0]]

    def _rows(self, number: str, num_columns: int) -> npt.NDArray[np.unsignedinteger]:
        """Return numbers [rows, columns] as in the file, where rows take multiples of four bytes."""
        stride = -(-num_columns * np.dtype(number).itemsize // 4) * 4
        if len(self.data) < stride * self.size[1]:
            raise ValueError("too few pixels")
        rows = np.frombuffer(self.data, np.uint8, stride * self.size[1]).reshape(self.size[1], stride)
        found: npt.NDArray[np.unsignedinteger] = rows.view(number)[:, :num_columns]
        return found

    def _coloured(self, indices_HW: _Indices) -> npt.NDArray[np.uint8]:
        return self.palette_RGB[indices_HW]


def odd_bmp(data: bytes) -> OddBmp | None:
    """Return a BMP that Pillow does not read as it is; None for any other, and for damaged headers."""
    if len(data) < _MASKS_AT:
        return None
    pixels_at, header_bytes, width, height = struct.unpack_from("<10xIIii", data)
    bits, compression, num_colours = struct.unpack_from("<28xHI12xI", data)
    if header_bytes != 40 and header_bytes not in _HEADERS_WITH_MASKS:
        return None
    masks = _masks(data, header_bytes, compression)
    match compression, bits:
        case (3 | 6, 16 | 32):
            is_usual = compression == _BITFIELDS and masks in _USUAL_MASKS[bits]
            is_odd = not is_usual and _are_usable(masks, bits)
        case (1, 8) | (2, 4) | (0, 2):
            is_odd = True
        case _:
            is_odd = False
    if not is_odd or width <= 0 or height == 0 or pixels_at > len(data):
        return None
    palette = _palette(data, 14 + header_bytes, num_colours, bits)
    return OddBmp(
        (width, abs(height)), bits, compression, masks, height < 0, palette, memoryview(data)[pixels_at:]
    )


def _masks(data: bytes, header_bytes: int, compression: int) -> tuple[int, int, int, int]:
    """Return the bits of red, green, blue and alpha; short headers have no alpha, or no masks at all."""
    has_alpha = header_bytes in _HEADERS_WITH_ALPHA or compression == _ALPHA_BITFIELDS
    num_masks = 4 if has_alpha else 3
    if len(data) < _MASKS_AT + 4 * num_masks:
        return 0, 0, 0, 0
    red, green, blue, *alpha = struct.unpack_from(f"<{num_masks}I", data, _MASKS_AT)
    return red, green, blue, alpha[0] if alpha else 0


def _are_usable(masks: tuple[int, int, int, int], bits: int) -> bool:
    """Return whether each mask is one run of bits inside of a pixel, and the three colours have one."""
    return all(masks[:3]) and all(
        mask < 1 << bits and (mask // (mask & -mask) + 1).bit_count() == 1 for mask in masks if mask
    )


def _channel(numbers_HW: npt.NDArray[np.unsignedinteger], mask: int) -> npt.NDArray[np.uint8]:
    """Return the bits of a mask as 0 to 255."""
    lowest = mask & -mask
    most = mask // lowest
    found_HW = (numbers_HW & mask) >> (lowest.bit_length() - 1)
    if most.bit_length() > 8:
        found_HW, most = found_HW >> (most.bit_length() - 8), 255
    scaled = np.round(np.arange(most + 1) * (255 / most)).astype(np.uint8)
    return np.asarray(scaled[found_HW])


def _palette(data: bytes, start: int, num_colours: int, bits: int) -> npt.NDArray[np.uint8]:
    """Return 256 colours, RGB; those that the file does not have are black."""
    most = 1 << min(bits, 8)
    found = data[start : start + 4 * min(num_colours or most, most)]
    palette = np.zeros((256, 3), np.uint8)
    colours = np.frombuffer(found[: len(found) // 4 * 4], np.uint8).reshape(-1, 4)
    palette[: len(colours)] = colours[:, 2::-1]
    return palette


def _run_lengths(data: memoryview, size: tuple[int, int], *, is_rle4: bool) -> _Indices:
    """Return the indices of a picture in run lengths; those that are not written are 0."""
    width, height = size
    rows = np.zeros((height, width), np.uint8)
    at = row = column = 0
    while row < height and at + 1 < len(data):
        count, value = data[at], data[at + 1]
        at += 2
        if count == 0 and value == 0:  # the end of a row
            row, column = row + 1, 0
        elif count == 0 and value == 1:  # the end of the picture
            break
        elif count == 0 and value == 2:  # pixels that are passed over
            if at + 1 >= len(data):
                break
            row, column, at = row + data[at + 1], column + data[at], at + 2
        else:
            if count == 0:  # pixels one by one, padded to pairs of bytes
                count, num_bytes = value, -(-value // 2) if is_rle4 else value
                written = bytes(data[at : at + num_bytes])
                at += num_bytes + num_bytes % 2
            else:
                written = bytes([value]) * (-(-count // 2) if is_rle4 else count)
            indices = np.frombuffer(written, np.uint8)
            if is_rle4:
                indices = np.stack([indices >> 4, indices & 15], axis=-1).ravel()
            indices = indices[: min(count, max(0, width - column))]
            rows[row, column : column + len(indices)] = indices
            column += count
    return rows
