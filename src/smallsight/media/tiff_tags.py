"""What the tags of an opened TIFF say that Pillow 13 passes over: copies, deep planes, where 0 is white."""

from __future__ import annotations

from contextlib import suppress

from PIL import Image, TiffImagePlugin

from smallsight.media.decoder_errors import DECODER_ERRORS

__all__ = ["is_copy", "repair_planes", "seek_to_picture", "zero_is_white"]

_NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 254, 255
_BITS, _PHOTOMETRIC, _PLANES = 258, 262, 284
_REDUCED_OR_MASK = 1 | 4  # of NewSubfileType
_REDUCED = 2  # the older SubfileType
_WHITE_IS_ZERO = 0
_SEPARATE = 2
_MAX_COPIES = 20  # that a file may begin with


def seek_to_picture(opened: Image.Image) -> None:
    """Seek to the first page that is not a thumbnail or mask of another; to page 0 if there is none."""
    if not isinstance(opened, TiffImagePlugin.TiffImageFile) or not is_copy(opened):
        return
    with suppress(EOFError, *DECODER_ERRORS):
        for index in range(1, _MAX_COPIES + 1):
            opened.seek(index)
            if not is_copy(opened):
                return
    opened.seek(0)


def is_copy(opened: Image.Image) -> bool:
    """Return whether the current page is a thumbnail, a level of a pyramid, or the mask of another page."""
    if not isinstance(opened, TiffImagePlugin.TiffImageFile):
        return False
    kind = opened.tag_v2.get(_NEW_SUBFILE_TYPE, 0)
    is_reduced = opened.tag_v2.get(_SUBFILE_TYPE) == _REDUCED
    return is_reduced or (isinstance(kind, int) and kind & _REDUCED_OR_MASK != 0)


def repair_planes(opened: Image.Image) -> None:
    """Have 16-bit colours in separate planes read as 16 bits, before the pixels are loaded.

    Pillow reads those that are not compressed as 8 bits (findings/pillow_tiff_16_bit_planes.sh).
    """
    if not isinstance(opened, TiffImagePlugin.TiffImageFile):
        return
    tags = opened.tag_v2
    bits = tags.get(_BITS)
    if tags.get(_PLANES) != _SEPARATE or not isinstance(bits, tuple) or set(bits) != {16}:
        return
    order = "L" if tags.prefix == b"II" else "B"
    for index, tile in enumerate(opened.tile):
        match tile:
            case ("raw", _, _, (str(plane), *layout)) if len(plane) == 1:
                opened.tile[index] = tile._replace(args=(f"{plane};16{order}", *layout))


def zero_is_white(opened: Image.Image) -> bool:
    """Return whether a TIFF of grey with more than 8 bits is stored as a negative, as X-ray films are."""
    return (
        isinstance(opened, TiffImagePlugin.TiffImageFile)
        and opened.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    )
