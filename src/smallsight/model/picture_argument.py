"""The types that callers may pass as a picture or video, and opening pictures through the sandbox."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from smallsight.errors import DecoderFailedError, UnsupportedFormatError
from smallsight.families.messages import TiledPicture, Video
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
]


@dataclass(frozen=True, slots=True)
class NamedBytes:
    """A picture's bytes and the name of its file."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An opened picture and the name of its file, if any; ``digest`` is the file's SHA-256."""

    name: str | None
    image: Image.Image
    digest: bytes | None = None


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
    | NamedBytes
    | NamedImage
    | RecalledPicture
    | NamedVideo
    | Image.Image
    | npt.NDArray[np.uint8]
)


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
        pixels as its own file. Those of a uint8 RGB array [H, W, 3] are returned unchanged. Raises only
        PictureError.
        """
        if isinstance(picture, Image.Image):
            return show_image(picture, self._limits)
        if isinstance(picture, NamedImage):
            return show_image(picture.image, self._limits)
        if isinstance(picture, np.ndarray):
            return _image_of_array(picture, self._limits)
        if isinstance(picture, NamedBytes):
            return self._decode(picture.data)
        if isinstance(picture, bytes | bytearray | memoryview):
            return self._decode(bytes(picture))
        if isinstance(picture, str | os.PathLike):
            return self._decode(read_picture_file(Path(picture), self._limits))
        raise UnsupportedFormatError(
            f"A {type(picture).__name__} is not a picture.",
            hint="pass a path, the bytes of a file, a PIL image or a uint8 array [H, W, 3].",
        )

    def _decode(self, data: bytes) -> Image.Image:
        decoded = self._decoder.decode(data, max_side_px=self._limits.max_image_side_px)
        if decoded.image_HWC is None:
            raise DecoderFailedError("The decoder returned no pixels.")
        return Image.fromarray(decoded.image_HWC)


def open_picture(picture: PictureArgument, limits: Limits) -> Image.Image:
    """Open one picture as ``PictureOpener.open`` does, in a separate decoding process."""
    with PictureOpener(limits) as opener:
        return opener.open(picture)


def list_pictures(pictures: Pictures) -> list[PictureArgument]:
    """Return the pictures as a list; only a list or tuple counts as several."""
    if isinstance(pictures, list | tuple):
        return list(pictures)
    return [cast("PictureArgument", pictures)]  # no other sequence is accepted


def name_of_picture(picture: PictureArgument) -> str | None:
    """Return a picture's file name without folders, or None if it is unknown."""
    if isinstance(picture, str | os.PathLike):
        return Path(picture).name or None
    if isinstance(picture, NamedBytes | NamedImage | NamedVideo | RecalledPicture):
        return Path(picture.name or "").name or None
    filename = getattr(picture, "filename", None)  # only images that PIL opened from a file
    return Path(filename).name or None if isinstance(filename, str) else None


def _image_of_array(pixels: npt.NDArray[Any], limits: Limits) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise UnsupportedFormatError(
            f"An array of {pixels.dtype} {list(pixels.shape)} is not a picture.",
            hint="pass uint8 RGB as [height, width, 3].",
        )
    check_size((pixels.shape[1], pixels.shape[0]), limits, "make the array smaller")
    return Image.fromarray(np.ascontiguousarray(pixels))
