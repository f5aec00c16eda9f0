"""Keeps the bytes of files that a scan has just read, for the stages that open them next."""

from __future__ import annotations

from smallsight.settings import MIB

_MAX_BYTES = 32 * MIB  # while pictures are read, every process is at its largest


class ReadFiles:
    """Holds files by the SHA-256 of their bytes until they are taken, up to a memory limit.

    A scan of a few new pictures passes all of them on, and each is read once. If a scan reads more than the
    limit, the rest is not kept and has to be read again. The first files are kept, not the last, because
    contents are processed in the order in which they were first seen.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._files: dict[str, bytes] = {}

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep a file, or do nothing if it exceeds the limit."""
        if sha256 not in self._files and self._num_bytes + len(data) <= self._max_bytes:
            self._files[sha256] = data
            self._num_bytes += len(data)

    def take(self, sha256: str) -> bytes | None:
        """Remove and return a file; None if it is not held."""
        data = self._files.pop(sha256, None)
        if data is not None:
            self._num_bytes -= len(data)
        return data

    def clear(self) -> None:
        """Remove every file."""
        self._files.clear()
        self._num_bytes = 0
