"""Errors about the library of pictures."""

from __future__ import annotations

from smallsight.errors.root import SmallsightError


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


class FileChangedError(LibraryError):
    """A file is not, or no longer, what was shown, so that it is not removed."""

    code = "file_changed"
    http_status = 409


class FileNotRemovableError(LibraryError):
    """The disk or the system does not allow a file to be removed."""

    code = "file_not_removable"
    exit_code = 7
    http_status = 403


class NotEmbeddedError(LibraryError):
    """Pictures have no vectors that words can be compared with."""

    code = "not_embedded"
    exit_code = 3
    http_status = 409
