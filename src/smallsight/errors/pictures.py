"""Errors about one picture; others are not affected."""

from __future__ import annotations

from typing import Self

from smallsight.errors.refusals import refused_by_system
from smallsight.errors.root import MissingExtraError, SmallsightError


class PictureError(SmallsightError):
    """One picture cannot be used; others are not affected."""

    code = "bad_picture"
    exit_code = 4
    http_status = 422


class PictureNotFoundError(PictureError):
    """There is no such file, or this user may not read it."""

    code = "picture_not_found"
    exit_code = 3
    http_status = 404


class UnsupportedFormatError(PictureError):
    """The first bytes are not those of a picture format that Smallsight reads."""

    code = "unsupported_format"
    http_status = 415


class PictureTooLargeError(PictureError):
    """The file, its pixels, a side or its frames are over a limit."""

    code = "picture_too_large"
    http_status = 413


class CorruptPictureError(PictureError):
    """The file looks like a picture but does not decode."""

    code = "corrupt_picture"


class DecoderFailedError(PictureError):
    """The decoding process ran out of time or memory, or crashed, on this picture."""

    code = "decoder_failed"


class UnexpectedPictureError(PictureError):
    """Something in one file met a fault of ours or of a library; the log has the traceback at level info."""

    code = "unexpected"

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return one that names the exception.

        Raises OutOfResourcesError for what the system would have refused of any file: it is tried again.
        """
        if (refusal := refused_by_system(error)) is not None:
            raise refusal from error
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return cls(
            f"Something in this file was not expected ({reason[:200]}).",
            hint="the others are not affected; please report it (SMALLSIGHT_LOG_LEVEL=info says where).",
        )


class MissingDecoderError(UnsupportedFormatError, MissingExtraError):
    """One picture's format needs an optional package; other pictures are not affected."""

    code = "missing_decoder"
    exit_code = 5
    http_status = 501
