"""BMPs of the kinds that Pillow 13.0.0 refuses or reads wrongly, written here byte by byte."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from smallsight.errors import CorruptPictureError, PictureTooLargeError
from smallsight.media.bmp_pixels import odd_bmp

WIDTH, HEIGHT = 13, 6  # rows of 2 bits, of 16 bits and of indices need padding
PIXELS_HWC = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
PALETTE_RGB = np.random.default_rng(1).integers(0, 256, (16, 3), np.uint8)
INDICES = np.random.default_rng(2).integers(0, 16, (HEIGHT, WIDTH), np.uint8)
RLE8, RLE4, BITFIELDS, ALPHA_BITFIELDS = 1, 2, 3, 6

MASKS = {
    "XBGR": (32, (0xFF, 0xFF00, 0xFF0000, 0)),
    "BGRX": (32, (0xFF00, 0xFF0000, 0xFF000000, 0)),
    "BGRA": (32, (0xFF00, 0xFF0000, 0xFF000000, 0xFF)),
    "10 bits": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0)),
    "10 bits and 2 of alpha": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    "X4R4G4B4": (16, (0xF00, 0xF0, 0xF, 0)),
    "A4R4G4B4": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "A1R5G5B5": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "R5G5B5A1": (16, (0xF800, 0x7C0, 0x3E, 1)),
    "B5G6R5": (16, (0x1F, 0x7E0, 0xF800, 0)),
}


def bmp(
    bits: int,
    compression: int,
    pixels: bytes,
    *,
    header_bytes: int = 40,
    masks: tuple[int, ...] = (0, 0, 0, 0),
    behind: bytes = b"",
    height: int = HEIGHT,
    num_colours: int = 0,
) -> bytes:
    """A BMP; ``behind`` the header are masks or the palette."""
    size = len(pixels), 2835, 2835, num_colours, 0
    header = struct.pack("<IiiHHIIiiII", header_bytes, WIDTH, height, 1, bits, compression, *size)
    header += struct.pack("<4I", *masks)[: header_bytes - 40]
    header += (b"BGRs" + bytes(64))[: header_bytes - len(header)]
    start = 14 + len(header) + len(behind)
    return struct.pack("<2sIII", b"BM", start + len(pixels), 0, start) + header + behind + pixels


def in_rows(numbers: np.ndarray) -> bytes:
    """Rows from the bottom, each of a multiple of four bytes."""
    rows = (row.tobytes() for row in numbers[::-1])
    return b"".join(row + bytes(-len(row) % 4) for row in rows)


def masked(bits: int, masks: tuple[int, ...]) -> tuple[bytes, np.ndarray]:
    """PIXELS_HWC under the masks, and what they become at so few bits."""
    numbers = np.zeros((HEIGHT, WIDTH), np.uint64)
    expected = PIXELS_HWC.astype(float)
    for channel, mask in enumerate(masks):
        if not mask:
            expected[..., channel] = 255
            continue
        most = mask // (mask & -mask)
        values = np.round(PIXELS_HWC[..., channel] * (most / 255)).astype(np.uint64)
        numbers |= values * np.uint64(mask & -mask)
        expected[..., channel] = values * (255 / most)
    return in_rows(numbers.astype(f"<u{bits // 8}")), expected


def on_white(pixels_HWC: np.ndarray) -> np.ndarray:
    alpha = pixels_HWC[..., 3:].astype(float)
    return pixels_HWC[..., :3] * alpha / 255 + 255 - alpha


@pytest.mark.parametrize("header_bytes", [40, 56, 108, 124])
@pytest.mark.parametrize("name", MASKS)
def test_colours_and_alpha_at_any_bits_are_those_of_a_browser(browser, decoder, name, header_bytes):
    """As GIMP 3, Photoshop and FFmpeg write them; Chromium 156 reads them all."""
    bits, masks = MASKS[name]
    if header_bytes == 40:
        masks = (*masks[:3], 0)
    pixels, expected = masked(bits, masks)
    behind = struct.pack("<3I", *masks[:3]) if header_bytes == 40 else b""
    data = bmp(bits, BITFIELDS, pixels, header_bytes=header_bytes, masks=masks, behind=behind)
    found = decoder.decode(data, max_side_px=WIDTH).image_HWC
    assert np.abs(found - on_white(expected)).max() <= 1
    assert np.abs(found - on_white(browser.picture(data, "image/bmp"))).max() <= 2


def test_four_masks_behind_a_short_header(decoder):
    """BI_ALPHABITFIELDS, of Windows CE."""
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    pixels, expected = masked(32, masks)
    data = bmp(32, ALPHA_BITFIELDS, pixels, behind=struct.pack("<4I", *masks))
    assert np.abs(decoder.decode(data, max_side_px=WIDTH).image_HWC - on_white(expected)).max() <= 1


def colours(num: int) -> bytes:
    return b"".join(bytes(colour[::-1]) + b"\0" for colour in PALETTE_RGB[:num].tolist())


def test_two_bits(browser, decoder):
    indices = np.pad(INDICES & 3, ((0, 0), (0, -WIDTH % 4)))
    packed = (indices.reshape(HEIGHT, -1, 4) << np.array([6, 4, 2, 0])).sum(axis=-1).astype(np.uint8)
    data = bmp(2, 0, in_rows(packed), behind=colours(4), num_colours=4)
    found = decoder.decode(data, max_side_px=WIDTH).image_HWC
    assert np.array_equal(found, PALETTE_RGB[INDICES & 3])
    assert np.array_equal(found, browser.picture(data, "image/bmp")[..., :3])


def written(row: np.ndarray, *, is_rle4: bool) -> bytes:
    """A row of run lengths: three equal ones, then the rest one by one."""
    rest = row[3:]
    if is_rle4:
        rest = np.pad(rest, (0, len(rest) % 2))
        rest = rest[::2] << 4 | rest[1::2]
    run = bytes([3, row[0] * 17 if is_rle4 else row[0]])
    return run + bytes([0, len(row) - 3]) + rest.tobytes() + bytes(len(rest) % 2)


@pytest.mark.parametrize("is_rle4", [False, True])
def test_run_lengths(browser, decoder, is_rle4):
    indices = INDICES.copy()
    indices[:, :3] = indices[:, :1]
    rows = b"".join(written(row, is_rle4=is_rle4) + b"\0\0" for row in indices[::-1])
    bits, compression = (4, RLE4) if is_rle4 else (8, RLE8)
    data = bmp(bits, compression, rows + b"\0\1", behind=colours(16), num_colours=16)
    found = decoder.decode(data, max_side_px=WIDTH).image_HWC
    assert np.array_equal(found, PALETTE_RGB[indices])
    assert np.array_equal(found, browser.picture(data, "image/bmp")[..., :3])


def test_what_run_lengths_leave_out_moves_nothing(browser, decoder):
    """Two rows without pixels, five passed over at once, and the end before the last row."""
    full = [bytes([0, WIDTH]) + row.tobytes() + b"\0" for row in INDICES[::-1]]
    half = bytes([0, 8]) + INDICES[1, 5:].tobytes()
    rows = full[0] + b"\0\0" + b"\0\0" * 2 + full[3] + b"\0\0" + b"\0\2\5\0" + half + b"\0\1"
    data = bmp(8, RLE8, rows, behind=colours(16), num_colours=16)
    found = decoder.decode(data, max_side_px=WIDTH).image_HWC
    expected = PALETTE_RGB[INDICES]
    is_written = np.zeros((HEIGHT, WIDTH), bool)
    is_written[[5, 2]] = is_written[1, 5:] = True
    assert np.array_equal(found[is_written], expected[is_written])
    shown = browser.picture(data, "image/bmp")[..., :3]
    assert np.array_equal(shown[is_written], expected[is_written])
    assert (found[~is_written] == PALETTE_RGB[0]).all()  # as in Windows; black in Chromium


def test_runs_that_are_longer_than_their_row_end_with_it():
    data = bmp(8, RLE8, bytes([200, 1, 0, 0, 200, 2, 0, 0]), behind=colours(16), num_colours=16)
    odd = odd_bmp(data)
    assert odd is not None
    pixels = np.asarray(odd.image().convert("RGB"))
    assert (pixels[-1] == PALETTE_RGB[1]).all()
    assert (pixels[-2] == PALETTE_RGB[2]).all()
    assert (pixels[:-2] == PALETTE_RGB[0]).all()


def test_a_picture_from_the_top(decoder):
    bits, masks = MASKS["XBGR"]
    pixels, expected = masked(bits, masks)
    data = bmp(bits, BITFIELDS, pixels, behind=struct.pack("<3I", *masks[:3]), height=-HEIGHT)
    assert np.array_equal(decoder.decode(data, max_side_px=WIDTH).image_HWC, expected[::-1, :, :3])


def test_damage_and_gigantic_sizes_are_refused(decoder):
    bits, masks = MASKS["BGRX"]
    pixels, _ = masked(bits, masks)
    whole = bmp(bits, BITFIELDS, pixels, behind=struct.pack("<3I", *masks[:3]))
    for end in range(54, len(whole), 7):
        with pytest.raises(CorruptPictureError):
            decoder.decode(whole[:end], max_side_px=WIDTH)
    for end in range(0, 54, 3):
        assert odd_bmp(whole[:end]) is None
    large = whole[:18] + struct.pack("<ii", 60_000, 60_000) + whole[26:]
    with pytest.raises(PictureTooLargeError):
        decoder.decode(large, max_side_px=WIDTH)
    for masks in ((0xFF, 0xFF00, 0, 0), (0x5, 0xF0, 0xF00, 0), (0, 0, 0, 0)):  # none, with a gap, none at all
        assert odd_bmp(bmp(32, BITFIELDS, pixels, behind=struct.pack("<3I", *masks[:3]))) is None
