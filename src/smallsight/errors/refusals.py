"""What the system refuses to every program for want of threads, processes, files or memory."""

from __future__ import annotations

import errno
import os

from smallsight.errors.root import OutOfResourcesError

__all__ = ["refused_by_system"]

_SCARCE = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN))
_NO_THREAD = "can't start new thread"  # Python's words
# Words of libraries in C++ that pass an error on as text, such as OpenVINO when it loads its plugin.
_NO_MEMORY = (
    "std::bad_alloc",
    "Cannot allocate memory",
    "failed to map segment",
    "Failed to allocate",
    os.strerror(errno.EAGAIN),
)


def refused_by_system(error: BaseException) -> OutOfResourcesError | None:
    """Return the error to tell for an exception that has nothing to do with what was worked on, else None."""
    if isinstance(error, OutOfResourcesError):
        return error
    if isinstance(error, OSError) and error.errno in _SCARCE:
        reason = error.strerror or str(error)
    elif isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        reason = "No further thread can be started"
    elif isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY):
        reason = "No further memory or thread can be had"
    else:
        return None
    return OutOfResourcesError(
        f"The system refused: {reason}.", hint="close other programs, or raise the limit (ulimit -a)."
    )
