"""Remembers which files an export wrote, and with which content, so that a later one may replace them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from smallsight.library.exporting.new_files import write_error
from smallsight.machine.private_files import create_private_file

__all__ = ["WrittenFiles"]

_DIGEST_BYTES = 16


class WrittenFiles:
    """A list in the data folder of digests of paths and contents; it only grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise write_error(path, error) from error
        self._size_bytes = len(data) - len(data) % _DIGEST_BYTES
        ends = range(0, self._size_bytes, _DIGEST_BYTES)
        self._digests = {data[start : start + _DIGEST_BYTES] for start in ends}

    def holds(self, path: Path, data: bytes) -> bool:
        """Return whether an export wrote exactly this content to this path."""
        return _digest(path, data) in self._digests

    def add(self, path: Path, data: bytes) -> None:
        """Remember a file before it is written; raises StorageError."""
        digest = _digest(path, data)
        if digest in self._digests:
            return
        try:
            create_private_file(self._path)
            with self._path.open("r+b", buffering=0) as file:
                file.seek(self._size_bytes)
                file.write(digest)
        except OSError as error:
            raise write_error(self._path, error) from error
        self._size_bytes += _DIGEST_BYTES
        self._digests.add(digest)


def _digest(path: Path, data: bytes) -> bytes:
    name = str(path.absolute()).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(name + b"\0" + data, digest_size=_DIGEST_BYTES).digest()
