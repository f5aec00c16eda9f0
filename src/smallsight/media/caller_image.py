"""Brings an image that a caller opened with Pillow to the pixels that its own file would give.

Pillow leaves the EXIF orientation, the ICC profile, transparency and the range of deep grey to the program
that opens a file. Runs in this process, where the caller has already opened the image.
"""

from __future__ import annotations

from PIL import Image

from smallsight.errors import CorruptPictureError, PictureTooLargeError
from smallsight.media.decoder_errors import DECODER_ERRORS
from smallsight.media.pixels import to_rgb, turn_upright
from smallsight.media.tiff_tags import profile_of, repair_layout
from smallsight.media.transparent_key import apply_loaded_key
from smallsight.settings import Limits

__all__ = ["check_size", "show_image"]

_ORIENTATION_TAG = 0x0112
_JPEG_SCALES = (1, 2, 4, 8)


def show_image(image: Image.Image, limits: Limits) -> Image.Image:
    """Return the current frame of an image of any mode as upright sRGB, transparency on a chosen ground.

    The image itself is returned if it is that already, and is never changed. Raises only PictureError.
    """
    scale = _jpeg_scale(image, limits)
    check_size((-(-image.width // scale), -(-image.height // scale)), limits, "resize the image")
    try:
        repair_layout(image)
        image.load()
        if scale > 1:
            image = image.reduce(scale)
        orientation = _orientation(image)
        profile = profile_of(image)
        if image.mode == "RGB" and profile is None and "transparency" not in image.info:
            return turn_upright(image, orientation)
        shown = apply_loaded_key(image) if image.format in (None, "PNG") else image
        return turn_upright(
            to_rgb(shown, image.size, is_full_range=_is_full_range(image), profile=profile), orientation
        )
    except DECODER_ERRORS as error:
        raise CorruptPictureError(
            "The image that was given has no pixels, or damaged ones.",
            hint="open it again, and keep its file open until it is loaded.",
        ) from error


def check_size(size: tuple[int, int], limits: Limits, remedy: str) -> None:
    """Raise PictureTooLargeError for more pixels or a longer side than the limits allow."""
    if size[0] * size[1] > limits.max_image_pixels:
        raise PictureTooLargeError(
            f"The picture has too many pixels: {size[0] * size[1]} (limit {limits.max_image_pixels}).",
            hint=f"raise limits.max_image_pixels or {remedy}.",
        )
    if max(size) > limits.max_image_side_px:
        raise PictureTooLargeError(
            f"The picture has a side that is too long: {max(size)} px (limit {limits.max_image_side_px}).",
            hint=f"raise limits.max_image_side_px or {remedy}.",
        )


def _jpeg_scale(image: Image.Image, limits: Limits) -> int:
    """Return by how much a huge JPEG is reduced, as its file would be; its sides still have to be allowed."""
    if image.format not in ("JPEG", "MPO") or max(image.size) > limits.max_image_side_px:
        return 1
    sizes = {one: -(-image.width // one) * -(-image.height // one) for one in _JPEG_SCALES}
    return next((one for one, pixels in sizes.items() if pixels <= limits.max_image_pixels), 1)


def _is_full_range(image: Image.Image) -> bool:
    """Return whether deep grey uses all of 0-65535: in a PNG, and in 16 bits that came from no file."""
    return image.format == "PNG" or (image.format is None and image.mode.startswith("I;16"))


def _orientation(image: Image.Image) -> int:
    """Return the orientation of the EXIF data that Pillow kept beside the pixels; only that of files counts.

    Pillow turns TIFF on loading. An orientation in XMP alone turns nothing, as in browsers.
    """
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif") or b"")
        orientation = exif.get(_ORIENTATION_TAG, 1)
    except DECODER_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
