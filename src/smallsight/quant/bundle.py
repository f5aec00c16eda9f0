"""The file format for stored weights: matrices by name, written once and memory-mapped afterwards.

Layout: the arrays' bytes, each at a multiple of 64; an index in JSON; then 24 bytes with the length of the
index, the CRC-32 of everything before, and a mark. Only a complete file gets its final name.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from smallsight.machine.private_files import make_private_folder
from smallsight.quant.bf16 import BF16Matrix
from smallsight.quant.forms import Stored
from smallsight.quant.grouped import Code, GroupedMatrix
from smallsight.quant.int8_rows import Int8Rows

_ALIGNMENT = 64
_MARK = b"smsight1"
_TAIL = struct.Struct("<QQ8s")
_READ_BYTES = 1 << 22


class BundleWriter:
    """Writes a bundle, and renames it to ``path`` on leaving the context without an error. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index: dict[str, dict[str, Any]] = {}
        self._checksum = 0
        self._position = 0

    def __enter__(self) -> Self:
        make_private_folder(self._path.parent)
        self._file = tempfile.NamedTemporaryFile(
            dir=self._path.parent, prefix=self._path.stem, suffix=".part", delete=False
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        temporary = Path(self._file.name)
        try:
            if error is None:
                index = json.dumps(self._index).encode()
                self._write(index)
                self._file.write(_TAIL.pack(len(index), self._checksum, _MARK))
            self._file.close()
            if error is None:
                temporary.replace(self._path)
        finally:
            self._file.close()
            with contextlib.suppress(OSError):
                temporary.unlink()

    def add(self, name: str, stored: Stored) -> None:
        """Append one matrix or vector."""
        described, arrays = _to_arrays(stored)
        described["arrays"] = [self._append(array) for array in arrays]
        self._index[name] = described

    def _append(self, array: NDArray[Any]) -> dict[str, Any]:
        self._write(b"\0" * (-self._position % _ALIGNMENT))
        begin = self._position
        self._write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return {"begin": begin, "shape": list(array.shape), "type": array.dtype.str}

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._checksum = zlib.crc32(data, self._checksum)
        self._position += len(data)


class Bundle(Mapping[str, Stored]):
    """A bundle's matrices as views of its memory map, valid while the bundle exists."""

    def __init__(self, path: Path) -> None:
        """Open and check a bundle; raises OSError if it cannot be read, ValueError if it is damaged."""
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            index_bytes = _check(file, size_bytes)
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._bytes = np.frombuffer(self._map, np.uint8)
        begin = size_bytes - _TAIL.size - index_bytes
        self._index: dict[str, Any] = json.loads(self._bytes[begin : begin + index_bytes].tobytes())
        self.num_bytes = begin

    def __getitem__(self, name: str) -> Stored:
        described = self._index[name]
        return _from_arrays(described, [self._view(array) for array in described["arrays"]])

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def release_pages(self) -> None:
        """Release the file's pages to the operating system; they are read again when needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _view(self, described: Mapping[str, Any]) -> NDArray[Any]:
        kind = np.dtype(described["type"])
        shape = tuple(described["shape"])
        begin = described["begin"]
        num_bytes = kind.itemsize * int(np.prod(shape, dtype=np.int64))
        view: NDArray[Any] = self._bytes[begin : begin + num_bytes].view(kind).reshape(shape)
        return view


def stored_bytes(stored: Stored) -> int:
    """Return the bytes of a stored matrix including its scales."""
    return sum(array.nbytes for array in _to_arrays(stored)[1])


def _to_arrays(stored: Stored) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    match stored:
        case GroupedMatrix():
            described = {"form": "groups", "code": str(stored.code), "group": stored.group}
            return described, [stored.codes, stored.scales]
        case Int8Rows():
            return {"form": "rows"}, [stored.codes, stored.scales]
        case BF16Matrix():
            return {"form": "bf16"}, [stored.bf16_bits]
        case _:
            return {"form": "plain"}, [stored]


def _from_arrays(described: Mapping[str, Any], arrays: list[NDArray[Any]]) -> Stored:
    match described["form"]:
        case "groups":
            codes, scales = arrays
            return GroupedMatrix(codes, scales, _code(described), described["group"])
        case "rows":
            return Int8Rows(*arrays)
        case "bf16":
            return BF16Matrix(arrays[0])
        case _:
            return arrays[0]


def _code(described: Mapping[str, Any]) -> Code:
    """Return what the codes stand for; bundles written by 0.4 and before say how many bits integers have."""
    return Code(described["code"]) if "code" in described else Code(f"int{described['bits']}")


def _check(file: Any, size_bytes: int) -> int:  # noqa: ANN401 - a binary file
    """Check checksum and mark and return the length of the index; raises ValueError."""
    remaining = size_bytes - _TAIL.size
    checksum = 0
    while remaining > 0 and (piece := file.read(min(_READ_BYTES, remaining))):
        checksum = zlib.crc32(piece, checksum)
        remaining -= len(piece)
    tail = file.read()
    if remaining != 0 or len(tail) != _TAIL.size:
        raise ValueError("the file is truncated")
    index_bytes, expected, mark = _TAIL.unpack(tail)
    if mark != _MARK or expected != checksum or index_bytes > size_bytes - _TAIL.size:
        raise ValueError("the checksum does not match")
    return int(index_bytes)
