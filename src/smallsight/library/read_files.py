"""The bytes of files that a scan has just read, for whoever opens the same pictures next."""

from __future__ import annotations

from smallsight.settings import MIB

_MAX_BYTES = 64 * MIB


class ReadFiles:
    """Holds files by the SHA-256 of their bytes until they are taken, the first ones up to a limit of memory.

    A scan of a few new pictures hands all of them on, and each is read once. Of a scan that reads more than
    the limit the rest is not kept and has to be read again. It keeps the first and not the last because work
    on contents goes in the order in which they were first seen.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._files: dict[str, bytes] = {}

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep a file, or do nothing where there is no room for it."""
        if sha256 not in self._files and self._num_bytes + len(data) <= self._max_bytes:
            self._files[sha256] = data
            self._num_bytes += len(data)

    def take(self, sha256: str) -> bytes | None:
        """Return a file and forget it; None when it is not here."""
        data = self._files.pop(sha256, None)
        if data is not None:
            self._num_bytes -= len(data)
        return data

    def clear(self) -> None:
        """Forget every file."""
        self._files.clear()
        self._num_bytes = 0
