"""Reads the members of a tar file one after another, plain or packed, without unpacking it to the disk.

Headers may be hostile: none can make this allocate more than a fixed amount, and names are only text.
Source: POSIX pax and GNU tar formats.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from smallsight.captioning.unpacked_file import UNPACK_ERRORS, UnpackedFile, unpacked
from smallsight.errors import CorruptPictureError

__all__ = ["TarMember", "TarMembers"]

_BLOCK = 512
_MAX_HEADER_BYTES = 65_536  # of a long name or a pax header; longer ones are passed over
_SKIP_BYTES = 1 << 20
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LONG_NAME, _LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
_PAX, _GLOBAL_PAX, _SOLARIS_PAX = tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE
_SPARSE = "GNU.sparse."
_MORE_AT, _MORE_AFTER_AT = 482, 504  # in the header of a sparse file, and in a block that follows it


@dataclass(frozen=True, slots=True)
class TarMember:
    """A member's name, with surrogates for bytes that are not UTF-8, its size, and what it is."""

    name: str
    size_bytes: int
    is_file: bool  # a plain one
    is_folder: bool = False


@dataclass(slots=True)
class _Extended:
    """What headers before a member's own say about it."""

    name: str | None = None
    size_bytes: int | None = None
    is_sparse: bool = False


class TarMembers:
    """Iterate over it; ``read`` returns the data of the member that came last.

    Both raise CorruptPictureError where the file is damaged or ends early. Closing it is up to the caller.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Raise UnsupportedFormatError for a packing that is not read."""
        self._raw = file
        self._size_bytes = os.fstat(file.fileno()).st_size
        packed = unpacked(file)
        self._file: UnpackedFile = file if packed is None else packed
        self._is_packed = packed is not None
        self._unread_bytes = 0  # of the current member, with its padding
        self._position = 0

    @property
    def fraction_read(self) -> float:
        """How much of the file was passed, from 0 to 1."""
        return min(1.0, self._raw.tell() / max(1, self._size_bytes))

    def __iter__(self) -> Iterator[TarMember]:
        extended = _Extended()
        while (header := self._next_header()) is not None:
            if header.type in {_PAX, _SOLARIS_PAX, _GLOBAL_PAX, _LONG_NAME, _LONG_LINK}:
                self._extend(extended, header)
                continue
            if extended.size_bytes is not None:
                header.size = extended.size_bytes
            self._expect(header.size if header.isreg() or header.type not in tarfile.SUPPORTED_TYPES else 0)
            is_file = header.type in _PLAIN and not extended.is_sparse
            yield TarMember(extended.name or header.name, header.size, is_file, header.isdir())
            extended = _Extended()

    def read(self, num_bytes: int) -> bytes:
        """Return up to this many bytes of the current member, after those that were read before."""
        data = self._read_exactly(num_bytes)
        self._unread_bytes -= num_bytes
        return data

    def _next_header(self) -> tarfile.TarInfo | None:
        """Skip what is left of the current member and return the next header; None at the end."""
        self._skip(self._unread_bytes)
        self._unread_bytes = 0
        block = self._read(_BLOCK)
        if not block or not block.strip(b"\0"):
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise self._damaged() from error
        if header.size < 0:
            raise self._damaged()
        more = header.type == tarfile.GNUTYPE_SPARSE and block[_MORE_AT]
        while more:  # blocks that list further parts of a sparse file
            more = self._read_exactly(_BLOCK)[_MORE_AFTER_AT]
        return header

    def _extend(self, extended: _Extended, header: tarfile.TarInfo) -> None:
        self._expect(header.size)
        if header.type in {_LONG_LINK, _GLOBAL_PAX} or header.size > _MAX_HEADER_BYTES:
            return
        data = self.read(header.size)
        if header.type == _LONG_NAME:
            extended.name = data.split(b"\0")[0].decode("utf-8", "surrogateescape")
            return
        for keyword, value in _pax_records(data):
            if keyword == "path":
                extended.name = value
            elif keyword == "size" and value.isascii() and value.isdigit() and len(value) < 20:
                extended.size_bytes = int(value)
            elif keyword.startswith(_SPARSE):
                extended.is_sparse = True

    def _expect(self, size_bytes: int) -> None:
        self._unread_bytes = -(-size_bytes // _BLOCK) * _BLOCK

    def _read(self, num_bytes: int) -> bytes:
        try:
            data = self._file.read(num_bytes)
        except UNPACK_ERRORS as error:
            raise self._damaged() from error
        self._position += len(data)
        return data

    def _read_exactly(self, num_bytes: int) -> bytes:
        data = self._read(num_bytes)
        if len(data) != num_bytes:
            raise self._damaged()
        return data

    def _skip(self, num_bytes: int) -> None:
        if not self._is_packed:
            if self._position + num_bytes > self._size_bytes:
                raise self._damaged()
            self._position += num_bytes
            self._raw.seek(self._position)
            return
        while num_bytes:
            some = min(num_bytes, _SKIP_BYTES)
            self._read_exactly(some)
            num_bytes -= some

    def _damaged(self) -> CorruptPictureError:
        return CorruptPictureError(
            f"The tar file is damaged or ends early after {self._position} bytes.",
            hint="copy it again; what comes after this point was not read.",
        )


def _pax_records(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield keyword and value of each record, up to the first that is malformed."""
    while data:
        length, separator, _ = data.partition(b" ")
        if not separator or not length.isdigit() or len(length) > 6:
            return
        record = data[len(length) + 1 : int(length)]
        keyword, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n") or int(length) > len(data):
            return
        yield keyword.decode("utf-8", "replace"), value[:-1].decode("utf-8", "surrogateescape")
        data = data[int(length) :]
