"""Decodes one picture with Pillow in the current process, after checking its header against limits.

Runs in the disposable child: nothing here guards against crashes, hangs or memory use. Imports neither numpy
nor the settings, so that the child starts fast.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from dataclasses import dataclass

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from smallsight.errors import CorruptPictureError, PictureTooLargeError
from smallsight.media.animation_times import num_png_frames
from smallsight.media.apng_canvas import ApngCanvas
from smallsight.media.bmp_pixels import odd_bmp
from smallsight.media.clean_aperture import clean_aperture, cropped
from smallsight.media.coded_colour import CodedColour
from smallsight.media.container_scan import (
    count_gif_frames,
    count_tiff_frames,
    gif_canvas_px,
    webp_canvas_px,
)
from smallsight.media.cut_jpegs import with_end
from smallsight.media.decoder_errors import DECODER_ERRORS
from smallsight.media.early_rows import EarlyRows, is_shown_as_decoded
from smallsight.media.file_colour import file_colour
from smallsight.media.formats import has_heif
from smallsight.media.gif_canvas import GifCanvas
from smallsight.media.library_limits import lift_heif_limits, raise_if_limited
from smallsight.media.opened_frames import OpenedFrames
from smallsight.media.pixels import fit_within, orientation_of, scaled_size, to_rgb, turn_upright
from smallsight.media.png_chunks import MAX_PROFILE_BYTES, without_needless_chunks
from smallsight.media.reading_size import reading_size
from smallsight.media.small_versions import hash_grey_of, thumbnail_file
from smallsight.media.tiff_tags import know_more_greys, profile_of, repair_layout, seek_to_picture
from smallsight.media.transparent_key import apply_key
from smallsight.media.wire import COLOUR_SIDE, HASH_GREY_SIDE_PX

__all__ = ["DecodeRequest", "DecodedParts", "decode_picture", "prepare_pillow"]

_HASH_SOURCE_SIDE_PX = 2 * HASH_GREY_SIDE_PX
_JPEG_SCALES = (1, 2, 4, 8)  # libjpeg can decode at these fractions of the size
_OFTEN_STILL = ("BMP", "JPEG", "PNG", "WEBP")
_MAX_JPEG_SIDE_PX = 65_500  # of libjpeg

# Importing a plugin registers it, so that opening one format never imports all of them.
_PLUGINS = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """What to decode of one picture, and the limits it must not exceed."""

    format: str
    max_image_pixels: int
    max_image_side_px: int
    max_frames: int
    max_side_px: int | None = None
    thumbnail_side_px: int | None = None
    wants_hashes: bool = False
    wants_full_size: bool = False
    wants_pages: bool = False

    @property
    def wants_only_full_size(self) -> bool:
        """Whether no request can be served by a reduced copy of the picture."""
        wants_small = self.wants_hashes or self.max_side_px is not None or self.thumbnail_side_px is not None
        return self.wants_full_size and not wants_small

    def wants_only_image_of(self, size: tuple[int, int]) -> bool:
        """Whether all that is wanted of a picture of this size is its pixels as they are."""
        wants_more = self.wants_hashes or self.wants_full_size or self.wants_pages
        is_plain = not wants_more and self.thumbnail_side_px is None
        return is_plain and self.max_side_px is not None and max(size) <= self.max_side_px


@dataclass(frozen=True, slots=True, eq=False)
class DecodedParts:
    """The result of decoding.

    ``hash_grey`` is 64 x 64 grey bytes, rows first, for the perceptual hashes, or empty if those are not
    wanted. ``whole_size`` is that of the most pixels that are decoded. ``full_size``, of that size, is None
    if ``image`` already has it. ``pages`` are what is read: the picture itself, None if ``image`` serves, and
    further pages or frames. ``colours`` are those of 4 x 4 parts of the picture, RGB, rows first, with a
    thumbnail.
    """

    width_px: int
    height_px: int
    num_frames: int
    whole_size: tuple[int, int]
    image: Image.Image | None
    thumbnail_webp: bytes | None
    hash_grey: bytes
    full_size: Image.Image | None = None
    pages: tuple[Image.Image | None, ...] = ()
    colours: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class _FileBytes:
    """The bytes of a picture, and those of them that Pillow gets."""

    file: bytes
    data: bytes
    format: str

    def coded(self, *, has_profile: bool) -> CodedColour | None:
        return file_colour(self.file, self.format, has_profile=has_profile)


def prepare_pillow() -> None:
    """Set Pillow's globals: no limits besides ours, one thread, HEIF if its extra is installed."""
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES  # of a profile; texts are removed beforehand
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    know_more_greys()
    if not has_heif():
        return
    with contextlib.suppress(ImportError):  # a broken extra must not affect other formats
        import pillow_heif  # noqa: PLC0415 - optional package

        pillow_heif.options.DECODE_THREADS = 1
        pillow_heif.register_heif_opener(thumbnails=False)


def decode_picture(data: bytes, request: DecodeRequest, early: EarlyRows | None = None) -> DecodedParts:
    """Decode the first frame that shows something of ``data``, which must be of ``request.format``.

    Pixels may leave through ``early`` meanwhile, also those of a picture that turns out to be damaged.
    Raises PictureTooLargeError, CorruptPictureError or UnsupportedFormatError, and MemoryError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _decode(data, request, early)
        except Image.DecompressionBombError as error:
            raise PictureTooLargeError(
                f"The picture has too many pixels (limit {request.max_image_pixels}).",
                hint="raise limits.max_image_pixels or resize the file.",
            ) from error
        except DECODER_ERRORS as error:
            _tell_limits(data, request)
            completed = with_end(data) if request.format == "JPEG" else None
            if completed is not None:
                with contextlib.suppress(*DECODER_ERRORS):
                    return _decode(completed, request)
            raise CorruptPictureError(
                f"The {request.format} data is damaged, truncated or of an unsupported kind.",
                hint="open it in another program and save it again, or copy it again.",
            ) from error


def _tell_limits(data: bytes, request: DecodeRequest) -> None:
    """Raise PictureTooLargeError or MemoryError if a limit inside a library explains a decoder's error."""
    opened = None
    with contextlib.suppress(*DECODER_ERRORS):
        opened = Image.open(io.BytesIO(data), formats=(request.format,))
    raise_if_limited(data, request.format, opened)


def _decode(data: bytes, request: DecodeRequest, early: EarlyRows | None = None) -> DecodedParts:
    if request.format == "GIF":
        _check_size(gif_canvas_px(data), request)
    elif request.format == "WEBP":
        _check_size(webp_canvas_px(data), request)
    elif request.format == "HEIF":
        lift_heif_limits()
    source = _FileBytes(
        data, without_needless_chunks(data) if request.format == "PNG" else data, request.format
    )
    with _opened(source, request) as opened:
        size = opened.size
        _check_size(size, request)
        num_frames = _count_frames(opened, data, request)
        whole_size = _whole_size(size, request)
        min_size = whole_size if request.wants_only_full_size else _working_size(size, request)
        min_size = min(min_size[0], whole_size[0]), min(min_size[1], whole_size[1])
        sends_early = early is not None and request.wants_only_image_of(whole_size)
        with _sent(opened, data, early if sends_early and whole_size == size else None):
            is_whole = _load(opened, _loaded_size(whole_size, min_size, request)) == whole_size
        orientation = orientation_of(opened)
        frames = OpenedFrames(opened, request.format, num_frames)
        rgb = frames.show(lambda: _upright_rgb(opened, source, min_size, orientation))
        full_size = None
        if request.wants_full_size and is_whole:
            full_size = (
                rgb if min_size == whole_size else _upright_rgb(opened, source, whole_size, orientation)
            )
        pages: tuple[Image.Image | None, ...] = ()
        if request.wants_pages:
            page = _first_page(opened, source, whole_size, orientation, request)
            pages = (page, *frames.pages(rgb, lambda: _further_page(opened, source, request)))
    if request.wants_full_size and full_size is None:
        # A JPEG is decoded at a reduced scale, which is cheap, and a second time at full size. Reducing the
        # full size instead would give other pixels and hashes than when full size is not requested.
        with _opened(source, request) as opened:
            _load(opened, whole_size)
            full_size = _upright_rgb(opened, source, whole_size, orientation)
    if orientation >= 5:
        size, whole_size = size[::-1], whole_size[::-1]
    image = None if request.max_side_px is None else fit_within(rgb, request.max_side_px)
    thumbnail, colours = None, b""
    if request.thumbnail_side_px is not None:
        colours = rgb.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX).tobytes()
        thumbnail = thumbnail_file(fit_within(rgb, request.thumbnail_side_px, gap=1.0))
    if image is not None and image.size == whole_size:
        full_size = None
    hash_grey = hash_grey_of(rgb) if request.wants_hashes else b""
    return DecodedParts(*size, num_frames, whole_size, image, thumbnail, hash_grey, full_size, pages, colours)


def _opened(source: _FileBytes, request: DecodeRequest) -> Image.Image:
    if request.format == "GIF":
        return GifCanvas(source.data, request.max_frames, request.max_image_pixels)
    if request.format == "BMP" and (odd := odd_bmp(source.data)) is not None:
        _check_size(odd.size, request)
        return odd.image()
    opened = Image.open(io.BytesIO(source.data), formats=(request.format,))
    if request.format == "PNG" and num_png_frames(source.data):
        _check_size(opened.size, request)
        with contextlib.suppress(*DECODER_ERRORS):  # browsers show the first picture of a damaged APNG
            return ApngCanvas(source.data, request.max_frames)
    seek_to_picture(opened)
    if request.format == "AVIF" and getattr(opened, "n_frames", 1) == 1:
        _check_size(opened.size, request)
        if (shown := clean_aperture(source.file, opened.size)) is not None:
            return cropped(opened, shown)
    return opened


def _sent(
    opened: Image.Image, data: bytes, early: EarlyRows | None
) -> contextlib.AbstractContextManager[None]:
    """Return a context in which what is decoded is sent, if it is what the picture shows."""
    if (
        early is not None
        and isinstance(opened, JpegImagePlugin.JpegImageFile)
        and is_shown_as_decoded(opened)
    ):
        return early.sent(opened, data)
    return contextlib.nullcontext()


def _loaded_size(
    whole_size: tuple[int, int], min_size: tuple[int, int], request: DecodeRequest
) -> tuple[int, int]:
    """Return the least size at which a JPEG must be decoded for everything that is wanted."""
    read = (1, 1)
    if request.wants_pages and request.max_side_px is not None:
        read = reading_size(request.format, whole_size, request.max_side_px)
    width_px, height_px = max(read[0], min_size[0]), max(read[1], min_size[1])
    return min(width_px, whole_size[0]), min(height_px, whole_size[1])


def _first_page(
    opened: Image.Image,
    source: _FileBytes,
    whole_size: tuple[int, int],
    orientation: int,
    request: DecodeRequest,
) -> Image.Image | None:
    """Return the picture for reading, None if it is no larger than ``max_side_px``."""
    if request.max_side_px is None:
        return None
    upright_size = whole_size[::-1] if orientation >= 5 else whole_size
    size = reading_size(request.format, upright_size, request.max_side_px)
    if max(size) <= request.max_side_px:
        return None
    rgb = _upright_rgb(opened, source, size[::-1] if orientation >= 5 else size, orientation)
    return fit_within(rgb, max(size))


def _further_page(opened: Image.Image, source: _FileBytes, request: DecodeRequest) -> Image.Image:
    _check_size(opened.size, request)
    side_px = request.max_side_px or 1
    orientation = orientation_of(opened)
    return fit_within(_upright_rgb(opened, source, scaled_size(opened.size, side_px), orientation), side_px)


def _whole_size(size: tuple[int, int], request: DecodeRequest) -> tuple[int, int]:
    """Return the size of the most pixels that are decoded: all, or for a huge JPEG a half, quarter or eighth.

    Raises PictureTooLargeError if that is still more than limits.max_image_pixels.
    """
    for scale in _JPEG_SCALES if request.format == "JPEG" else ():
        whole_size = -(-size[0] // scale), -(-size[1] // scale)
        if whole_size[0] * whole_size[1] <= request.max_image_pixels:
            return whole_size
    if size[0] * size[1] <= request.max_image_pixels:
        return size
    reduced = " even at an eighth of its size" if request.format == "JPEG" else ""
    raise PictureTooLargeError(
        f"The picture has too many pixels{reduced}: {size[0] * size[1]} (limit {request.max_image_pixels}).",
        hint="raise limits.max_image_pixels or resize the file; only a JPEG is decoded at a reduced size.",
    )


def _load(opened: Image.Image, min_size: tuple[int, int]) -> tuple[int, int]:
    """Decode, a JPEG at its smallest scale of at least ``min_size``; return the decoded size."""
    if isinstance(opened, JpegImagePlugin.JpegImageFile):
        # Pillow divides the sides, so that a side rounded up would select the next larger scale.
        scale = max(one for one in _JPEG_SCALES if _is_at_least(opened.size, one, min_size))
        opened.draft(None, (max(1, opened.width // scale), max(1, opened.height // scale)))
    repair_layout(opened)
    opened.load()
    return opened.size


def _is_at_least(size: tuple[int, int], scale: int, min_size: tuple[int, int]) -> bool:
    return scale == 1 or (-(-size[0] // scale) >= min_size[0] and -(-size[1] // scale) >= min_size[1])


def _upright_rgb(
    opened: Image.Image, source: _FileBytes, min_size: tuple[int, int], orientation: int
) -> Image.Image:
    profile = profile_of(opened)
    is_png = opened.format == "PNG"
    image = apply_key(opened, source.data) if is_png and opened.tell() == 0 else opened
    coded = source.coded(has_profile=bool(profile))
    # Another frame would replace the pixels of an image that is shared.
    shares = source.format in _OFTEN_STILL and getattr(opened, "n_frames", 1) == 1
    rgb = to_rgb(image, min_size, is_full_range=is_png, profile=profile, coded=coded, shares=shares)
    return turn_upright(rgb, orientation)


def _check_size(size: tuple[int, int], request: DecodeRequest) -> None:
    if max(size) > request.max_image_side_px:
        raise PictureTooLargeError(
            f"The picture has a side that is too long: {max(size)} px (limit {request.max_image_side_px}).",
            hint="raise limits.max_image_side_px or resize the file.",
        )
    if request.format == "JPEG" and max(size) > _MAX_JPEG_SIDE_PX:
        raise PictureTooLargeError(
            f"The picture has a side that is too long for libjpeg: {max(size)} px "
            f"(limit {_MAX_JPEG_SIDE_PX}).",
            hint="no setting raises this limit; save it as PNG or resize it.",
        )
    _whole_size(size, request)


def _count_frames(opened: Image.Image, data: bytes, request: DecodeRequest) -> int:
    match request.format:
        case "GIF":
            num_frames = count_gif_frames(data, request.max_frames)
        case "TIFF":
            num_frames = count_tiff_frames(data, request.max_frames)
        case "JPEG" | "BMP":  # further pictures in a JPEG are depth maps and previews, not frames
            num_frames = 1
        case _:
            num_frames = int(getattr(opened, "n_frames", 1))
    if num_frames > request.max_frames:
        raise PictureTooLargeError(
            f"The picture has too many frames: more than {request.max_frames}.",
            hint="raise limits.max_frames or cut the animation.",
        )
    return max(1, num_frames)


def _working_size(size: tuple[int, int], request: DecodeRequest) -> tuple[int, int]:
    """Return the smallest size that serves everything requested.

    Hashes are always included, so that pixels do not depend on whether they are requested.
    """
    longest_px = max(request.max_side_px or 1, request.thumbnail_side_px or 1)
    for_hashes_px = math.ceil(_HASH_SOURCE_SIDE_PX * max(size) / min(size)) if min(size) else 1
    return scaled_size(size, max(longest_px, for_hashes_px))
