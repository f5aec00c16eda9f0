"""Every error Smallsight raises on purpose, with the exit code and HTTP status each one means.

::

    SmallsightError                    exit 1   HTTP 500
    ├── SettingsError                  exit 2   400   a setting, flag, variable or state file is invalid
    ├── ArgumentError                  exit 2   400   an argument or a field of a request cannot be used
    │   └── InvalidTextError           exit 2   400   text with half of a character, or not UTF-8
    ├── PictureError                   exit 4   422   something is wrong with one picture
    │   ├── PictureNotFoundError       exit 3   404   no such file, or not readable
    │   ├── UnsupportedFormatError     exit 4   415   not one of the picture formats that are read
    │   ├── PictureTooLargeError       exit 4   413   over a limit: bytes, pixels, sides or frames
    │   ├── CorruptPictureError        exit 4   422   the bytes do not decode
    │   ├── MissingDecoderError        exit 5   501   its format needs an extra; also a MissingExtraError
    │   ├── DecoderFailedError         exit 4   422   the decoder ran out of time or memory, or crashed
    │   └── UnexpectedPictureError     exit 4   422   a fault of ours or of a library met it
    ├── ModelError                     exit 4   500   something is wrong with one model
    │   ├── UnknownModelError          exit 3   404   no such name in the catalogue
    │   ├── ModelUnavailableError      exit 5   503   its files are not on this machine
    │   ├── ModelClosedError           exit 1   503   it was closed before or during the call
    │   ├── ModelNotRunnableError      exit 5   501   this release cannot run it yet
    │   ├── BrokenCheckpointError      exit 4   500   its files are damaged or incomplete
    │   ├── PromptTooLongError         exit 4   400   more tokens than the model's context
    │   ├── DownloadError              exit 5   502   fetching files failed
    │   └── RemoteModelError           exit 5   502   the server that runs it does not answer
    ├── MissingExtraError              exit 5   501   an optional package is not installed
    ├── LibraryError                   exit 4   500   something is wrong with the library of pictures
    │   ├── LibraryBusyError           exit 6   409   another process is writing to it
    │   ├── LibraryMissingError        exit 3   404   nothing has been indexed yet
    │   ├── LibraryDamagedError        exit 4   500   the database fails its integrity check
    │   ├── NotInLibraryError          exit 3   404   no such picture, folder or tag
    │   └── FolderError                exit 3   400   a folder cannot be added or scanned
    │       └── FolderMissingError     exit 8   404   its disk is probably not connected
    ├── ServerError                    exit 1   500   something is wrong with one request to the server
    │   ├── BadRequestError            exit 2   400   a field is missing, invalid, or not supported
    │   ├── NotAuthorisedError         exit 2   401   no key, or an unknown one
    │   ├── ForbiddenError             exit 2   403   the key or the page's origin does not allow this
    │   ├── RequestTooLargeError       exit 4   413   a body over the limit
    │   ├── RequestTooSlowError        exit 1   408   a body that did not arrive in time
    │   ├── TooManyRequestsError       exit 6   429   too many requests are in progress
    │   └── ServerStoppingError        exit 6   503   the server accepts no new requests
    ├── StorageError                   exit 7   507   the disk is full, or a folder cannot be written to
    └── OutOfResourcesError            exit 7   507   memory ran out
        └── MemoryBudgetError          exit 7   503   a model does not fit beside those in use

Exit code 0 is success, 130 is "interrupted by the user". A message says what failed and its value,
then what was allowed; ``hint`` says what to do about it.
"""

from __future__ import annotations

from typing import ClassVar, Self


class SmallsightError(Exception):
    """The base class of all errors that Smallsight raises on purpose.

    ``code`` is stable and meant for programs; ``hint`` tells a person what to do, or is None.
    """

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} hint: {self.hint}"


class SettingsError(SmallsightError):
    """A setting, flag, environment variable or state file has a value that cannot be used."""

    code = "bad_setting"
    exit_code = 2
    http_status = 400


class ArgumentError(SmallsightError):
    """An argument of a call, or the same field in an HTTP request, has a value that cannot be used.

    Not a ValueError: pydantic and every ``except ValueError`` around a parser would catch it.
    """

    code = "unsupported_value"
    exit_code = 2
    http_status = 400


class InvalidTextError(ArgumentError):
    """Text that is not Unicode: half of a surrogate pair, or bytes that are not UTF-8."""

    code = "invalid_text"

    @classmethod
    def of(cls, what: str) -> Self:
        """Return one that names the argument."""
        return cls(
            f"{what} is not valid text: it holds half of a character, or bytes that are not UTF-8.",
            hint="send whole Unicode characters, as UTF-8.",
        )


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
        """Return one that names the exception."""
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return cls(
            f"Something in this file was not expected ({reason[:200]}).",
            hint="the others are not affected; please report it (SMALLSIGHT_LOG_LEVEL=info says where).",
        )


class ModelError(SmallsightError):
    """One model cannot be used."""

    code = "bad_model"
    exit_code = 4


class UnknownModelError(ModelError):
    """The catalogue has no such name."""

    code = "unknown_model"
    exit_code = 3
    http_status = 404


class ModelUnavailableError(ModelError):
    """The model's files are not on this machine."""

    code = "model_unavailable"
    exit_code = 5
    http_status = 503


class ModelClosedError(ModelError):
    """The model was closed before the call, or while a request was in progress."""

    code = "model_closed"
    exit_code = 1
    http_status = 503


class ModelNotRunnableError(ModelError):
    """The catalogue knows the model, but this release cannot run it yet."""

    code = "model_not_runnable"
    exit_code = 5
    http_status = 501


class BrokenCheckpointError(ModelError):
    """A checkpoint's files are truncated, inconsistent, or not what the family needs."""

    code = "broken_checkpoint"


class PromptTooLongError(ModelError):
    """A prompt, its pictures included, does not fit into the model's context."""

    code = "prompt_too_long"
    http_status = 400


class DownloadError(ModelError):
    """Files could not be fetched, or did not match their checksum."""

    code = "download_failed"
    exit_code = 5
    http_status = 502


class RemoteModelError(ModelError):
    """The server that runs the model cannot be reached, failed, or sent an invalid response."""

    code = "remote_model"
    exit_code = 5
    http_status = 502


class MissingExtraError(SmallsightError):
    """An optional package is needed and not installed."""

    code = "missing_extra"
    exit_code = 5
    http_status = 501


class MissingDecoderError(UnsupportedFormatError, MissingExtraError):
    """One picture's format needs an optional package; other pictures are not affected."""

    code = "missing_decoder"
    exit_code = 5
    http_status = 501


class LibraryError(SmallsightError):
    """Something is wrong with the library of pictures."""

    code = "library_error"
    exit_code = 4


class LibraryBusyError(LibraryError):
    """Another process is writing to the library."""

    code = "library_busy"
    exit_code = 6
    http_status = 409


class LibraryMissingError(LibraryError):
    """Nothing has been indexed in this data folder yet."""

    code = "library_missing"
    exit_code = 3
    http_status = 404


class LibraryDamagedError(LibraryError):
    """The database fails its integrity check, or was written by a newer version."""

    code = "library_damaged"


class NotInLibraryError(LibraryError):
    """No such picture, folder or tag in the library."""

    code = "not_in_library"
    exit_code = 3
    http_status = 404


class FolderError(LibraryError):
    """A folder cannot be added or scanned."""

    code = "bad_folder"
    exit_code = 3
    http_status = 400


class FolderMissingError(FolderError):
    """A folder of the library is not there, or empty: its disk is probably not connected."""

    code = "folder_missing"
    exit_code = 8
    http_status = 404


class ServerError(SmallsightError):
    """One request to the server cannot be answered.

    ``param`` names the offending field; ``retry_after_s`` is the number of seconds to wait before a retry.
    """

    code = "server_error"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.param = param
        self.retry_after_s = retry_after_s


class BadRequestError(ServerError):
    """A field is missing, invalid, or requests something that this release does not support."""

    code = "bad_request"
    exit_code = 2
    http_status = 400


class NotAuthorisedError(ServerError):
    """The request has no key, or an unknown one."""

    code = "invalid_api_key"
    exit_code = 2
    http_status = 401


class ForbiddenError(ServerError):
    """The key does not allow this, or the request comes from a page of another site."""

    code = "forbidden"
    exit_code = 2
    http_status = 403


class RequestTooLargeError(ServerError):
    """The body of a request is over the limit."""

    code = "request_too_large"
    exit_code = 4
    http_status = 413


class RequestTooSlowError(ServerError):
    """The body of a request did not arrive in time."""

    code = "request_too_slow"
    http_status = 408


class TooManyRequestsError(ServerError):
    """Too many requests are in progress."""

    code = "too_many_requests"
    exit_code = 6
    http_status = 429


class ServerStoppingError(ServerError):
    """The server finishes open requests and accepts no new ones."""

    code = "server_stopping"
    exit_code = 6
    http_status = 503


class StorageError(SmallsightError):
    """The disk is full, or a folder cannot be written to; what was finished before is kept."""

    code = "storage"
    exit_code = 7
    http_status = 507


class OutOfResourcesError(SmallsightError):
    """Memory ran out; what was finished before is kept."""

    code = "out_of_resources"
    exit_code = 7
    http_status = 507


class MemoryBudgetError(OutOfResourcesError):
    """A model does not fit in the memory budget next to the models in use."""

    code = "memory_budget"
    http_status = 503
