"""Opens a file that may be packed with gzip, bzip2 or xz, and says so of packings that are not read.

What a header announces cannot make this allocate more than a fixed amount.
"""

from __future__ import annotations

import gzip
import importlib
import io
import zlib
from types import ModuleType
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from smallsight.errors import UnsupportedFormatError

if TYPE_CHECKING:
    import lzma

__all__ = ["UNPACK_ERRORS", "UnpackedFile", "unpacked"]

_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
_NOT_READ = {
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "RAR",
}
_HEAD_BYTES = 8
_MAX_XZ_BYTES = 128 * 1024 * 1024  # a dictionary of 64 MiB, the largest that xz itself makes, and its tables
_READ_BYTES = 64 * 1024
UNPACK_ERRORS = (OSError, EOFError, zlib.error)


class UnpackedFile(Protocol):
    """What can be read from front to back; raises UNPACK_ERRORS where the file is damaged."""

    def read(self, num_bytes: int, /) -> bytes:
        """Return this many bytes, or fewer at the end of the file."""
        ...


def unpacked(file: BinaryIO) -> UnpackedFile | None:
    """Return what unpacks a file that is at its start, or None if it is not packed.

    Raises UnsupportedFormatError for a packing that is not read.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file)
    if head.startswith(_BZIP2):
        return cast(UnpackedFile, _optional("bz2", "bzip2").BZ2File(file))
    if head.startswith(_XZ):
        return io.BufferedReader(_XzFile(file), _READ_BYTES)
    for magic, name in _NOT_READ.items():
        if head.startswith(magic):
            raise UnsupportedFormatError(
                f"This file is packed with {name}, which is not read.",
                hint="unpack it, or pack the tar file with gzip, bzip2 or xz.",
            )
    return None


class _XzFile(io.RawIOBase):
    """Unpacks streams of xz that follow each other within a memory limit, which ``lzma.LZMAFile`` has not."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lzma = _optional("lzma", "xz")
        self._stream = self._new_stream()
        self._packed = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a part of the buffer; 0 at the end."""
        data = b""
        while not data:
            if self._stream.eof and not self._begin_next():
                return 0
            if self._stream.needs_input:
                self._packed = self._packed or self._file.read(_READ_BYTES)
                if not self._packed:
                    raise EOFError
            packed, self._packed = self._packed, b""
            try:
                data = self._stream.decompress(packed, len(buffer))
            except self._lzma.LZMAError as error:
                raise OSError(str(error)) from error
        buffer[: len(data)] = data
        return len(data)

    def _begin_next(self) -> bool:
        """Begin a further stream after the zeros that may lie between; return whether there is one."""
        rest = self._stream.unused_data.lstrip(b"\0")
        while not rest:
            more = self._file.read(_READ_BYTES)
            if not more:
                return False
            rest = more.lstrip(b"\0")
        self._stream = self._new_stream()
        self._packed = rest
        return True

    def _new_stream(self) -> lzma.LZMADecompressor:
        made: lzma.LZMADecompressor = self._lzma.LZMADecompressor(
            self._lzma.FORMAT_XZ, memlimit=_MAX_XZ_BYTES
        )
        return made


def _optional(module: str, name: str) -> ModuleType:
    """Import a module that is missing where Python was compiled without its library."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnsupportedFormatError(
            f"This file is packed with {name}, which this Python does not read.", hint="unpack it first."
        ) from error
