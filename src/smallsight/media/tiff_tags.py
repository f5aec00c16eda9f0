"""What the tags of an opened TIFF say that Pillow 13 passes over.

Copies, deep planes, numbers with a sign or of more than 31 bits, the order of bytes, and where 0 is white.
"""

from __future__ import annotations

from contextlib import suppress

from PIL import Image, TiffImagePlugin

from smallsight.media.decoder_errors import DECODER_ERRORS

__all__ = [
    "grey_numbers",
    "is_copy",
    "know_more_greys",
    "profile_of",
    "repair_layout",
    "seek_to_picture",
    "zero_is_white",
]

_NEW_SUBFILE_TYPE, _SUBFILE_TYPE = 254, 255
_BITS, _PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT, _PROFILE = 258, 262, 284, 339, 34_675
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3  # of SampleFormat
_REDUCED_OR_MASK = 1 | 4  # of NewSubfileType
_REDUCED = 2  # the older SubfileType
_WHITE_IS_ZERO = 0
_SEPARATE = 2
_MAX_COPIES = 20  # that a file may begin with

# Format and bits of a sample, and how Pillow would read it: mode, and layout in little and big endian.
_GREYS = {
    (_SIGNED, 8): ("L", "L", "L"),
    (_UNSIGNED, 16): ("I;16", "I;16", "I;16B"),
    (_SIGNED, 16): ("I", "I;16S", "I;16BS"),
    (_UNSIGNED, 32): ("I", "I;32S", "I;32BS"),
    (_SIGNED, 32): ("I", "I;32S", "I;32BS"),
    (_FLOAT, 64): ("F", "F;64F", "F;64BF"),
}
# libtiff swaps the bytes of what it unpacks, and Pillow swaps all of these once more.
_UNPACKED = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF", "F;64BF": "F;64NF"}


def know_more_greys() -> None:
    """Have Pillow open greys that its table of TIFFs lacks, in this process, with both meanings of 0."""
    for (kind, bits), (mode, little, big) in _GREYS.items():
        for prefix, layout in ((b"II", little), (b"MM", big)):
            for photometric in (0, 1):
                key = (prefix, photometric, (kind,), 1, (bits,), ())
                shown = "I;16B" if layout == "I;16B" else mode
                TiffImagePlugin.OPEN_INFO.setdefault(key, (shown, layout))


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


def profile_of(image: Image.Image) -> object:
    """Return the ICC profile of an image or of the current page, None if there is none.

    Pillow keeps that of an earlier page (findings/pillow_tiff_profile_of_another_page.sh).
    """
    if (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.is_animated
        and _PROFILE not in image.tag_v2
    ):
        return None
    return image.info.get("icc_profile")


def repair_layout(opened: Image.Image) -> None:
    """Correct how the pixels of a TIFF are about to be read, before they are loaded.

    Pillow reads 16-bit colours in separate planes as 8 bits (findings/pillow_tiff_16_bit_planes.sh), and
    swaps the bytes of compressed big-endian greys twice (findings/pillow_tiff_swapped_twice.sh).
    """
    if not isinstance(opened, TiffImagePlugin.TiffImageFile):
        return
    order = _order_of_16_bit_planes(opened)
    for index, tile in enumerate(opened.tile):
        match tile:
            case ("libtiff", _, _, (str(layout), *rest)) if layout in _UNPACKED:
                opened.tile[index] = tile._replace(args=(_UNPACKED[layout], *rest))
            case ("raw", _, _, (str(plane), *rest)) if order and len(plane) == 1:
                opened.tile[index] = tile._replace(args=(f"{plane};16{order}", *rest))


def _order_of_16_bit_planes(opened: TiffImagePlugin.TiffImageFile) -> str:
    """Return the letter of Pillow's layouts for the order of bytes, nothing for any other TIFF."""
    bits = opened.tag_v2.get(_BITS)
    if opened.tag_v2.get(_PLANES) != _SEPARATE or not isinstance(bits, tuple) or set(bits) != {16}:
        return ""
    return "L" if opened.tag_v2.prefix == b"II" else "B"


def grey_numbers(image: Image.Image) -> Image.Image:
    """Return a loaded picture with the numbers of its file; anything but grey of a TIFF unchanged.

    Pillow has no mode for 8 bits with a sign, returned in mode I, nor for 32 bits without one: in F. An alpha
    that it does not read is left out.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return image
    format_and_bits = image.tag_v2.get(_SAMPLE_FORMAT, (_UNSIGNED,)), image.tag_v2.get(_BITS)
    match image.mode, format_and_bits:
        case "L", ((2,), (8,)):
            return Image.frombytes("I", image.size, image.tobytes(), "raw", "I;8S")
        case "I", ((1,), (32,)):
            return Image.frombytes("F", image.size, image.tobytes(), "raw", "F;32N")
        case "LA", _ if image.tag_v2.get(_PLANES) == _SEPARATE:
            return image.getchannel("L")  # the alpha is not read: findings/pillow_tiff_alpha_plane.sh
    return image


def zero_is_white(opened: Image.Image) -> bool:
    """Return whether a TIFF of deep or signed grey is stored as a negative, as X-ray films are."""
    return (
        isinstance(opened, TiffImagePlugin.TiffImageFile)
        and opened.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    )
