"""Reading tensors from safetensors files, each through a memory map and only when asked for.

The numpy side of the safetensors package cannot read bfloat16; this reads the same format for any family.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallsight.errors import BrokenCheckpointError

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000
BYTES_PER_VALUE = {"F32": 4, "F16": 2, "BF16": 2}
HINT = "fetch the file again; it may have been cut off while copying."


@dataclass(frozen=True)
class _TensorEntry:
    """Where one tensor lies, in bytes from the end of the header."""

    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int


class TensorFiles:
    """One safetensors file whose tensors are taken by name; it remembers which were."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries, self._data, self._map = _open(path)
        self._untaken = set(self._entries)

    @property
    def untaken(self) -> frozenset[str]:
        """Names of tensors that have not been taken yet."""
        return frozenset(self._untaken)

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a tensor as float32, once; it must have this shape and hold finite numbers only."""
        entry = self._claim(name, shape)
        self._release_pages()
        values = widen(self._data[entry.begin : entry.end], entry.kind).reshape(shape)
        if not np.isfinite(values).all():
            raise BrokenCheckpointError(
                f"Tensor {name} of {self._path} holds values that are not numbers.", hint=HINT
            )
        return values

    def map_table(self, name: str, shape: tuple[int, int]) -> RowTable:
        """Return a table whose rows stay in the file, once; it must have this shape."""
        entry = self._claim(name, shape)
        rows = self._data[entry.begin : entry.end].reshape(shape[0], -1)
        return RowTable(f"Tensor {name} of {self._path}", entry.kind, rows)

    def _release_pages(self) -> None:
        """Let the system take back what was read before, else all of a large file would count as ours."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _claim(self, name: str, shape: tuple[int, ...]) -> _TensorEntry:
        """Find a tensor, check what its header says, and remember that it was used."""
        entry = self._entries.get(name)
        if entry is None:
            raise BrokenCheckpointError(f"{self._path} has no tensor {name}.", hint=HINT)
        if name not in self._untaken:
            raise BrokenCheckpointError(f"Tensor {name} of {self._path} would be used twice.")
        if entry.shape != shape:
            raise BrokenCheckpointError(
                f"Tensor {name} of {self._path} has shape {list(entry.shape)}, expected {list(shape)}.",
                hint="config.json and model.safetensors must belong together.",
            )
        if entry.kind not in BYTES_PER_VALUE:
            raise BrokenCheckpointError(
                f"Tensor {name} of {self._path} is stored as {entry.kind}, "
                f"expected {' or '.join(BYTES_PER_VALUE)}."
            )
        self._untaken.remove(name)
        return entry


@dataclass(frozen=True, eq=False)
class RowTable:
    """A table in a file, read row by row, so that only the pages of rows in use are in memory."""

    name: str
    kind: str
    rows_bytes: NDArray[np.uint8]

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return these rows as float32 [ids, width]; raises BrokenCheckpointError if one is not finite."""
        values = widen(self.rows_bytes[ids].reshape(-1), self.kind).reshape(len(ids), -1)
        if not np.isfinite(values).all():
            raise BrokenCheckpointError(f"{self.name} holds values that are not numbers.", hint=HINT)
        return values


class CheckpointParts:
    """Several safetensors files that make up one checkpoint; names are unique among them."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._parts = [TensorFiles(path) for path in paths]

    @property
    def untaken(self) -> frozenset[str]:
        """Names of tensors that have not been taken yet."""
        return frozenset().union(*(part.untaken for part in self._parts))

    def part_with(self, name: str) -> TensorFiles:
        """Return the file that still has this tensor, or the first, which will say that it has none."""
        return next((part for part in self._parts if name in part.untaken), self._parts[0])

    def take(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return a tensor as float32, once; see ``TensorFiles.take``."""
        return self.part_with(name).take(name, shape)


def widen(stored: NDArray[np.uint8], kind: str) -> NDArray[np.float32]:
    """Read bytes as little-endian numbers of this kind ("F32", "F16" or "BF16") and return float32."""
    if kind == "BF16":  # the upper half of a float32
        return (stored.view("<u2").astype(np.uint32) << 16).view(np.float32)
    return stored.view("<f4" if kind == "F32" else "<f2").astype(np.float32, copy=False)


def _open(path: Path) -> tuple[dict[str, _TensorEntry], NDArray[np.uint8], mmap.mmap]:
    """Read the header and map the data behind it."""
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(LENGTH_BYTES), "little")
            if header_bytes > min(MAX_HEADER_BYTES, size_bytes - LENGTH_BYTES):
                raise BrokenCheckpointError(f"{path} is cut off, or not a safetensors file.", hint=HINT)
            header = json.loads(file.read(header_bytes))
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        data_begin = LENGTH_BYTES + header_bytes
        entries = {
            name: _entry(described, size_bytes - data_begin)
            for name, described in header.items()
            if name != "__metadata__"
        }
        # Reading a byte range as 4-byte numbers needs no alignment in numpy.
        data = np.frombuffer(mapped, np.uint8)[data_begin:]
    except OSError as error:
        raise BrokenCheckpointError(f"{path} cannot be read: {error.strerror}.", hint=HINT) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BrokenCheckpointError(f"{path} has a damaged header: {error}.", hint=HINT) from error
    return entries, data, mapped


def _entry(described: dict[str, Any], data_bytes: int) -> _TensorEntry:
    """Check one line of the header against the size of the file; ValueError says what is wrong."""
    begin, end = described["data_offsets"]
    shape = tuple(int(size) for size in described["shape"])
    kind = str(described["dtype"])
    if not 0 <= begin <= end <= data_bytes:
        raise ValueError(f"bytes {begin} to {end} lie outside the {data_bytes} bytes of data")
    if kind in BYTES_PER_VALUE and end - begin != BYTES_PER_VALUE[kind] * math.prod(shape):
        raise ValueError(f"{end - begin} bytes cannot hold shape {list(shape)} of {kind}")
    return _TensorEntry(kind, shape, begin, end)
