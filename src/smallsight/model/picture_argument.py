"""The types that callers may pass as a picture or video, and opening pictures through the sandbox."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from smallsight.errors import (
    ArgumentError,
    DecoderFailedError,
    PictureNotFoundError,
    PictureTooLargeError,
    UnsupportedFormatError,
)
from smallsight.families.messages import TiledPicture, Video
from smallsight.families.plain_rgb import OpenedImage, as_pillow, size_of
from smallsight.media.caller_image import check_size, show_image
from smallsight.media.decoder import PictureDecoder
from smallsight.media.files import read_picture_file
from smallsight.settings import Limits

__all__ = [
    "NamedBytes",
    "NamedImage",
    "NamedVideo",
    "PictureArgument",
    "PictureOpener",
    "Pictures",
    "RecalledPicture",
    "list_pictures",
    "name_of_picture",
    "open_picture",
    "read_argument",
    "refuse_one_picture",
]


_ADDRESS = re.compile(r"(https?|ftp|file|s3|gs|data):(?:/|image/|video/)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NamedBytes:
    """A picture's bytes and the name of its file."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An opened picture and the name of its file, if any; ``digest`` is the file's SHA-256.

    Pixels are those of a decoder: they are used without a copy, so nobody may change them.
    """

    name: str | None
    image: OpenedImage
    digest: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return size_of(self.image)


@dataclass(frozen=True, slots=True)
class RecalledPicture:
    """A picture that a model has cached as tiles; ``Model.recall`` returns it."""

    name: str | None
    picture: TiledPicture


@dataclass(frozen=True, slots=True)
class NamedVideo:
    """A video's frames, sampled for a family, and the name of its file, if any."""

    name: str | None
    video: Video


PictureArgument: TypeAlias = (
    str
    | os.PathLike[str]
    | bytes
    | BinaryIO
    | NamedBytes
    | NamedImage
    | RecalledPicture
    | NamedVideo
    | Image.Image
    | npt.NDArray[np.uint8]
)


_ONE_PICTURE = (
    str,
    bytes,
    bytearray,
    memoryview,
    os.PathLike,
    Image.Image,
    NamedBytes,
    NamedImage,
    NamedVideo,
    RecalledPicture,
)
_ONE_PICTURE_DIMENSIONS = 3
Pictures: TypeAlias = PictureArgument | Sequence[PictureArgument]


class PictureOpener:
    """Opens pictures one by one with one decoding process, which starts when first needed.

    Not thread-safe: use one opener per thread. Close it, or use it in ``with``.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._decoder = PictureDecoder(limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def child_pid(self) -> int | None:
        """The decoding process's id, or None while there is none."""
        return self._decoder.child_pid

    def close(self) -> None:
        """End the decoding process; a later ``open`` starts another."""
        self._decoder.close()

    def open(self, picture: PictureArgument) -> Image.Image:
        """Return the picture's first frame in full resolution.

        Files and bytes are decoded in the sandbox and returned upright, in sRGB, with transparency on the
        ground that shows it; a huge JPEG at a reduced size. The current frame of a PIL image gives the same
        pixels as its own file. Those of a uint8 RGB array [H, W, 3] are returned unchanged; [H, W] is grey,
        and [H, W, 4] is laid on its ground. Raises only PictureError.
        """
        return as_pillow(self.open_pixels(picture))

    def open_pixels(self, picture: PictureArgument) -> OpenedImage:
        """Return the picture as ``open`` does, of a file or bytes as RGB pixels [H, W, 3], without a copy."""
        if isinstance(picture, Image.Image):
            return show_image(picture, self._limits)
        if isinstance(picture, NamedImage):
            return _shown(picture, self._limits)
        if isinstance(picture, np.ndarray):
            return _image_of_array(picture, self._limits)
        file = read_argument(picture, self._limits)
        if file is not None:
            return self._decode(file.data)
        hint = "pass a path, a file or its bytes, a PIL image or a uint8 array [H, W, 3]."
        if hasattr(picture, "__array__"):  # a tensor of another library, whose shape and range are unknown
            hint = "make it a uint8 array [height, width, 3] with values from 0 to 255, or a PIL image."
        raise UnsupportedFormatError(f"A value of type {type(picture).__name__} is not a picture.", hint=hint)

    def _decode(self, data: bytes) -> npt.NDArray[np.uint8]:
        decoded = self._decoder.decode(data, max_side_px=self._limits.max_image_side_px)
        if decoded.image_HWC is None:
            raise DecoderFailedError("The decoder returned no pixels.")
        return decoded.image_HWC


def read_argument(argument: PictureArgument, limits: Limits) -> NamedBytes | None:
    """Return the bytes of a path, of an open file from its start, or of bytes; None for anything else.

    ``~`` at the start of a path is the user's folder. Raises PictureError, also for an address on the web.
    """
    if isinstance(argument, NamedBytes):
        return argument
    if isinstance(argument, bytes | bytearray | memoryview):
        return NamedBytes("", bytes(argument))
    if isinstance(argument, str | os.PathLike):
        _refuse_address(str(argument))
        path = _expanded(Path(argument))
        return NamedBytes(path.name, read_picture_file(path, limits))
    if callable(getattr(argument, "read", None)):
        return _read_open_file(cast("BinaryIO", argument), limits.max_file_bytes)
    return None


def open_picture(picture: PictureArgument, limits: Limits) -> Image.Image:
    """Open one picture as ``PictureOpener.open`` does, in a separate decoding process."""
    with PictureOpener(limits) as opener:
        return opener.open(picture)


def list_pictures(pictures: Pictures) -> list[PictureArgument]:
    """Return the pictures as a list; only a list or tuple counts as several."""
    if isinstance(pictures, list | tuple):
        return list(pictures)
    return [cast("PictureArgument", pictures)]  # no other sequence is accepted


def refuse_one_picture(pictures: object, hint: str = "pass a list of pictures, or call describe.") -> None:
    """Raise ArgumentError for one picture, or none, where several are expected.

    A path, an open file and the pixels of one picture can be iterated over, too.
    """
    is_file = callable(getattr(pictures, "read", None))
    is_pixels = isinstance(pictures, np.ndarray) and pictures.ndim <= _ONE_PICTURE_DIMENSIONS
    if is_file or is_pixels or isinstance(pictures, _ONE_PICTURE):
        raise ArgumentError("Several pictures are expected, and this is one.", hint=hint)
    if not isinstance(pictures, Iterable):
        raise ArgumentError(f"Pictures cannot be of type {type(pictures).__name__}.", hint=hint)


def name_of_picture(picture: PictureArgument) -> str | None:
    """Return a picture's file name without folders, or None if it is unknown."""
    if isinstance(picture, str | os.PathLike):
        return Path(picture).name or None
    if isinstance(picture, NamedBytes | NamedImage | NamedVideo | RecalledPicture):
        return Path(picture.name or "").name or None
    # Of an image that PIL opened from a file, or of an open file.
    filename = getattr(picture, "filename", None) or getattr(picture, "name", None)
    return Path(filename).name or None if isinstance(filename, str) else None


def _shown(picture: NamedImage, limits: Limits) -> OpenedImage:
    if isinstance(picture.image, Image.Image):
        return show_image(picture.image, limits)
    is_rgb = picture.image.dtype == np.uint8 and picture.image.ndim == 3 and picture.image.shape[2] == 3
    if not is_rgb or not picture.image.size:
        return _image_of_array(picture.image, limits)
    check_size(picture.size, limits, "make the array smaller")
    return picture.image


def _image_of_array(pixels: npt.NDArray[Any], limits: Limits) -> Image.Image:
    is_grey, is_colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] in {3, 4}
    if pixels.dtype != np.uint8 or not (is_grey or is_colour) or not pixels.size:
        raise UnsupportedFormatError(
            f"An array of {pixels.dtype} {list(pixels.shape)} is not a picture.",
            hint="pass uint8: RGB [height, width, 3], RGBA [height, width, 4] or grey [height, width].",
        )
    check_size((pixels.shape[1], pixels.shape[0]), limits, "make the array smaller")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return image if image.mode == "RGB" else show_image(image, limits)


def _refuse_address(path: str) -> None:
    """Raise PictureNotFoundError for a URL that no file is named; a Path has lost one of its slashes."""
    if (found := _ADDRESS.match(path)) is None or Path(path).exists():
        return
    if found[1].lower() == "data":
        what, hint = "A data: address is not a path.", "decode it and pass the bytes."
    else:
        what, hint = (
            f"Addresses are not fetched: {path}",
            "download the picture and pass its path or its bytes.",
        )
    raise PictureNotFoundError(what, hint=hint)


def _expanded(path: Path) -> Path:
    """Expand ``~``, unless there is a file of that very name or no such user."""
    if path.parts[:1] and path.parts[0].startswith("~") and not path.exists():
        try:
            return path.expanduser()
        except RuntimeError:
            return path
    return path


def _read_open_file(file: BinaryIO, max_bytes: int) -> NamedBytes:
    name = getattr(file, "name", "")
    name = Path(name).name if isinstance(name, str) else ""
    try:
        if file.seekable():
            file.seek(0)
        data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise PictureNotFoundError(f"The file cannot be read: {error}.", hint="open it again.") from error
    if not isinstance(data, bytes):
        raise UnsupportedFormatError("The file is opened as text.", hint='open it with mode "rb".')
    if len(data) > max_bytes:
        raise PictureTooLargeError(
            f"The file has more than {max_bytes} bytes.", hint="raise limits.max_file_bytes."
        )
    return NamedBytes(name, data)
