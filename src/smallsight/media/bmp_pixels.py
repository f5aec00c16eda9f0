"""Reads the kinds of BMP that Pillow 13 refuses or reads wrongly, with Pillow alone.

These are colours at other bits than the usual ones (findings/pillow_bmp_bit_masks.sh), two bits, and run
lengths, of which Pillow refuses pictures that leave out rows or end early.
Source: Microsoft's BITMAPV5HEADER and "Bitmap Compression".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from PIL import Image, ImageChops

__all__ = ["OddBmp", "odd_bmp"]

_MASKS_AT = 54  # in the file, behind the 40 bytes that all these headers begin with
_HEADERS = (40, 52, 56, 108, 124)
_HEADERS_WITH_ALPHA = (56, 108, 124)
_RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS = 1, 2, 3, 6
_USUAL_MASKS = {  # that Pillow knows
    32: {
        (0xFF0000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0),
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
    },
    16: {(0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0)},
}
_HALVES = tuple(bytes([value >> 4, value & 15]) for value in range(256))


@dataclass(frozen=True, slots=True, eq=False)
class OddBmp:
    """A BMP whose pixels are read here; ``size`` is known before they are."""

    size: tuple[int, int]
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    is_top_down: bool
    palette: bytes
    data: bytes

    def image(self) -> Image.Image:
        """Return the pixels as RGB, RGBA or with a palette; raises ValueError if there are too few."""
        if self.compression in (_BITFIELDS, _ALPHA_BITFIELDS):
            image = self._masked()
        elif self.compression in (_RLE8, _RLE4):
            image = self._rows("P", "P", self.size[0], _indices(self.data, self.size, is_rle4=self.bits == 4))
            image.putpalette(self.palette)
        else:
            image = self._rows("P", "P;2", -(-self.size[0] // 16) * 4, self.data)
            image.putpalette(self.palette)
        image.format = "BMP"
        return image

    def _masked(self) -> Image.Image:
        stride = -(-self.size[0] * self.bits // 32) * 4
        bytes_of_each = "RGBA" if self.bits == 32 else "LA"
        planes = self._rows(bytes_of_each, bytes_of_each, stride, self.data).split()
        masks = self.masks if self.masks[3] else self.masks[:3]
        return Image.merge("RGBA"[: len(masks)], [_channel(planes, mask) for mask in masks])

    def _rows(self, mode: str, layout: str, stride: int, data: bytes) -> Image.Image:
        return Image.frombytes(mode, self.size, data, "raw", layout, stride, 1 if self.is_top_down else -1)


def odd_bmp(data: bytes) -> OddBmp | None:
    """Return a BMP that Pillow does not read as it is; None for any other, and for damaged headers."""
    if len(data) < _MASKS_AT:
        return None
    pixels_at, header_bytes, width, height = struct.unpack_from("<10xIIii", data)
    bits, compression, num_colours = struct.unpack_from("<28xHI12xI", data)
    if header_bytes not in _HEADERS or width <= 0 or height == 0 or pixels_at > len(data):
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
    if not is_odd:
        return None
    palette = _palette(data, 14 + header_bytes, num_colours, bits)
    return OddBmp((width, abs(height)), bits, compression, masks, height < 0, palette, data[pixels_at:])


def _masks(data: bytes, header_bytes: int, compression: int) -> tuple[int, int, int, int]:
    """Return the bits of red, green, blue and alpha; short headers have no alpha, or no masks at all."""
    num_masks = 4 if header_bytes in _HEADERS_WITH_ALPHA or compression == _ALPHA_BITFIELDS else 3
    if len(data) < _MASKS_AT + 4 * num_masks:
        return 0, 0, 0, 0
    red, green, blue, *alpha = struct.unpack_from(f"<{num_masks}I", data, _MASKS_AT)
    return red, green, blue, alpha[0] if alpha else 0


def _are_usable(masks: tuple[int, int, int, int], bits: int) -> bool:
    """Return whether each mask is one run of bits inside of a pixel, and the three colours have one."""
    return all(masks[:3]) and all(
        mask < 1 << bits and (mask // (mask & -mask) + 1).bit_count() == 1 for mask in masks if mask
    )


def _channel(planes: tuple[Image.Image, ...], mask: int) -> Image.Image:
    """Return the upper 8 bits of a mask, of the bytes of all pixels, as 0 to 255."""
    num_bits = min(8, mask.bit_count())
    lowest = mask.bit_length() - num_bits
    most = (1 << num_bits) - 1
    first, *others = (  # the bytes that have some of them
        planes[at].point([(byte << 8 * at >> lowest) & most for byte in range(256)])
        for at in sorted({lowest // 8, (lowest + num_bits - 1) // 8})
    )
    found = ImageChops.add(first, others[0]) if others else first
    return found.point([round(min(value, most) * 255 / most) for value in range(256)])


def _palette(data: bytes, start: int, num_colours: int, bits: int) -> bytes:
    """Return the colours, RGB."""
    most = 1 << min(bits, 8)
    found = data[start : start + 4 * min(num_colours or most, most)]
    return b"".join(found[at : at + 3][::-1] for at in range(0, len(found) - 3, 4))


def _indices(data: bytes, size: tuple[int, int], *, is_rle4: bool) -> bytes:
    """Return the indices of a picture in run lengths; those that are not written are 0."""
    width, height = size
    indices = bytearray(width * height)
    at = row = column = 0
    while row < height and at + 1 < len(data):
        count, value = data[at], data[at + 1]
        at += 2
        if count == 0 and value == 0:  # the end of a row
            row, column = row + 1, 0
        elif count == 0 and value == 1:  # the end of the picture
            break
        elif count == 0 and value == 2:  # pixels that are passed over
            right, down = (*data[at : at + 2], 0, 0)[:2]
            row, column, at = row + down, column + right, at + 2
        else:
            if count == 0:  # pixels one by one, padded to pairs of bytes
                count, num_bytes = value, -(-value // 2) if is_rle4 else value
                written = data[at : at + num_bytes]
                at += num_bytes + num_bytes % 2
            else:
                written = bytes([value]) * (-(-count // 2) if is_rle4 else count)
            if is_rle4:
                written = b"".join(_HALVES[byte] for byte in written)
            written = written[: max(0, min(count, width - column))]
            start = row * width + column
            indices[start : start + len(written)] = written
            column += count
    return bytes(indices)
