"""Says in a sentence why the system refused a command its path, its disk, its memory or its files."""

from __future__ import annotations

import errno

from smallsight.errors import OutOfResourcesError, PathError, SmallsightError, StorageError
from smallsight.errors.refusals import refused_by_system

__all__ = ["system_error"]

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG))
_FORBIDDEN = frozenset((errno.EACCES, errno.EPERM))
_NO_HOME = "Could not determine home directory."  # pathlib's words for ``~nobody``
_UNUSABLE = frozenset(
    (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EIO, errno.ESTALE, errno.ENOENT)
)


def system_error(error: Exception) -> SmallsightError | None:
    """Return what to tell of an error that no part of the program has told; None for one of another kind."""
    if isinstance(error, MemoryError):
        return OutOfResourcesError("Memory ran out.", hint="close other programs, or work on fewer pictures.")
    if (refusal := refused_by_system(error)) is not None:
        return refusal
    if isinstance(error, RuntimeError) and str(error) == _NO_HOME:
        return PathError("A path begins with ~ and a user that does not exist.", hint="write it out.")
    if not isinstance(error, OSError):
        return None
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        where = f": {error.filename}" if error.filename is not None else ""
        return StorageError(f"Writing failed ({reason}){where}", hint="make room, or choose another path.")
    if error.errno == errno.ENOENT and error.filename is None:  # of os.getcwd
        return PathError("The current folder has been removed.", hint="go to another folder, with cd.")
    if error.filename is None or error.errno not in _FORBIDDEN | _UNUSABLE:
        return None
    is_forbidden = error.errno in _FORBIDDEN
    hint = "give this user the permission, or choose another path." if is_forbidden else "check the path."
    return PathError(f"This path cannot be used ({reason}): {error.filename}", hint=hint)
