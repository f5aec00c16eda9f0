"""Every error Smallsight raises on purpose, with the exit code and HTTP status each one means.

::

    SmallsightError                    exit 1   HTTP 500
    ├── SettingsError                  exit 2   400   a setting, flag, variable or state file is invalid
    ├── ArgumentError                  exit 2   400   an argument or a field of a request cannot be used
    │   ├── InvalidTextError           exit 2   400   text with half of a character, or not UTF-8
    │   └── UnknownKeyError            exit 3   404   the server has no key of this name
    ├── PictureError                   exit 4   422   something is wrong with one picture
    │   ├── PictureNotFoundError       exit 3   404   no such file, or not readable
    │   ├── UnsupportedFormatError     exit 4   415   not one of the picture formats that are read
    │   ├── PictureTooLargeError       exit 4   413   over a limit: bytes, pixels, sides or frames
    │   ├── CorruptPictureError        exit 4   422   the bytes do not decode
    │   ├── MissingDecoderError        exit 5   501   its format needs an extra; also a MissingExtraError
    │   ├── DecoderFailedError         exit 4   422   the decoder ran out of time or memory, or crashed
    │   └── UnexpectedPictureError     exit 4   422   a fault of ours or of a library met it
    ├── ModelError                     exit 4   500   something is wrong with one model
    │   ├── UnknownModelError          exit 3   404   no such name, folder or files
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
    │   ├── NotEmbeddedError           exit 3   409   pictures have no vectors to add words to
    │   ├── FolderError                exit 3   400   a folder cannot be added or scanned
    │   │   └── FolderMissingError     exit 8   404   its disk is probably not connected
    │   ├── FileChangedError           exit 4   409   a file to be removed is not what was shown
    │   └── FileNotRemovableError      exit 7   403   the disk does not allow it to be removed
    ├── ServerError                    exit 1   500   something is wrong with one request to the server
    │   ├── BadRequestError            exit 2   400   a field is missing, invalid, or not supported
    │   │   └── PreviousResponseError  exit 2   400   the response that a request continues is not stored
    │   ├── TaskNotServedError         exit 5   501   no model of this server can do this task
    │   ├── NotAuthorisedError         exit 2   401   no key, or an unknown one
    │   │   └── LoginRequiredError     exit 2   401   the pages need a password, and there is no session
    │   ├── ForbiddenError             exit 2   403   the key or the page's origin does not allow this
    │   │   └── PagesClosedError       exit 2   403   others can reach the pages, which have no password
    │   ├── RequestTooLargeError       exit 4   413   a body over the limit
    │   ├── RequestTooSlowError        exit 1   408   a body that did not arrive in time
    │   ├── UnsupportedEncodingError   exit 2   415   a body that is packed in a way that is not read
    │   ├── TooManyRequestsError       exit 6   429   too many requests are in progress
    │   ├── ResponseMissingError       exit 3   404   no stored response, or item of one, has this id
    │   ├── UploadMissingError         exit 3   404   no unfinished upload has this name
    │   ├── UploadConflictError        exit 6   409   bytes that do not follow those that have arrived
    │   ├── ServerStoppingError        exit 6   503   the server accepts no new requests
    │   └── AddressInUseError          exit 6   503   another program listens on the server's address
    ├── ClusterError                   exit 6   503   a cluster does not answer, has no room, or failed
    ├── PathError                      exit 3   400   a path is too long, or this user may not look there
    ├── StorageError                   exit 7   507   the disk is full, or a folder cannot be written to
    └── OutOfResourcesError            exit 7   507   memory ran out, or the system has no more threads
        ├── DecoderNotStartedError     exit 7   507   no process can be started that decodes files
        └── MemoryBudgetError          exit 7   503   a model does not fit beside those in use

Exit code 0 is success, 130 is "interrupted by the user". A message says what failed and its value,
then what was allowed; ``hint`` says what to do about it.
"""

from __future__ import annotations

from smallsight.errors.library import (
    FileChangedError,
    FileNotRemovableError,
    FolderError,
    FolderMissingError,
    LibraryBusyError,
    LibraryDamagedError,
    LibraryError,
    LibraryMissingError,
    NotEmbeddedError,
    NotInLibraryError,
)
from smallsight.errors.models import (
    BrokenCheckpointError,
    DownloadError,
    ModelClosedError,
    ModelError,
    ModelNotRunnableError,
    ModelUnavailableError,
    PromptTooLongError,
    RemoteModelError,
    UnknownModelError,
)
from smallsight.errors.pictures import (
    CorruptPictureError,
    DecoderFailedError,
    MissingDecoderError,
    PictureError,
    PictureNotFoundError,
    PictureTooLargeError,
    UnexpectedPictureError,
    UnsupportedFormatError,
)
from smallsight.errors.root import (
    ArgumentError,
    ClusterError,
    DecoderNotStartedError,
    InvalidTextError,
    MemoryBudgetError,
    MissingExtraError,
    OutOfResourcesError,
    PathError,
    SettingsError,
    SmallsightError,
    StorageError,
    UnknownKeyError,
)
from smallsight.errors.server import (
    AddressInUseError,
    BadRequestError,
    ForbiddenError,
    LoginRequiredError,
    NotAuthorisedError,
    PagesClosedError,
    PreviousResponseError,
    RequestTooLargeError,
    RequestTooSlowError,
    ResponseMissingError,
    ServerError,
    ServerStoppingError,
    TaskNotServedError,
    TooManyRequestsError,
    UnsupportedEncodingError,
    UploadConflictError,
    UploadMissingError,
)

__all__ = [
    "AddressInUseError",
    "ArgumentError",
    "BadRequestError",
    "BrokenCheckpointError",
    "ClusterError",
    "CorruptPictureError",
    "DecoderFailedError",
    "DecoderNotStartedError",
    "DownloadError",
    "FileChangedError",
    "FileNotRemovableError",
    "FolderError",
    "FolderMissingError",
    "ForbiddenError",
    "InvalidTextError",
    "LibraryBusyError",
    "LibraryDamagedError",
    "LibraryError",
    "LibraryMissingError",
    "LoginRequiredError",
    "MemoryBudgetError",
    "MissingDecoderError",
    "MissingExtraError",
    "ModelClosedError",
    "ModelError",
    "ModelNotRunnableError",
    "ModelUnavailableError",
    "NotAuthorisedError",
    "NotEmbeddedError",
    "NotInLibraryError",
    "OutOfResourcesError",
    "PagesClosedError",
    "PathError",
    "PictureError",
    "PictureNotFoundError",
    "PictureTooLargeError",
    "PreviousResponseError",
    "PromptTooLongError",
    "RemoteModelError",
    "RequestTooLargeError",
    "RequestTooSlowError",
    "ResponseMissingError",
    "ServerError",
    "ServerStoppingError",
    "SettingsError",
    "SmallsightError",
    "StorageError",
    "TaskNotServedError",
    "TooManyRequestsError",
    "UnexpectedPictureError",
    "UnknownKeyError",
    "UnknownModelError",
    "UnsupportedEncodingError",
    "UnsupportedFormatError",
    "UploadConflictError",
    "UploadMissingError",
]
