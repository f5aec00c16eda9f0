"""Opens the picture of a job: only regular files inside the folder of pictures, of at most 10 MB."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from smallsight.errors import (
    CorruptPictureError,
    MissingDecoderError,
    PictureError,
    UnsupportedFormatError,
)

__all__ = ["MAX_PICTURE_BYTES", "ConfinedFolder", "PermanentJobError", "unusable_picture"]

MAX_PICTURE_BYTES = 10 * 1024 * 1024
_MIB = 1024 * 1024


class PermanentJobError(Exception):
    """A job that fails in the same way each time; its text is the original's sentence for it."""


@dataclass(frozen=True, slots=True)
class ConfinedFolder:
    """The folder with the application's pictures; without ``root`` any path is opened, for the test mode."""

    root: Path | None

    def path_of(self, image_path: str) -> str:
        """Return the path as the original writes it."""
        return image_path if self.root is None else f"{str(self.root).rstrip('/')}/{image_path}"

    def read(self, image_path: str) -> bytes:
        """Return the bytes of a picture; raises PermanentJobError."""
        path = self.path_of(image_path)
        try:
            found = os.path.realpath(path, strict=True)
            if self.root is not None and not _is_inside(found, os.path.realpath(self.root)):
                raise PermanentJobError(_not_found(path))
            descriptor = _open(found)
            try:
                state = os.fstat(descriptor)
                if not stat.S_ISREG(state.st_mode):
                    raise PermanentJobError(_not_readable(path, "it is not a file"))
                _check_size(state.st_size)
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    data = file.read(MAX_PICTURE_BYTES + 1)
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise PermanentJobError(_not_found(path)) from error
        except OSError as error:
            raise PermanentJobError(_not_readable(path, str(error))) from error
        _check_size(len(data))
        return data


def unusable_picture(path: str, error: PictureError) -> PermanentJobError:
    """Return the error of a job whose picture cannot be decoded."""
    is_foreign = isinstance(error, UnsupportedFormatError) and not isinstance(error, MissingDecoderError)
    if is_foreign or isinstance(error, CorruptPictureError):
        return PermanentJobError(f"Invalid or corrupt image file: {path}")
    return PermanentJobError(_not_readable(path, str(error)))


def _open(path: str) -> int:
    """Open a path whose links have been followed; a pipe does not block, a new link is refused."""
    return os.open(
        path,
        os.O_RDONLY
        | getattr(os, "O_NOFOLLOW", 0)
        | getattr(os, "O_NONBLOCK", 0)
        | getattr(os, "O_BINARY", 0)
        | getattr(os, "O_CLOEXEC", 0),
    )


def _is_inside(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder) and path != folder


def _not_found(path: str) -> str:
    return f"Image file not found: {path}"


def _not_readable(path: str, why: str) -> str:
    return f"Cannot read image file: {path} - {why}"


def _check_size(num_bytes: int) -> None:
    if num_bytes > MAX_PICTURE_BYTES:
        message = (
            f"Image file too large: {num_bytes / _MIB:.1f}MB exceeds {MAX_PICTURE_BYTES // _MIB}MB limit"
        )
        raise PermanentJobError(message)
